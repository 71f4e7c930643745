"""From attempts to the tasks that a judge counts: one row a task, in start order.

A task that was tried again is one task: it has the arm and the start of its first attempt (it was
drawn once), the outcome and end of its last, and what all of them spent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TypeVar

from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.task import Outcome

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Tasks in start order.

    Attributes:
        rows: One a task.
        tried_again: Tasks with more than one attempt.
        changed_arm: Of them, those that another arm finished; they count for the first one.
        timed_out: Tasks that the deadline has ended.
        running: Tasks that never end in the recording.
        ends_s: The last moment that the recording knows of.
    """

    rows: Sequence[Row]
    tried_again: int = 0
    changed_arm: int = 0
    timed_out: int = 0
    running: int = 0
    ends_s: float = 0.0


def build_cohort(attempts: Iterable[Row], *, deadline_s: float | None = None) -> Cohort:
    """Join attempts to tasks, end what ran beyond its deadline, and put all in start order.

    Args:
        attempts: In the order of the recording, which decides between equal starts.
        deadline_s: Age at which a task counts as timed out, whatever becomes of it later. One
            that is younger when the recording ends stays open.
    """
    first: dict[str, Row] = {}
    more: dict[str, list[Row]] = {}
    for attempt in attempts:
        known = first.setdefault(attempt.task, attempt)
        if known is not attempt:
            more.setdefault(attempt.task, [known]).append(attempt)
    again = list(more.values())
    tasks = [_join(more[task]) if task in more else row for task, row in first.items()]
    ends_s = max(
        (max(one.started_s, one.ended_s if one.ended_s < inf else one.started_s) for one in tasks),
        default=0.0,
    )
    late = 0
    if deadline_s is not None:
        for one in tasks:
            late += _end_at_deadline(one, deadline_s, ends_s)
    return Cohort(
        rows=sorted(tasks, key=lambda one: one.started_s),
        tried_again=len(again),
        changed_arm=sum(len({one.canary for one in tries}) > 1 for tries in again),
        timed_out=late,
        running=sum(one.ended_s == inf for one in tasks),
        ends_s=ends_s,
    )


def _join(tries: list[Row]) -> Row:
    tries = sorted(tries, key=lambda one: one.started_s)
    first, last = tries[0], tries[-1]
    latency = None if last.latency_s is None else last.ended_s - first.started_s
    scores: dict[str, float] = {}
    for one in tries:
        scores.update(one.scores)
    flags = [one.flags for one in tries if one.flags is not None]
    return replace(
        first,
        outcome=last.outcome,
        ended_s=last.ended_s,
        latency_s=latency,
        tool_errors=_total([one.tool_errors for one in tries]),
        input_tokens=_total([one.input_tokens for one in tries]),
        output_tokens=_total([one.output_tokens for one in tries]),
        cost_usd=_total([one.cost_usd for one in tries]),
        scores=scores,
        flags=tuple(dict.fromkeys(flag for some in flags for flag in some)) if flags else None,
    )


def _total(parts: Sequence[_Number | None]) -> _Number | None:
    known = [part for part in parts if part is not None]
    return sum(known[1:], start=known[0]) if known else None


def _end_at_deadline(row: Row, deadline_s: float, ends_s: float) -> bool:
    at = row.started_s + deadline_s
    if row.ended_s <= at or at > ends_s:
        return False
    row.outcome, row.ended_s, row.latency_s = Outcome.TIMED_OUT, at, deadline_s
    return True
