"""Chooses recorded tasks by what they are: `versions.agent=gpt-4o,task_attributes.trial=0`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rolewise.fleet.harness.traces import Trace, TraceError

_FIELDS = ("trace_id", "source", "fleet", "completed", "score", "ended", "started_at")
_MAPS = ("versions", "task_attributes")
_WANT = f"want {', '.join(_FIELDS)}, versions.ROLE or task_attributes.KEY"
# A value may hold commas; one that is followed by `field=` ends it.
_PARTS = re.compile(r",(?=[A-Za-z_][\w.-]*=)")


@dataclass(frozen=True, slots=True)
class Selector:
    """Which tasks of a file are meant: all of its conditions hold.

    Attributes:
        text: As it was written.
        conditions: (field, value) pairs; an empty field means a version name, of any role.
    """

    text: str
    conditions: tuple[tuple[str, str], ...]

    def matches(self, trace: Trace) -> bool:
        """Say whether the task is meant."""
        return all(_holds(trace, name, value) for name, value in self.conditions)


def parse_selector(text: str) -> Selector:
    """Read a selector: a version's name, or `field=value` pairs with commas between.

    Args:
        text: Values are compared as JSON would write them, without quotes: `true`, `0`, `gpt-4o`.

    Raises:
        TraceError: It is empty, or a field is none that a task has.
    """
    if not text.strip():
        raise TraceError("selector is empty: want a version's name, or field=value pairs")
    if "=" not in text:
        return Selector(text, (("", text.strip()),))
    conditions = []
    for part in _PARTS.split(text):
        name, _, value = (piece.strip() for piece in part.partition("="))
        base, _, key = name.partition(".")
        if name not in _FIELDS and not (base in _MAPS and key):
            raise TraceError(f"selector {text!r}: no field {name!r}: {_WANT}")
        conditions.append((name, value))
    return Selector(text, tuple(conditions))


def select(traces: Iterable[Trace], selector: Selector) -> tuple[Trace, ...]:
    """Return the tasks that are meant.

    Raises:
        TraceError: There is none; the message lists the versions that there are.
    """
    everything = tuple(traces)
    chosen = tuple(trace for trace in everything if selector.matches(trace))
    if not chosen:
        known = sorted(
            {f"versions.{role}={name}" for t in everything for role, name in t.versions.items()}
        )
        raise TraceError(
            f"selector {selector.text!r} matches none of {len(everything)} tasks; "
            f"there are: {', '.join(known[:20]) or 'no tasks'}"
        )
    return chosen


def _holds(trace: Trace, name: str, value: str) -> bool:
    if not name:
        return value in trace.versions.values()
    base, _, key = name.partition(".")
    if base in _MAPS:
        have: Mapping[str, Any] = trace.versions if base == "versions" else trace.attributes
        return key in have and _written(have[key]) == value
    return _written(trace.id if name == "trace_id" else getattr(trace, name)) == value


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1 and 1.0 mean the same
    return json.dumps(value)
