"""Two hashes of a message in one number: is it the same again, and is it the same but for words?

Loops are found by comparing these, never by keeping content. A digest has 64 bits and never is 0,
which stands for "none". Its low half is the *shape*: who to whom, kind, which fields, their
one-word values and the size of their numbers, but no free text; it finds loops of language models,
which rarely repeat a text exactly. The whole number is the *exact* digest: all content, but for
fields that change by themselves; it finds loops of programs. Versions are left out, so that tasks
of a mixed fleet compare.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from hashlib import blake2b
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NONE: Final = 0
SHAPE_MASK: Final = 0xFFFF_FFFF

VOLATILE: Final = frozenset(
    {
        *("message_id", "msg_id", "request_id", "correlation_id", "call_id", "tool_call_id"),
        *("trace_id", "span_id", "trace", "traceparent", "nonce", "uuid"),
        *("time", "timestamp", "ts", "at", "sent_at", "created_at", "updated_at", "deadline"),
        *("attempt", "attempts", "retry", "retries", "turn", "round", "iteration", "seq"),
    }
)
"""Fields that differ between two messages that say the same. An `id` is left out only when it
looks drawn at random: of two orders, the ids are the content."""

_KEY = b"rolewise message digest"
_RANDOM_ID = re.compile(r"[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DEEPEST = 12
_SHORTEST_RANDOM = 16
_LONG_TEXT = 4096
_LONGEST_WORD = 40
_END = 1 << 15

Digests = npt.NDArray[np.uint64]


def measure(sender: str, to: str, kind: str, body: Any) -> tuple[int, int]:
    """Return the digest of a message, and about how many bytes its body has.

    Args:
        sender: Role that sends it.
        to: Role that it is for.
        kind: Its kind.
        body: JSON values, mappings, dataclasses, models, objects: whatever a body may be.

    Notes:
        Linear in the body; some 10 microseconds for a small one. Texts are compared lower-cased
        with white space folded, numbers to 6 digits, mappings whatever their order; a text above
        4096 characters as it stands, and one above 64 Ki by its length and both its ends. The
        size is that of the compared form: good for comparing, not for accounting.
    """
    folding = _Folding()
    exact, shape = folding.fold(body, 0)
    head = f"{sender}\0{to}\0{kind}\0"
    said = _hash(f"{head}{exact}".encode("utf-8", "surrogatepass"))
    outline = _hash(f"{head}{shape}".encode("utf-8", "surrogatepass"))
    return (said << 32 | outline) or 1, len(exact) + folding.beyond


def digest(sender: str, to: str, kind: str, body: Any) -> int:
    """Return the digest of a message; see `measure`."""
    return measure(sender, to, kind, body)[0]


def shapes(digests: Digests) -> Digests:
    """Return the shape of each digest."""
    return digests & np.uint64(SHAPE_MASK)


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=4, key=_KEY).digest(), "little")


class _Folding:
    """Writes down what one body is compared by: exactly, and in shape.

    Attributes:
        beyond: Bytes of long texts and arrays, which stand in the exact form as a hash.
    """

    __slots__ = ("beyond",)

    def __init__(self) -> None:
        self.beyond = 0

    def fold(self, value: Any, depth: int) -> tuple[str, str]:
        """Return both forms of a value. The commonest types come first: this runs per message."""
        if isinstance(value, str) and not isinstance(value, Enum):
            return self._fold_text(value)
        if value is None or isinstance(value, bool):
            return (word := repr(value)), word
        if isinstance(value, Enum):
            return self.fold(value.value, depth)
        if isinstance(value, int | float):
            return _fold_number(value)
        if depth == _DEEPEST:
            return "...", "..."
        if isinstance(value, Mapping):
            return self._fold_fields(value.items(), depth)
        if isinstance(value, list | tuple):
            return self._fold_items(value, depth)
        if isinstance(value, bytes | bytearray | memoryview):
            return self._fold_data(bytes(value), "bytes")
        if isinstance(value, set | frozenset):
            parts = [self.fold(item, depth + 1) for item in value]
            return f"{{{','.join(sorted(exact for exact, _ in parts))}}}", _distinct(parts)
        return self._fold_object(value, depth)

    def _fold_text(self, value: str) -> tuple[str, str]:
        if len(value) > _LONG_TEXT:
            return self._fold_data(value.encode("utf-8", "surrogatepass"), "text")
        folded = " ".join(value.lower().split())
        exact = repr(folded)
        is_word = 0 < len(folded) <= _LONGEST_WORD and " " not in folded
        return exact, exact if is_word and not _is_random(folded) else "text"

    def _fold_data(self, data: bytes, what: str) -> tuple[str, str]:
        self.beyond += len(data)
        part = data if len(data) <= 2 * _END else data[:_END] + data[-_END:]
        return f"{what}:{len(data)}:{_hash(part)}", what

    def _fold_fields(self, fields: Iterable[tuple[Any, Any]], depth: int) -> tuple[str, str]:
        exact: list[str] = []
        shape: list[str] = []
        for name, value in _named(fields):
            field = name.lower()
            if field in VOLATILE or (
                field == "id" and isinstance(value, str) and _is_random(value)
            ):
                continue
            said, outline = self.fold(value, depth + 1)
            exact.append(f"{name!r}:{said}")
            shape.append(f"{name!r}:{outline}")
        return f"{{{','.join(exact)}}}", f"{{{','.join(shape)}}}"

    def _fold_items(self, items: Iterable[Any], depth: int) -> tuple[str, str]:
        parts = [self.fold(item, depth + 1) for item in items]
        return f"[{','.join([exact for exact, _ in parts])}]", _distinct(parts)

    def _fold_object(self, value: Any, depth: int) -> tuple[str, str]:
        """Fold an object by its fields: dataclasses, models and plain classes alike."""
        names = getattr(type(value), "__dataclass_fields__", None)
        if names is not None:
            return self._fold_fields(((name, getattr(value, name, None)) for name in names), depth)
        if isinstance(value, np.ndarray):
            return self._fold_data(value.tobytes(), f"array of {value.dtype}")
        fields = getattr(value, "__dict__", None)
        if fields:
            return self._fold_fields(fields.items(), depth)
        text = str(value)
        # The default text of an object holds its address, which differs for equal objects.
        return self._fold_text(type(value).__qualname__ if " at 0x" in text else text)


def _is_random(text: str) -> bool:
    return len(text) >= _SHORTEST_RANDOM and _RANDOM_ID.fullmatch(text) is not None


def _named(fields: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return sorted(((str(key), value) for key, value in fields), key=itemgetter(0))


def _fold_number(value: float) -> tuple[str, str]:
    if isinstance(value, int):
        exact = str(value)
    elif math.isfinite(value):
        exact = f"{value:.6g}"
    else:
        return (word := str(value)), word
    size = abs(value)
    octave = int(size).bit_length() if size >= 1 else round(math.log2(size)) if size else "zero"
    return exact, f"{'-' if value < 0 else ''}{octave}"


def _distinct(parts: list[tuple[str, str]]) -> str:
    """Return the shapes that occur, in one order: how many items there are is not shape."""
    return f"[{','.join(sorted({shape for _, shape in parts}))}]"
