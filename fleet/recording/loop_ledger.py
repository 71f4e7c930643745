"""What the livelock detector says of the tasks of one shard.

A collector sees a task's events in the order in which its writers ship them, replica by replica;
so a task is looked at as a whole, in order of its events' time, when somebody asks. What comes
after the end only counts as late.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from rolewise.fleet.recording import loop_events
from rolewise.fleet.recording.loop_events import LoopEvents
from rolewise.fleet.recording.notes import Notes
from rolewise.graphs import loop_batch
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interactions import Arm, Batch
from rolewise.graphs.loop_batch import Step, learn_limits, loop_figures
from rolewise.graphs.loops import (
    LATE_NS,
    Figure,
    Table,
    find_breach,
    flag_names,
    raised_flags,
)
from rolewise.graphs.task_table import TASKS_KEPT

RECORDS_A_TASK = 9
"""For so many there is room before anybody looks at them."""
MESSAGES_KEPT = 4096
"""Of one task; far beyond every limit."""
BUSY_FROM = 20
"""Messages from which on a task is looked at for hard limits."""
LEARN_EVERY = 100
LEARN_FROM_LAST = 2000

_Type = tuple[int, int]
"""Entry role and kind of the first message: the task's type."""


@dataclass(slots=True)
class _Looked:
    """What is known of a task that was looked at."""

    figures: tuple[float, ...]
    kind: _Type = (0, 0)
    is_stable: bool = False
    ended_at: int | None = None
    events: int = 0


def surplus_of(by_task: Mapping[int, object], kept: int) -> list[int]:
    """Return the tasks to forget, those that were seen first: none while there are not too many.

    It is a quarter of the bound more than must be, so that it is not done for every task.
    """
    surplus = len(by_task) - kept
    return list(islice(by_task, surplus + kept // 4)) if surplus > 0 else []


class LoopLedger:
    """The loops of one shard's tasks.

    Args:
        tasks_kept: Those that were seen first are forgotten beyond.
    """

    def __init__(self, *, tasks_kept: int = TASKS_KEPT) -> None:
        self._tasks_kept = tasks_kept
        self._events = LoopEvents(records_kept=RECORDS_A_TASK * tasks_kept)
        self._sends: dict[int, int] = {}
        self._busy: set[int] = set()
        self._endless: set[int] = set()
        self._looked: OrderedDict[int, _Looked] = OrderedDict()
        self._seen: dict[_Type, deque[tuple[float, ...]]] = {}
        self._limits: dict[_Type, Table] = {}
        self._to_learn: dict[_Type, int] = {}

    def take(
        self, batch: Batch, notes: Notes, sends: Iterable[tuple[int, int]], *, now_s: float
    ) -> None:
        """Note a delivery that has not come before.

        Args:
            batch: Its records.
            notes: Its notes.
            sends: How many messages, mirrored ones left out, were sent for each task.
            now_s: When it came.
        """
        self._events.take(batch, notes, now_s=now_s)
        known = self._sends
        for key, count in sends:
            known[key] = total = known.get(key, 0) + count
            if total >= BUSY_FROM:
                self._busy.add(key)
                if total > MESSAGES_KEPT:
                    self._endless.add(key)
        self._forget(surplus_of(known, self._tasks_kept))

    def flags(self, keys: Sequence[int]) -> list[tuple[str, ...]]:
        """Return the flags of each task, by its key; none for one that is not known."""
        self._look(keys)
        return [self._flags(self._looked.get(key)) for key in keys]

    def breaches(self, limits: GuardLimits) -> dict[int, str]:
        """Return the tasks that have broken a hard limit, and which, in words; each once.

        A task that has ended breaks one only by its messages: events may go on without it.
        """
        least = _least(limits)
        busy = sorted(key for key in self._busy if self._sends[key] > least)
        self._look(busy)
        found = {}
        for key in busy:
            task = self._looked.get(key)
            figures = [0.0] * len(Figure) if task is None else list(task.figures)
            figures[Figure.SIZE] = self._sends[key]
            if task is not None and task.ended_at is not None:
                figures[Figure.STALLED] = figures[Figure.HOPS] = 0
            if words := find_breach(tuple(figures), limits):
                found[key] = words
                self._busy.discard(key)
        return found

    def _look(self, keys: Sequence[int]) -> None:
        """Take the figures of tasks of which more has come since the last look."""
        keys = list(dict.fromkeys(keys))
        if not keys:
            return
        events, owner = self._events.of(keys, closed=self._endless)
        bounds = np.searchsorted(owner, np.arange(len(keys) + 1)).tolist()
        wanted: list[int] = []
        for place, key in enumerate(keys):
            begin, end = bounds[place : place + 2]
            task = self._looked.get(key)
            if task is not None and task.ended_at is not None:
                self._note_late(task, events[begin:end])
            elif end > begin and (task is None or task.events != end - begin):
                wanted.append(place)
        chosen = np.zeros(len(keys), np.bool_)
        chosen[wanted] = True
        self._note_figures([keys[place] for place in wanted], events, owner, chosen)
        ended = [key for key in keys if (t := self._looked.get(key)) and t.ended_at is not None]
        self._events.forget(ended)

    def _note_figures(
        self,
        keys: Sequence[int],
        events: loop_events.Events,
        owner: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.bool_],
    ) -> None:
        if not keys:
            return
        rows = np.flatnonzero(chosen[owner])
        events = events[rows]
        owner = (np.cumsum(chosen) - 1)[owner[rows]]
        order = np.lexsort((events["at"], owner))
        table = loop_figures(_columns(events[order], owner[order]), len(keys))
        bounds = np.searchsorted(owner, np.arange(len(keys) + 1)).tolist()
        for place, (key, row) in enumerate(zip(keys, table.tolist(), strict=True)):
            own = events[bounds[place] : bounds[place + 1]]
            task = _Looked(figures=tuple(row), events=len(own))
            first = own[(own["step"] == Step.SENT) & (own["src"] == 0)]
            if len(first):
                task.kind = int(first["dst"][0]), int(first["kind"][0])
                task.is_stable = int(first["arm"][-1]) != Arm.CANARY
            ended = own["at"][own["step"] == Step.ENDED]
            if len(ended):
                task.ended_at = int(ended[0])
                self._learn(task)
            self._looked[key] = task
        while len(self._looked) > self._tasks_kept:
            self._looked.popitem(last=False)

    def _note_late(self, task: _Looked, events: loop_events.Events) -> None:
        if task.ended_at is None:
            return
        sent = events["at"][events["step"] == Step.SENT]
        figures = list(task.figures)
        figures[Figure.LATE] += int((sent - task.ended_at >= LATE_NS).sum())
        task.figures = tuple(figures)

    def _learn(self, task: _Looked) -> None:
        """Let limits of a type of task follow what its tasks on stable versions do."""
        if not task.is_stable:
            return
        seen = self._seen.setdefault(task.kind, deque(maxlen=LEARN_FROM_LAST))
        seen.append(task.figures)
        left = self._to_learn.get(task.kind, LEARN_EVERY) - 1
        if left == 0:
            self._limits[task.kind] = learn_limits(np.array(seen))
            left = LEARN_EVERY
        self._to_learn[task.kind] = left

    def _flags(self, task: _Looked | None) -> tuple[str, ...]:
        if task is None:
            return ()
        return flag_names(raised_flags(np.array(task.figures), self._limits.get(task.kind)))

    def _forget(self, keys: Sequence[int]) -> None:
        """Drop tasks altogether."""
        for key in keys:
            del self._sends[key]
        self._busy.difference_update(keys)
        self._endless.difference_update(keys)


def _least(limits: GuardLimits) -> float:
    """Return the messages below which no limit can be broken."""
    return min((n for n in (limits.messages, limits.stalled) if n), default=float("inf"))


def _columns(events: loop_events.Events, owner: npt.NDArray[np.int64]) -> loop_batch.LoopEvents:
    def column(name: str) -> npt.NDArray[np.int64]:
        return events[name].astype(np.int64)

    return loop_batch.LoopEvents(
        task=owner,
        step=column("step"),
        digest=events["digest"].astype(np.uint64),
        src=column("src"),
        dst=column("dst"),
        kind=column("kind"),
        hop=column("hop"),
        size=column("size"),
        attempt=column("attempt"),
        at_ns=column("at"),
    )
