"""The events of tasks, kept as they come, and brought in order only when somebody asks for a task.

Most tasks are never asked about, and those that are, once, when they have ended. So a delivery is
put aside as it is. Asking sorts what has come meanwhile into a run: its events task by task, and
within a task as they arrived. Runs of like length are put together, so that there are few of them
and an event is moved few times.

Times are the writers'. A clock that is ahead would put its replica's messages last, and "after the
end": no event is taken for later than it arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rolewise.fleet.recording.notes import Noted, Notes
from rolewise.graphs.grouping import group
from rolewise.graphs.interaction_graph import split_node
from rolewise.graphs.interactions import Batch, Happening, Records
from rolewise.graphs.loop_batch import Step

RECORDS_KEPT = 1 << 19
"""Records that wait to be looked at; beyond, the oldest are forgotten. Twice as many events are
kept in order. A task that lasts longer is judged by what came since."""

_MIRRORED = 8
_NO_STEP = 255
_STEPS = np.full(256, _NO_STEP, np.uint8)
_STEPS[[Happening.SENT, Happening.REPLIED]] = Step.SENT, Step.REPLIED
_STEPS[[Happening.FAILED, Happening.TIMED_OUT]] = Step.FAILED
_ENDS = np.zeros(256, np.bool_)
_ENDS[[Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT, Happening.CANCELLED]] = True
EVENT = np.dtype(
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
        ("arm", "u1"),
    ]
)
_RAW = np.dtype(f"V{EVENT.itemsize}")
Events = npt.NDArray[np.void]
Places = npt.NDArray[np.intp]


@dataclass(slots=True)
class _Aside:
    """A delivery as it came."""

    batch: Batch
    notes: Notes
    now_ns: int

    def __len__(self) -> int:
        return len(self.batch.records) + len(self.notes)


@dataclass(slots=True, eq=False)
class _Run:
    """Events in order of their task."""

    events: Events
    tasks: npt.NDArray[np.uint64]  # ascending
    starts: Places  # of each task, and the end

    def find(self, keys: npt.NDArray[np.uint64]) -> tuple[Places, Places]:
        """Return where events of these tasks stand, and the place of each one's task in `keys`."""
        at = np.minimum(np.searchsorted(self.tasks, keys), len(self.tasks) - 1)
        known = np.flatnonzero(self.tasks[at] == keys)
        begin = self.starts[at[known]]
        length = self.starts[at[known] + 1] - begin
        shift = np.repeat(begin - (np.cumsum(length) - length), length)
        return shift + np.arange(len(shift)), np.repeat(known, length)


class LoopEvents:
    """The events of one shard's tasks, those of the last so many records.

    Args:
        records_kept: See `RECORDS_KEPT`.
    """

    def __init__(self, *, records_kept: int = RECORDS_KEPT) -> None:
        self._records_kept = records_kept
        self._aside: deque[_Aside] = deque()
        self._records = 0
        self._runs: list[_Run] = []
        self._roles: dict[str, int] = {"": 0}
        self._kinds: dict[str, int] = {"": 0}

    def take(self, batch: Batch, notes: Notes, *, now_s: float) -> None:
        """Put a delivery aside."""
        aside = _Aside(batch, notes, int(now_s * 1e9))
        if not len(aside):
            return
        self._aside.append(aside)
        self._records += len(aside)
        while self._records - len(self._aside[0]) >= self._records_kept:
            self._records -= len(self._aside.popleft())

    def of(
        self, keys: Sequence[int], *, closed: Collection[int] = ()
    ) -> tuple[Events, npt.NDArray[np.int64]]:
        """Return the events of some tasks, as they arrived, and the place of each one's task.

        Args:
            keys: Of the tasks.
            closed: Of tasks of which no more than the end is kept, of what comes now.
        """
        self._put_in_order(closed)
        wanted = np.array(keys, np.uint64)
        parts, owners = [np.zeros(0, EVENT)], [np.zeros(0, np.int64)]
        for run in self._runs:
            places, owner = run.find(wanted)
            here = run.events["step"][places] != _NO_STEP
            parts.append(run.events[places[here]])
            owners.append(owner[here])
        owner = np.concatenate(owners)
        order = np.argsort(owner, kind="stable")
        return _joined(parts)[order], owner[order]

    def forget(self, keys: Sequence[int]) -> None:
        """Drop what has been returned of some tasks; what comes later is kept."""
        wanted = np.array(keys, np.uint64)
        for run in self._runs:
            run.events["step"][run.find(wanted)[0]] = _NO_STEP

    def _put_in_order(self, closed: Collection[int]) -> None:
        parts = [self._of_batch(aside) for aside in self._aside]
        self._aside.clear()
        self._records = 0
        if not (parts := [part for part in parts if len(part)]):
            return
        events = _joined(parts)
        if closed:
            over = np.isin(events["task"], np.fromiter(closed, np.uint64, len(closed)))
            events = events[~over | (events["step"] == Step.ENDED)]
        while self._runs and len(self._runs[-1].events) < 2 * len(events):
            older = self._runs.pop().events
            events = _joined([older[older["step"] != _NO_STEP], events])
        if len(events):
            self._runs.append(_in_order(events))
        while (
            sum(len(run.events) for run in self._runs) > 2 * self._records_kept
            and len(self._runs) > 1
        ):
            del self._runs[0]

    def _of_batch(self, aside: _Aside) -> Events:
        batch = aside.batch
        records = batch.records
        step = _STEPS[records["ev"]]
        is_end = _ENDS[records["ev"]]
        mirrored = (records["flags"] & _MIRRORED) > 0
        if mirrored.any():
            step[mirrored], is_end[mirrored] = _NO_STEP, False
        kept = np.flatnonzero(step != _NO_STEP)
        roles = _numbers(batch.nodes, self._roles, lambda node: split_node(node)[0])
        kinds = _numbers(batch.kinds, self._kinds, str)
        ends = np.flatnonzero(is_end)
        ends = ends[roles[records["src"][ends]] == 0]
        events = np.empty(len(kept) + len(ends), EVENT)
        _fill(events[: len(kept)], records[kept], roles, kinds)
        events["step"][: len(kept)] = step[kept]
        _fill(events[len(kept) :], records[ends], roles, kinds)
        events["step"][len(kept) :] = Step.ENDED
        if len(aside.notes):
            events = _joined([events, _of_notes(aside.notes)])
        np.minimum(events["at"], aside.now_ns, out=events["at"])
        return events


def _fill(
    events: Events,
    records: Records,
    roles: npt.NDArray[np.uint16],
    kinds: npt.NDArray[np.uint16],
) -> None:
    events["task"], events["at"] = records["task"], records["t"]
    events["digest"], events["size"] = records["dig"], records["size"]
    events["src"], events["dst"] = roles[records["src"]], roles[records["dst"]]
    events["kind"], events["hop"] = kinds[records["kind"]], records["hop"]
    events["attempt"], events["arm"] = records["flags"] >> 5, records["arm"]


def _of_notes(notes: Notes) -> Events:
    marks = notes[notes["what"] == Noted.PROGRESS]
    events = np.zeros(len(marks), EVENT)
    events["task"], events["at"] = marks["task"], marks["t"]
    # What counts the first time only is like a reply: news, or not.
    events["step"] = np.where(marks["a"] == 0, Step.PROGRESSED, Step.REPLIED)
    events["digest"] = marks["a"]
    return events


def _in_order(events: Events) -> _Run:
    keys = np.ascontiguousarray(events["task"])
    heads, number = group(keys)
    rank = np.empty(len(heads), np.int64)
    ascending = np.argsort(keys[heads])
    rank[ascending] = np.arange(len(heads))
    by_task = rank[number]
    # Sorting numbers of 16 bits is a matter of counting.
    order = np.argsort(
        by_task.astype(np.uint16 if len(heads) <= 1 << 16 else np.int64), kind="stable"
    )
    counts = np.bincount(by_task, minlength=len(heads))
    return _Run(
        events=events.view(_RAW)[order].view(EVENT),
        tasks=keys[heads[ascending]],
        starts=np.concatenate([[0], np.cumsum(counts)]),
    )


def _joined(parts: Sequence[Events]) -> Events:
    """Join arrays of events; as bare bytes, since numpy compares the fields of each otherwise."""
    return np.concatenate([part.view(_RAW) for part in parts]).view(EVENT)


def _numbers(
    names: Mapping[int, str], table: dict[str, int], name_of: Callable[[str], str]
) -> npt.NDArray[np.uint16]:
    """Return the store's number for each of the batch's, which differ from writer to writer."""
    numbers = np.zeros(max(names, default=0) + 1, np.uint16)
    for number, name in names.items():
        numbers[number] = min(table.setdefault(name_of(name), len(table)), 0xFFFF)
    return numbers
