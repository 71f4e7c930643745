"""Reads one task record: a line of JSON that anyone can write from their own logs.

A field that is wrong is told with its value and what is allowed; fields that are not known are
passed over, since logs hold more than a judge needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Any, NoReturn

from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.task import Outcome

ARMS = {"baseline": False, "canary": True}
OUTCOMES = {outcome.value: outcome for outcome in Outcome}
LARGEST = 2.0**53
"""Numbers beyond are no longer exact, and no count or second of a task is that large."""

_SHOWN = 60
_NO_SCORES: Mapping[str, float] = {}


class RecordError(ValueError):
    """A line is no task record; the message names field, value and what is allowed."""


def parse_record(line: str, *, weight: float | None = None) -> Row:
    """Read one line.

    Args:
        line: A JSON object.
        weight: Percent that the canary was given, for lines that do not say it.

    Raises:
        RecordError: It is no task record.
    """
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise RecordError(f"not JSON: {error}") from None
    except RecursionError:
        raise RecordError("not JSON that can be read: nested too deeply") from None
    if not isinstance(raw, dict):
        raise RecordError(f"want a JSON object, not {_kind(raw)}")
    if "trace_id" in raw and "arm" not in raw:
        raise RecordError("a recorded trace has no arm: name both sides, --stable and --canary")
    outcome = OUTCOMES.get(_text(raw, "outcome")) or _refuse(
        "outcome", raw["outcome"], f"one of {', '.join(OUTCOMES)}"
    )
    arm = ARMS.get(_text(raw, "arm"))
    if arm is None:
        _refuse("arm", raw["arm"], f"one of {', '.join(ARMS)}")
    started = _moment(raw, "started")
    if started is None:
        _refuse_missing(raw, "started", "seconds or an ISO timestamp")
    latency = _number(raw, "latency_s")
    ended = _end(raw, outcome, started, latency)
    if latency is None and raw.get("ended") is not None:
        latency = ended - started
    return Row(
        task=_text(raw, "task"),
        canary=arm,
        weight=_weight(raw, weight),
        started_s=started,
        ended_s=ended,
        outcome=outcome,
        latency_s=latency,
        tool_errors=_count(raw, "tool_errors"),
        input_tokens=_count(raw, "input_tokens"),
        output_tokens=_count(raw, "output_tokens"),
        cost_usd=_number(raw, "cost_usd"),
        scores=_scores(raw),
        flags=_flags(raw),
        stratum=_name(raw, "stratum"),
        unit=_name(raw, "unit"),
    )


def _end(raw: Mapping[str, Any], outcome: Outcome, started: float, latency: float | None) -> float:
    """Return when the outcome was known; without any time of an end, at once."""
    ended = _moment(raw, "ended")
    if outcome is Outcome.RUNNING:
        if ended is not None:
            _refuse("ended", raw["ended"], "null, since outcome is running")
        return inf
    if ended is None:
        return started + (latency or 0.0)
    if ended < started:
        _refuse("ended", raw["ended"], f"no time before started ({_short(raw['started'])})")
    return ended


def _weight(raw: Mapping[str, Any], default: float | None) -> float:
    value = _number(raw, "weight")
    if value is None:
        if default is None:
            raise RecordError(
                "weight is missing: want the percent of tasks that the canary was given when this"
                " one was drawn, 0 to 100; --weight names it for all lines without"
            )
        return default
    if value > 100.0:  # noqa: PLR2004 - percent
        _refuse("weight", raw["weight"], "percent, 0 to 100")
    return value


def _moment(raw: Mapping[str, Any], key: str) -> float | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            _refuse(key, value, "seconds or an ISO timestamp")
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(key, value, "seconds or an ISO timestamp")
    return float(value) if abs(value) < LARGEST else _refuse(key, value, "seconds")


def _number(raw: Mapping[str, Any], key: str) -> float | None:
    value = raw.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(key, value, "a number from 0, or null")
    return float(value) if 0 <= value < LARGEST else _refuse(key, value, "a number from 0, or null")


def _count(raw: Mapping[str, Any], key: str) -> int | None:
    value = raw.get(key)
    if value is None:
        return None
    whole = not isinstance(value, bool) and isinstance(value, int | float) and isfinite(value)
    if not whole or not 0 <= value < LARGEST or value != int(value):
        _refuse(key, value, "a whole number from 0, or null")
    return int(value)


def _scores(raw: Mapping[str, Any]) -> Mapping[str, float]:
    scores = raw.get("scores")
    if not scores:
        return _NO_SCORES if scores in (None, {}) else _refuse("scores", scores, "an object")
    if not isinstance(scores, dict):
        _refuse("scores", scores, "an object")
    known = {}
    for name in scores:
        value = _number(scores, name)
        if value is None:
            continue
        if value > 1.0:
            _refuse(f"scores.{name}", value, "a number from 0 to 1, or null")
        known[name] = value
    return known


def _flags(raw: Mapping[str, Any]) -> tuple[str, ...] | None:
    flags = raw.get("flags")
    if flags is None:
        return None
    if not isinstance(flags, list) or not all(isinstance(flag, str) for flag in flags):
        _refuse("flags", flags, "a list of names of loop flags, or null")
    return tuple(flags)


def _name(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        _refuse(key, value, "text, a whole number, or null")
    return _printable(raw, key, str(value))


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if isinstance(value, str) and value:
        return _printable(raw, key, value)
    if key == "task" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        _refuse_missing(raw, key, "text")
    return _refuse(key, value, "text")


def _printable(raw: Mapping[str, Any], key: str, value: str) -> str:
    """Refuse half a character, which JSON can spell but nothing can print."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RecordError(f"{key} = {json.dumps(raw[key])}: want whole characters") from None
    return value


def _refuse_missing(raw: Mapping[str, Any], key: str, want: str) -> NoReturn:
    if key in raw:
        _refuse(key, raw[key], want)
    raise RecordError(f"{key} is missing: want {want}")


def _refuse(key: str, value: Any, want: str) -> NoReturn:
    raise RecordError(f"{key} = {_short(value)}: want {want}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
