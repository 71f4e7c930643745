"""Values that people write with a unit: durations, shares, sizes; and words for what is wanted.

Each is kept as a plain number (seconds, a fraction, bytes) and written back in the form that it
was read in, so that a spec survives JSON unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION_UNITS = {
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_MEMORY_UNITS = {
    "TiB": 1024**4,
    "GiB": 1024**3,
    "MiB": 1024**2,
    "KiB": 1024,
    "TB": 1000**4,
    "GB": 1000**3,
    "MB": 1000**2,
    "kB": 1000,
    "B": 1,
}
_NUMBER = r"[0-9]{1,24}(?:\.[0-9]{1,40})?"
DURATION_PATTERN = rf"^(?:{_NUMBER}(?:ms|s|m|h|d))+$"
SHARE_PATTERN = rf"^{_NUMBER}%$"
MEMORY_PATTERN = rf"^{_NUMBER}(?:{'|'.join(_MEMORY_UNITS)})$"
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_SHARE = re.compile(rf"({_NUMBER})%")
_USD = re.compile(rf"({_NUMBER})USD")
_MEMORY = re.compile(rf"({_NUMBER})({'|'.join(_MEMORY_UNITS)})")


@dataclass(frozen=True, slots=True)
class Want:
    """What a field takes, in words that follow "want"; read by the error messages."""

    words: str


DURATION_WORDS = "a duration such as 500ms, 10s, 5m or 1h30m"
SHARE_WORDS = "a share such as 5% or 0.05"
MEMORY_WORDS = "a size such as 256MiB or 2GiB"
COUNT_WORDS = "a number such as 4000"
USD_WORDS = "US dollars such as 0.05USD"


def parse_duration(text: object) -> float:
    """Return the seconds in `1h30m`, `10s`, `500ms`; units go from large to small, each once.

    Raises:
        ValueError: It is no text of that form; a plain number has no unit and is refused too.
    """
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"want {DURATION_WORDS}")
    parts = _DURATION_PART.findall(text)
    ranks = [list(_DURATION_UNITS).index(unit) for _, unit in parts]
    if ranks != sorted(set(ranks)):
        raise ValueError("want units from large to small, each once, such as 1h30m")
    return float(sum(Decimal(number) * _DURATION_UNITS[unit] for number, unit in parts))


def format_duration(seconds: float) -> str:
    """Write seconds so that `parse_duration` gives the same number back."""
    left = Decimal(repr(seconds))
    if left == 0:
        return "0s"
    if left < 1:
        return f"{_plain(left * 1000)}ms"
    text = ""
    for unit in ("d", "h", "m"):
        count, left = divmod(left, _DURATION_UNITS[unit])
        text += f"{_plain(count)}{unit}" if count else ""
    return text + (f"{_plain(left)}s" if left else "")


def parse_share(value: object) -> float:
    """Return the fraction in `5%`, or a plain number from 0 to 1 as it is.

    Raises:
        ValueError: It is neither; 5 without a sign could mean 5 % or 500 %.
    """
    if isinstance(value, str) and (match := _SHARE.fullmatch(value)):
        return float(Decimal(match[1]) / 100)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"want {SHARE_WORDS}")


def format_share(share: float) -> float | str:
    """Write a fraction so that `parse_share` gives the same number back: percent above 1."""
    return share if share <= 1 else f"{_plain(Decimal(repr(share)) * 100)}%"


def parse_memory(text: object) -> int:
    """Return the bytes in `256MiB`.

    Raises:
        ValueError: It is no text of that form, or no whole number of bytes.
    """
    match = _MEMORY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"want {MEMORY_WORDS}")
    size = Decimal(match[1]) * _MEMORY_UNITS[match[2]]
    if size != int(size):
        raise ValueError("want a whole number of bytes")
    return int(size)


def format_memory(size: int) -> str:
    """Write bytes in the largest binary unit that divides them."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _MEMORY_UNITS[unit] == 0:
            return f"{size // _MEMORY_UNITS[unit]}{unit}"
    return f"{size}B"


def parse_count(value: object) -> float:
    """Return a plain number of things.

    Raises:
        ValueError: It is none, or below 0.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise ValueError(f"want {COUNT_WORDS}")


def parse_usd(value: object) -> float:
    """Return the dollars in `0.05USD`, or a plain number as it is.

    Raises:
        ValueError: It is neither, or below 0.
    """
    if isinstance(value, str) and (match := _USD.fullmatch(value)):
        return float(Decimal(match[1]))
    try:
        return parse_count(value)
    except ValueError:
        raise ValueError(f"want {USD_WORDS}") from None


def _plain(number: Decimal) -> str:
    """Write a decimal without exponent and without zeros that say nothing."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_CRITICALITY_WORDS = {"low": 25, "normal": 50, "high": 75, "highest": 100}
_MOST_CRITICAL = 100


def parse_criticality(value: object) -> int:
    """Return 0 to 100 for a whole number in that range or one of the words.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, str) and value in _CRITICALITY_WORDS:
        return _CRITICALITY_WORDS[value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_CRITICAL:
        return value
    raise ValueError("want 0 to 100, or low (25), normal (50), high (75), highest (100)")


def _schema(*forms: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema(forms[0] if len(forms) == 1 else {"anyOf": list(forms)})


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    _schema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["10s", "5m", "1h30m"]}),
    Want(DURATION_WORDS),
]
"""Seconds, written with a unit."""

Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(format_share, return_type=float | str),
    _schema(
        {"type": "string", "pattern": SHARE_PATTERN, "examples": ["5%"]},
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    Want(SHARE_WORDS),
]
"""A fraction, written as percent or as a number up to 1."""

Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    PlainSerializer(format_memory, return_type=str),
    _schema({"type": "string", "pattern": MEMORY_PATTERN, "examples": ["256MiB"]}),
    Want(MEMORY_WORDS),
]
"""Bytes, written with a unit."""

Criticality = Annotated[
    int,
    BeforeValidator(parse_criticality),
    _schema(
        {"type": "integer", "minimum": 0, "maximum": _MOST_CRITICAL},
        {"type": "string", "enum": list(_CRITICALITY_WORDS)},
    ),
    Want("0 to 100, or low, normal, high, highest"),
]
"""How much depends on a role: 0 goes first, 100 last."""
