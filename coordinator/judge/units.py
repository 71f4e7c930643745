"""Where arms are drawn for a session or a user, that is the unit: its tasks bet once, together.

A unit is the first tasks of one session or user: a fixed number at most, that start within a fixed
time of its first, all drawn with one weight. It closes when it is full or its time is over. Units
are given out in the order in which they began, so one that is open holds back those behind it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Any

from rolewise.coordinator.judge.metrics import Kind
from rolewise.coordinator.judge.outcomes import Missing
from rolewise.coordinator.judge.series import Value


@dataclass(slots=True)
class Unit:
    """One session or user: its draw, and for each signal the values of its tasks so far."""

    canary: bool
    weight: float
    began_s: float
    values: list[list[float]]
    tasks: int = 0
    failed: int = 0
    name: str = ""
    """A task of it, its first failed one if there is one."""
    is_over: bool = False

    def note(self, task: str, values: Sequence[Value | Missing], *, failed: bool) -> None:
        """Add a task's values, one a signal; what is missing adds nothing."""
        for kept, value in zip(self.values, values, strict=True):
            if isinstance(value, tuple):
                kept.extend(value)
            elif not isinstance(value, Missing):
                kept.append(value)
        if not self.name or (failed and not self.failed):
            self.name = task
        self.failed += failed


class Units:
    """Groups tasks into units.

    Args:
        signals: How many signals there are.
        tasks: Most tasks of a unit.
        window_s: Seconds after its first task within which others belong to it.
    """

    __slots__ = ("_known", "_open", "_signals", "_tasks", "_window_s")

    def __init__(self, *, signals: int, tasks: int, window_s: float) -> None:
        self._signals = signals
        self._tasks = tasks
        self._window_s = window_s
        self._open: OrderedDict[str, Unit] = OrderedDict()
        self._known: set[str] = set()

    def place(self, key: str, *, canary: bool, weight: float, started_s: float) -> Unit | None:
        """Return the unit that a task belongs to, None if it does not count.

        Tasks come in start order.
        """
        for one in self._open.values():
            if started_s <= one.began_s + self._window_s:
                break
            one.is_over = True
        unit = self._open.get(key)
        if unit is None:
            if key in self._known:
                return None  # it has bet already
            self._known.add(key)
            values: list[list[float]] = [[] for _ in range(self._signals)]
            unit = self._open[key] = Unit(canary, weight, started_s, values)
        if unit.is_over or (unit.canary, unit.weight) != (canary, weight):
            return None
        unit.tasks += 1
        unit.is_over = unit.tasks >= self._tasks
        return unit

    def next_closed(self) -> Unit | None:
        """Take out the oldest unit, if it takes no more tasks."""
        for key, unit in self._open.items():
            if not unit.is_over:
                break
            del self._open[key]
            return unit
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "open": [
                [
                    key,
                    *(unit.canary, unit.weight, unit.began_s, _spell(unit.values)),
                    *(unit.tasks, unit.failed, unit.name, unit.is_over),
                ]
                for key, unit in self._open.items()
            ],
            "known": sorted(self._known),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._open = OrderedDict((key, Unit(*fields)) for key, *fields in data["open"])
        for unit in self._open.values():
            unit.values = [[inf if one is None else one for one in row] for row in unit.values]
        self._known = set(data["known"])


def value_of_unit(kind: Kind, values: list[float], *, is_split: bool) -> Value | None:
    """Return one value for a unit: a median latency, else a mean; None without any.

    Args:
        kind: The signal's.
        values: Of the unit's tasks.
        is_split: They are the latencies of messages, and stay apart.
    """
    if not values:
        return None
    if is_split:
        return tuple(values)
    return median(values) if kind is Kind.LATENCY else sum(values) / len(values)


def _spell(values: list[list[float]]) -> list[list[float | None]]:
    """Return values as JSON knows them: an endless latency is null."""
    return [[None if one == inf else one for one in row] for row in values]
