"""The events of open tasks that the livelock detector needs, and what it says of them.

A collector sees a task's events in the order in which its writers ship them, replica by replica;
so they are kept until the task has ended and then looked at together, in order of their time.
What comes after the end only counts as late.

Times are the writers'. A clock that is ahead would put its replica's messages last, and "after the
end": no event is taken for later than it arrived.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rolewise.fleet.recording.notes import Noted, Notes
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interaction_graph import split_node
from rolewise.graphs.interactions import Arm, Batch, Happening
from rolewise.graphs.loop_batch import LoopEvents, Step, learn_limits, loop_figures
from rolewise.graphs.loops import (
    LATE_NS,
    Figure,
    Table,
    find_breach,
    flag_names,
    raised_flags,
)

TASKS_KEPT = 60_000
EVENTS_KEPT = 8192
"""Of one task; far beyond every limit."""
BUSY_FROM = 20
"""Messages from which on a task is looked at for hard limits."""
LEARN_EVERY = 100
LEARN_FROM_LAST = 2000

_MIRRORED = 8
_NO_STEP = 255
_STEPS = {
    Happening.SENT: Step.SENT,
    Happening.REPLIED: Step.REPLIED,
    Happening.FAILED: Step.FAILED,
    Happening.TIMED_OUT: Step.FAILED,
}
_ENDS = (Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT, Happening.CANCELLED)
_EVENT = np.dtype(
    [
        ("task", "<u8"),
        ("at", "<i8"),
        ("digest", "<u8"),
        ("size", "<u4"),
        ("src", "<u2"),
        ("dst", "<u2"),
        ("kind", "<u2"),
        ("step", "u1"),
        ("hop", "u1"),
        ("attempt", "u1"),
    ]
)
_RAW = np.dtype(f"V{_EVENT.itemsize}")
_Events = npt.NDArray[np.void]


@dataclass(slots=True)
class _Task:
    """One task: its events while it is open, then its figures."""

    parts: list[_Events] = field(default_factory=list)
    events: int = 0
    sends: int = 0
    ended_at: int | None = None
    kind: tuple[int, int] = (0, 0)  # entry role and kind of the first message: the task's type
    is_stable: bool = False
    figures: tuple[float, ...] | None = None
    looked_at: int = 0


class LoopLedger:
    """The loops of one shard's tasks."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[int, _Task] = OrderedDict()
        self._busy: set[int] = set()
        self._roles: dict[str, int] = {"": 0}
        self._kinds: dict[str, int] = {"": 0}
        self._seen: dict[tuple[int, int], deque[tuple[float, ...]]] = {}
        self._limits: dict[tuple[int, int], Table] = {}
        self._to_learn: dict[tuple[int, int], int] = {}

    def take(self, batch: Batch, notes: Notes, *, now_s: float) -> None:
        """Note the events of a delivery that has not come before."""
        events = _joined([self._of_records(batch), _of_notes(notes)])
        if len(events) == 0:
            return
        np.minimum(events["at"], int(now_s * 1e9), out=events["at"])
        events = events[np.argsort(events["task"], kind="stable")]
        keys, starts = np.unique(events["task"], return_index=True)
        parts = np.split(events, starts[1:])
        for key, part in zip(keys.tolist(), parts, strict=True):
            self._note(key, part)

    def flags(self, keys: Sequence[int]) -> list[tuple[str, ...]]:
        """Return the flags of each task, by its key; none for one that is not known."""
        self._look([key for key in keys if key in self._tasks])
        return [self._flags(self._tasks.get(key)) for key in keys]

    def breaches(self, limits: GuardLimits) -> dict[int, str]:
        """Return the tasks that have broken a hard limit, and which, in words; each once.

        A task that has ended breaks one only by its messages: events may go on without it.
        """
        busy = [key for key in sorted(self._busy) if self._tasks[key].sends > _least(limits)]
        self._look([key for key in busy if self._tasks[key].ended_at is None])
        found = {}
        for key in busy:
            task = self._tasks[key]
            figures = list(task.figures or (0.0,) * len(Figure))
            figures[Figure.SIZE] = task.sends
            if task.ended_at is not None:
                figures[Figure.STALLED] = figures[Figure.HOPS] = 0
            if words := find_breach(tuple(figures), limits):
                found[key] = words
                self._busy.discard(key)
        return found

    def _note(self, key: int, part: _Events) -> None:
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = _Task()
            if len(self._tasks) > TASKS_KEPT:
                self._busy.discard(self._tasks.popitem(last=False)[0])
        sent = part["step"] == Step.SENT
        task.sends += int(sent.sum())
        if task.sends >= BUSY_FROM:
            self._busy.add(key)
        if task.figures is not None and task.ended_at is not None:
            late = int((part["at"][sent] - task.ended_at >= LATE_NS).sum())
            if late:
                figures = list(task.figures)
                figures[Figure.LATE] += late
                task.figures = tuple(figures)
            return
        if task.events < EVENTS_KEPT:
            task.parts.append(part)
        task.events += len(part)
        first = np.flatnonzero(sent & (part["src"] == 0))
        if len(first):
            task.kind = int(part["dst"][first[0]]), int(part["kind"][first[0]])
        ended = part["at"][part["step"] == Step.ENDED]
        if len(ended) and task.ended_at is None:
            task.ended_at = int(ended[0])

    def _look(self, keys: Sequence[int]) -> None:
        """Take the figures of tasks of which more has come since the last look."""
        wanted = [key for key in keys if self._tasks[key].looked_at != self._tasks[key].events]
        if not wanted:
            return
        parts = [part for key in wanted for part in self._tasks[key].parts]
        lengths = [sum(map(len, self._tasks[key].parts)) for key in wanted]
        events = _joined(parts)
        owner = np.repeat(np.arange(len(wanted)), lengths)
        order = np.lexsort((events["at"], owner))
        table = loop_figures(_columns(events[order], owner[order]), len(wanted))
        for key, row in zip(wanted, table.tolist(), strict=True):
            task = self._tasks[key]
            task.figures, task.looked_at = tuple(row), task.events
            if task.ended_at is not None:
                task.parts.clear()
                self._learn(task)

    def _learn(self, task: _Task) -> None:
        """Let limits of a type of task follow what its tasks on stable versions do."""
        if not task.is_stable or task.figures is None:
            return
        seen = self._seen.setdefault(task.kind, deque(maxlen=LEARN_FROM_LAST))
        seen.append(task.figures)
        left = self._to_learn.get(task.kind, LEARN_EVERY) - 1
        if left == 0:
            self._limits[task.kind] = learn_limits(np.array(seen))
            left = LEARN_EVERY
        self._to_learn[task.kind] = left

    def _flags(self, task: _Task | None) -> tuple[str, ...]:
        if task is None or task.figures is None:
            return ()
        return flag_names(raised_flags(np.array(task.figures), self._limits.get(task.kind)))

    def _of_records(self, batch: Batch) -> _Events:
        records = batch.records
        records = records[(records["flags"] & _MIRRORED) == 0]
        steps = np.full(256, _NO_STEP, np.uint8)
        for happening, step in _STEPS.items():
            steps[happening] = step
        roles = _numbers(batch.nodes, self._roles, lambda node: split_node(node)[0])
        kinds = _numbers(batch.kinds, self._kinds, str)
        events = np.zeros(len(records), _EVENT)
        events["task"], events["at"], events["digest"] = (
            records["task"],
            records["t"],
            records["dig"],
        )
        events["size"], events["hop"] = records["size"], records["hop"]
        events["src"], events["dst"] = roles[records["src"]], roles[records["dst"]]
        events["kind"] = kinds[records["kind"]]
        events["attempt"] = records["flags"] >> 5
        events["step"] = steps[records["ev"]]
        self._note_arms(records)
        ends = events[np.isin(records["ev"], _ENDS) & (events["src"] == 0)].copy()
        ends["step"] = Step.ENDED
        return _joined([events[events["step"] < _NO_STEP], ends])

    def _note_arms(self, records: _Events) -> None:
        first = records[(records["ev"] == Happening.SENT) & (records["inv"] == 0)]
        for key, arm in zip(first["task"].tolist(), first["arm"].tolist(), strict=True):
            self._tasks.setdefault(key, _Task()).is_stable = arm != Arm.CANARY


def _joined(parts: Sequence[_Events]) -> _Events:
    """Join arrays of events; as bare bytes, since numpy compares the fields of each otherwise."""
    return np.concatenate([part.view(_RAW) for part in parts]).view(_EVENT)


def _of_notes(notes: Notes) -> _Events:
    marks = notes[notes["what"] == Noted.PROGRESS]
    events = np.zeros(len(marks), _EVENT)
    events["task"], events["at"] = marks["task"], marks["t"]
    # What counts the first time only is like a reply: news, or not.
    events["step"] = np.where(marks["a"] == 0, Step.PROGRESSED, Step.REPLIED)
    events["digest"] = marks["a"]
    return events


def _numbers(
    names: Mapping[int, str], table: dict[str, int], name_of: Callable[[str], str]
) -> npt.NDArray[np.uint16]:
    """Return the ledger's number for each of the batch's, which differ from writer to writer."""
    numbers = np.zeros(max(names, default=0) + 1, np.uint16)
    for number, name in names.items():
        numbers[number] = min(table.setdefault(name_of(name), len(table)), 0xFFFF)
    return numbers


def _least(limits: GuardLimits) -> float:
    """Return the messages below which no limit can be broken."""
    return min((n for n in (limits.messages, limits.stalled) if n), default=float("inf"))


def _columns(events: _Events, owner: npt.NDArray[np.int64]) -> LoopEvents:
    def column(name: str) -> npt.NDArray[np.int64]:
        return events[name].astype(np.int64)

    return LoopEvents(
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
