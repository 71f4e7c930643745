"""What was sent in each of the last seconds: edge by edge, arm by arm, and by how many tasks.

A window of the interaction graph is too long for what must be seen at once. Collectors keep this
beside it; a second is closed when it is read, once its telemetry must have come, and what comes
later counts in the oldest second that is open, so that nothing is lost. Sums of collectors add up.

The writers' clocks are not believed: a delivery's newest record is taken to have happened when the
delivery came, and the others so much before it as their writer says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from math import floor
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rolewise.graphs.columns import ATTEMPT, MIRRORED
from rolewise.graphs.digests import NONE
from rolewise.graphs.grouping import Ints, Keys, group
from rolewise.graphs.interactions import Arm, Batch, Happening, Records

LAG_S: Final = 1.5
"""A second is closed so long after its end where telemetry is shipped once a second."""
BEATS_KEPT: Final = 120
CLOCK_S: Final = 1e-6
"""Ten tenths of a second may be a hair less than one, by rounding."""
FAILED_KEPT_S: Final = 30.0
"""The same message, sent so much later than it failed, is a retry no more."""
OPEN_S: Final = 5
"""A second that nobody reads is closed so much later."""
HEAVY: Final = 8
"""Messages of one task on one edge in a second from which on the task is named."""
HEAVY_NAMED: Final = 50
"""Tasks that are named for one edge and arm, the heaviest."""

_FAILURES = (Happening.FAILED, Happening.TIMED_OUT)
Times = npt.NDArray[np.int64]

Edge = tuple[str, str, str]
"""Role that sends ('' outside), role that receives, kind."""


class EdgeArm(NamedTuple):
    """One edge in one arm."""

    edge: Edge
    arm: Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What was sent on one edge in one arm in one second.

    Attributes:
        messages: All of it.
        again: Of these, retries: sent again by the messenger after they got lost, or the same
            message of the same task once more after it had failed. Of tasks whose messages are
            not looked into, only the former are seen.
        tasks: Tasks that sent here.
        heavy: Keys of those that sent `HEAVY` or more, with how many; the heaviest first.
    """

    messages: int
    again: int = 0
    tasks: int = 0
    heavy: tuple[tuple[int, int], ...] = ()

    def tasks_from(self, messages: float) -> frozenset[int]:
        """Return the keys of the tasks that sent so many messages, or more, and are heavy."""
        return frozenset(task for task, many in self.heavy if many >= messages)

    def plus(self, other: Sent) -> Sent:
        """Return the sums of both, of different tasks."""
        return Sent(
            messages=self.messages + other.messages,
            again=self.again + other.again,
            tasks=self.tasks + other.tasks,
            heavy=_heaviest((*self.heavy, *other.heavy)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One second.

    Attributes:
        at: Its number: the collector's clock when it began.
        sent: By edge and arm; mirrored messages do not count.
        tasks: Tasks of each arm that sent anything.
    """

    at: int
    sent: Mapping[EdgeArm, Sent]
    tasks: Mapping[Arm, int]

    def plus(self, other: Beat) -> Beat:
        """Return the sums of both, of different tasks."""
        sent = dict(self.sent)
        for where, more in other.sent.items():
            sent[where] = sent[where].plus(more) if where in sent else more
        arms = self.tasks.keys() | other.tasks.keys()
        tasks = {arm: self.tasks.get(arm, 0) + other.tasks.get(arm, 0) for arm in sorted(arms)}
        return Beat(at=self.at, sent=sent, tasks=tasks)

    def without(self, arm: Arm) -> Beat:
        """Return what the tasks of the other arms sent."""
        return Beat(
            at=self.at,
            sent={where: sent for where, sent in self.sent.items() if where.arm is not arm},
            tasks={other: many for other, many in self.tasks.items() if other is not arm},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beats:
    """Closed seconds.

    Attributes:
        until: All seconds before this one are closed.
        beats: Those that were asked for in which anything was sent, in order.
    """

    until: int
    beats: tuple[Beat, ...] = ()


@dataclass(slots=True)
class _Parts:
    """What came of one second that is still open: arrays of task, edge, messages, sent again."""

    task: list[Keys] = field(default_factory=list)
    edge: list[Ints] = field(default_factory=list)
    messages: list[Ints] = field(default_factory=list)
    again: list[Ints] = field(default_factory=list)


class Pulse:
    """The last seconds of one collector.

    Args:
        lag_s: A second is closed so long after its end: by then its telemetry has come.
    """

    def __init__(self, *, lag_s: float = LAG_S) -> None:
        self._lag_s = lag_s
        self._first_open = 0
        self._open: dict[int, _Parts] = {}
        self._beats: deque[Beat] = deque(maxlen=BEATS_KEPT)
        self._edges: dict[EdgeArm, int] = {}
        self._failed: deque[tuple[float, Keys, Times]] = deque()

    def take(self, batch: Batch, *, now_s: float) -> None:
        """Count what a batch says was sent; the caller sees to it that none comes twice."""
        self._close(floor(now_s - self._lag_s + CLOCK_S) - OPEN_S)
        records = batch.records
        self._note_failures(records, now_s)
        places = np.flatnonzero(
            (records["ev"] == Happening.SENT) & (records["flags"] & MIRRORED == 0)
        )
        if not len(places):
            return
        second = self._seconds(records["t"][places], int(records["t"].max()), now_s)
        edge, task = self._edge_numbers(batch, places), records["task"][places]
        offset = (second - second.min()).astype(np.uint64)
        where = (offset << np.uint64(32)) | edge.astype(np.uint64)
        # Two different pairs share a number once in 2^64 times.
        heads, row = group(_mixed(task, where))
        messages = np.bincount(row, minlength=len(heads))
        is_again = self._is_again(records, places, task)
        again = np.bincount(row, is_again, len(heads)).astype(np.int64)
        for number in np.unique(second[heads]).tolist():
            chosen = second[heads] == number
            parts = self._open.setdefault(number, _Parts())
            parts.task.append(task[heads[chosen]])
            parts.edge.append(edge[heads[chosen]])
            parts.messages.append(messages[chosen])
            parts.again.append(again[chosen])

    def read(self, after: int = -1, *, now_s: float) -> Beats:
        """Return the closed seconds behind number `after`, as far as they are kept."""
        self._close(floor(now_s - self._lag_s + CLOCK_S))
        return Beats(
            until=self._first_open,
            beats=tuple(beat for beat in self._beats if beat.at > after),
        )

    def _note_failures(self, records: Records, now_s: float) -> None:
        while self._failed and self._failed[0][0] < now_s - FAILED_KEPT_S:
            self._failed.popleft()
        failed = records[np.isin(records["ev"], _FAILURES) & (records["dig"] != NONE)]
        if len(failed):
            self._failed.append((now_s, _mixed(failed["task"], failed["dig"]), failed["t"]))

    def _is_again(self, records: Records, places: Ints, task: Keys) -> npt.NDArray[np.bool_]:
        again: npt.NDArray[np.bool_] = records["flags"][places] >> ATTEMPT > 0
        if not self._failed:
            return again
        keys = np.concatenate([keys for _, keys, _ in self._failed])
        at = np.concatenate([times for _, _, times in self._failed])
        order = np.lexsort((at, keys))
        keys, at = keys[order], at[order]
        digest = records["dig"][places]
        wanted = _mixed(task, digest)
        first = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_known = (keys[first] == wanted) & (digest != NONE)
        again |= is_known & (at[first] <= records["t"][places])
        return again

    def _seconds(self, at_ns: Times, newest_ns: int, now_s: float) -> Ints:
        ago_s = (newest_ns - at_ns) / 1e9
        seconds: Ints = np.floor(now_s - ago_s).astype(np.int64)
        return np.clip(seconds, self._first_open, floor(now_s + CLOCK_S))

    def _edge_numbers(self, batch: Batch, places: Ints) -> Ints:
        code = np.zeros(len(places), np.uint64)
        for name in ("src", "dst", "kind", "arm"):
            code = (code << np.uint64(16)) | batch.records[name][places].astype(np.uint64)
        heads, row = group(code)
        numbers = []
        for head in batch.records[places[heads]]:
            roles = (batch.nodes.get(int(head[side]), "") for side in ("src", "dst"))
            src, dst = (node.partition("@")[0] for node in roles)
            where = EdgeArm((src, dst, batch.kinds.get(int(head["kind"]), "")), Arm(head["arm"]))
            numbers.append(self._edges.setdefault(where, len(self._edges)))
        return np.array(numbers, np.int64)[row]

    def _close(self, until: int) -> None:
        """Close the seconds before this one."""
        self._first_open = max(self._first_open, until)
        for number in sorted(number for number in self._open if number < until):
            self._beats.append(self._beat(number, self._open.pop(number)))

    def _beat(self, number: int, parts: _Parts) -> Beat:
        task, edge = np.concatenate(parts.task), np.concatenate(parts.edge)
        heads, row = group(_mixed(task, edge.astype(np.uint64)))
        messages = np.bincount(row, np.concatenate(parts.messages)).astype(np.int64)
        again = np.bincount(row, np.concatenate(parts.again)).astype(np.int64)
        edge, task = edge[heads], task[heads]
        names = list(self._edges)
        sent = {}
        for here in np.unique(edge).tolist():
            rows = edge == here
            heavy = rows & (messages >= HEAVY)
            sent[names[here]] = Sent(
                messages=int(messages[rows].sum()),
                again=int(again[rows].sum()),
                tasks=int(rows.sum()),
                heavy=_heaviest(zip(task[heavy].tolist(), messages[heavy].tolist(), strict=True)),
            )
        arms = np.array([where.arm for where in names])[edge]
        tasks = {arm: len(np.unique(task[arms == arm])) for arm in Arm if (arms == arm).any()}
        return Beat(at=number, sent=sent, tasks=tasks)


def merge_beats(parts: Sequence[Beats]) -> Beats:
    """Return the seconds that all collectors have closed, summed; no task may be in two."""
    until = min(part.until for part in parts)
    beats: dict[int, Beat] = {}
    for beat in _all(parts):
        if beat.at < until:
            known = beats.get(beat.at)
            beats[beat.at] = beat if known is None else known.plus(beat)
    return Beats(until=until, beats=tuple(beats[at] for at in sorted(beats)))


def _all(parts: Iterable[Beats]) -> Iterable[Beat]:
    return (beat for part in parts for beat in part.beats)


def _heaviest(tasks: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(nsmallest(HEAVY_NAMED, tasks, key=lambda one: (-one[1], one[0])))


def _mixed(task: Keys, where: npt.NDArray[Any]) -> Keys:
    mixed: Keys = task ^ (where + np.uint64(1)) * np.uint64(0x9E37_79B9_7F4A_7C15)
    return mixed
