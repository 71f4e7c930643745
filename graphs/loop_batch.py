"""The figures of many tasks at once, from columns: the same as `TaskLoops`, by array work.

Also the limits learnt from tasks of the baseline: split conformal prediction, which holds for any
distribution as long as tasks are exchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from rolewise.graphs.digests import NONE, Digests, shapes
from rolewise.graphs.loops import (
    DEFAULT_LIMITS,
    GROWTH_FROM,
    GROWTH_SPAN,
    LATE_NS,
    NOVELTY_FROM,
    NOVELTY_KEPT,
    PERIODS,
    SEEN_CAP,
    Figure,
    Table,
    rank_growth,
)

LEARN_FROM: Final = 100
LEARN_ALPHA: Final = 0.005
_WHOLE = (Figure.REPEAT, Figure.PING_PONG, Figure.STALLED, Figure.HOPS, Figure.SIZE)
_COUNTED = (*_WHOLE, Figure.RETRIES, Figure.LATE)

Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


class Step(IntEnum):
    """What an event of a task is."""

    SENT = 0
    REPLIED = 1
    FAILED = 2
    PROGRESSED = 3
    ENDED = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoopEvents:
    """Events of tasks, in columns; within a task they stand in the order in which they happened.

    Attributes:
        task: Number of the task, 0 to n - 1; tasks may be interleaved.
        step: A `Step`.
        digest: Of the message or the reply; 0 none.
        src: Number of the role that sends; `SENT` only, as all that follow.
        dst: Number of the role that it is for.
        kind: Number of its kind.
        hop: Length of the chain of parents.
        size: Bytes.
        attempt: Above 0: the runtime sent it again.
        at_ns: When.
    """

    task: Ints
    step: Ints
    digest: Digests
    src: Ints
    dst: Ints
    kind: Ints
    hop: Ints
    size: Ints
    attempt: Ints
    at_ns: Ints


def loop_figures(events: LoopEvents, tasks: int) -> Table:
    """Return the figures of `tasks` tasks, one row each, columns in the order of `Figure`.

    Notes:
        O(n log n) in the events, for sorting by task and by digest.
    """
    figures = np.zeros((tasks, len(Figure)))
    order = np.argsort(events.task, kind="stable")
    task, step = events.task[order], events.step[order]
    digest = events.digest[order]
    is_sent = step == Step.SENT
    sends = order[is_sent]
    if len(sends) == 0:
        return figures
    owner = task[is_sent]
    since, place = _since_progress(task, digest, step)
    best = _Best(figures, owner)

    best.note(Figure.STALLED, since)
    best.note(Figure.HOPS, events.hop[sends])
    best.note(Figure.SIZE, place + 1)
    _note_repeats(best, events, sends, since)
    _note_novelty(best, events.digest[sends], owner, place)
    edge = _codes(owner, events.src[sends], events.dst[sends], events.kind[sends])
    again = (events.attempt[sends] > 0) | _follows_failure(task, digest, step)[is_sent]
    best.note(Figure.RETRIES, np.where(again, _running(edge, again), 0))
    _note_growth(best, events.size[sends], edge, since)
    late = _late(task, events.at_ns[order], step)[is_sent]
    figures[:, Figure.LATE] = np.bincount(owner, weights=late, minlength=tasks)
    return figures


def learn_limits(figures: Table, *, alpha: float = LEARN_ALPHA) -> Table:
    """Return limits for tasks of one type, from such tasks of the baseline.

    Args:
        figures: Their figures, one row a task.
        alpha: Chance that a further task of the same kind raises a given flag.

    Returns:
        One limit a figure. The default below 100 tasks; never below half of it. Between 100 tasks
        and 1/alpha no task can be told to be beyond the others: then what the largest one
        reached raises no flag, nor does anything below the default.
    """
    defaults = np.array(DEFAULT_LIMITS)
    count = len(figures)
    if count < LEARN_FROM:
        return defaults
    rank = ceil((1 - alpha) * (count + 1))
    ranked = np.sort(figures, axis=0)
    quantile = ranked[min(rank, count) - 1]
    # A flag is raised at its limit, a figure must exceed the quantile: the next number above.
    beyond = np.nextafter(quantile, np.inf)
    for figure in _COUNTED:
        beyond[figure] = quantile[figure] + 1
    limits: Table = np.maximum(beyond, defaults if rank > count else defaults / 2)
    return limits


@dataclass(slots=True)
class _Best:
    """The largest value of each figure and task so far."""

    figures: Table
    owner: Ints

    def note(self, figure: Figure, values: npt.NDArray[np.float64] | Ints) -> None:
        starts = np.flatnonzero(np.r_[True, self.owner[1:] != self.owner[:-1]])
        largest = np.maximum.reduceat(values, starts)
        rows = self.owner[starts]
        self.figures[rows, figure] = np.maximum(self.figures[rows, figure], largest)


def _since_progress(task: Ints, digest: Digests, step: Ints) -> tuple[Ints, Ints]:
    """Return of each message how many came since progress, and its place in its task."""
    is_sent = step == Step.SENT
    is_reply = step == Step.REPLIED
    progress = step == Step.PROGRESSED
    news = np.flatnonzero(is_reply)
    progress[news] = _is_new(task[news], digest[news])
    made = np.cumsum(progress)[is_sent]
    owner = task[is_sent]
    count = np.arange(len(owner))
    first_of_task = np.r_[True, owner[1:] != owner[:-1]]
    first_since = first_of_task | np.r_[True, made[1:] != made[:-1]]
    place = count - np.maximum.accumulate(np.where(first_of_task, count, 0))
    return count - np.maximum.accumulate(np.where(first_since, count, 0)), place


def _is_new(task: Ints, digest: Digests) -> Marks:
    """Say of each (task, digest), in order, whether the task had not seen the digest before."""
    if len(task) == 0:
        return np.zeros(0, np.bool_)
    code = _codes(task, digest)
    _, first = np.unique(code, return_index=True)
    is_first = np.zeros(len(task), np.bool_)
    is_first[first] = True
    is_first &= digest != NONE
    seen = np.cumsum(is_first)
    begin = np.r_[True, task[1:] != task[:-1]]
    before = np.maximum.accumulate(np.where(begin, seen - is_first, 0))
    rank: Ints = seen - before  # of a first occurrence: which of the task's digests it is, from 1
    by_code = np.zeros(int(code.max()) + 1, np.int64)
    by_code[code[is_first]] = rank[is_first]
    return np.asarray(is_first | (digest == NONE) | (by_code[code] > SEEN_CAP))


def _note_repeats(best: _Best, events: LoopEvents, sends: Ints, since: Ints) -> None:
    owner, digest = best.owner, events.digest[sends]
    src, dst = events.src[sends], events.dst[sends]
    for period in range(1, PERIODS + 1):
        equal = np.zeros(len(sends), np.bool_)
        equal[period:] = (
            (digest[period:] == digest[:-period])
            & (owner[period:] == owner[:-period])
            & (digest[period:] != NONE)
        )
        best.note(Figure.REPEAT, np.minimum(_runs(equal), since) // period + 1)
    shape = shapes(digest)
    swings = np.zeros(len(sends), np.bool_)
    swings[2:] = (
        (shape[2:] == shape[:-2])
        & (owner[2:] == owner[:-2])
        & (digest[2:] != NONE)
        & (digest[:-2] != NONE)
        & (src[2:] != dst[2:])
        & (src[2:] == dst[1:-1])
        & (dst[2:] == src[1:-1])
        & (src[2:] == src[:-2])
        & (dst[2:] == dst[:-2])
    )
    run = np.minimum(_runs(swings), since)
    best.note(Figure.PING_PONG, np.where(run > 0, run + 1, 0))


def _note_novelty(best: _Best, digest: Digests, owner: Ints, place: Ints) -> None:
    # A moving average is a sum of ever smaller terms; doubling the span adds them in few rounds.
    average = (1.0 - NOVELTY_KEPT) * _is_new(owner, digest)
    span = 1
    while span <= min(int(place.max()), 512):
        earlier = np.zeros_like(average)
        earlier[span:] = average[:-span]
        average = average + np.where(place >= span, NOVELTY_KEPT**span * earlier, 0.0)
        span *= 2
    average += NOVELTY_KEPT ** (place + 1)
    best.note(Figure.SAMENESS, np.where(place + 1 >= NOVELTY_FROM, 1.0 - average, 0.0))


def _note_growth(best: _Best, size: Ints, edge: Ints, since: Ints) -> None:
    order = np.argsort(edge, kind="stable")
    last = np.flatnonzero(since[order] >= GROWTH_FROM)
    last = last[last >= GROWTH_SPAN - 1]
    last = last[edge[order[last]] == edge[order[last - GROWTH_SPAN + 1]]]
    if len(last) == 0:
        return
    windows = np.lib.stride_tricks.sliding_window_view(size[order], GROWTH_SPAN)
    growth = np.zeros(len(size))
    for begin in range(0, len(last), 4096):  # each window takes span x span cells
        some = last[begin : begin + 4096]
        growth[order[some]] = rank_growth(windows[some - GROWTH_SPAN + 1].astype(np.float64))
    best.note(Figure.GROWTH, growth)


def _follows_failure(task: Ints, digest: Digests, step: Ints) -> Marks:
    """Say of each event whether the one before it of its task and digest is a failure."""
    counts = ((step == Step.SENT) | (step == Step.FAILED)) & (digest != NONE)
    places = np.flatnonzero(counts)
    order = places[np.argsort(_codes(task[places], digest[places]), kind="stable")]
    follows = np.zeros(len(task), np.bool_)
    follows[order[1:]] = (
        (step[order[:-1]] == Step.FAILED)
        & (task[order[1:]] == task[order[:-1]])
        & (digest[order[1:]] == digest[order[:-1]])
    )
    return follows


def _late(task: Ints, at_ns: Ints, step: Ints) -> Marks:
    """Say of each event whether it came well after its task's end."""
    ends = np.flatnonzero(step == Step.ENDED)
    late = np.zeros(len(task), np.bool_)
    if len(ends) == 0:
        return late
    ended_tasks, first = np.unique(task[ends], return_index=True)
    ended = ends[first]
    known = np.full(int(task.max()) + 1, -1)
    known[ended_tasks] = ended
    of_task = known[task]
    has_ended = (of_task >= 0) & (np.arange(len(task)) > of_task)
    late[has_ended] = at_ns[has_ended] - at_ns[of_task[has_ended]] >= LATE_NS
    return late


def _runs(equal: Marks) -> Ints:
    """Return how many true values end at each place."""
    count = np.arange(len(equal))
    return count - np.maximum.accumulate(np.where(equal, -1, count))


def _running(group: Ints, marks: Marks) -> Ints:
    """Return how many marks of its group there are up to and including each place."""
    order = np.argsort(group, kind="stable")
    total = np.cumsum(marks[order])
    begin = np.r_[True, group[order[1:]] != group[order[:-1]]]
    before = np.maximum.accumulate(np.where(begin, total - marks[order], 0))
    running = np.empty(len(group), np.int64)
    running[order] = total - before
    return running


def _codes(*columns: npt.NDArray[np.int64] | Digests) -> Ints:
    """Return one small number for each combination of values, the same for equal ones."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        _, part = np.unique(column, return_inverse=True)
        _, code = np.unique(code * (int(part.max(initial=0)) + 1) + part, return_inverse=True)
    return code.astype(np.int64)
