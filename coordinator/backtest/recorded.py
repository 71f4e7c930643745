"""Which signals a recording can answer, and its rows in the form that the judge counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf

from rolewise.coordinator.backtest.rows import Row
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.evidence import limit_of
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm

ROLE, SALT = "recorded", "recording"

_HAS: Mapping[str, Callable[[Row, Signal], bool]] = {
    "task.completed": lambda _row, _: True,
    "tool.error": lambda row, _: row.tool_errors is not None,
    "task.looping": lambda row, _: row.flags is not None,
    "task.latency": lambda row, _: row.latency_s is not None,
    "gen_ai.tokens": lambda row, _: row.input_tokens is not None or row.output_tokens is not None,
    "task.cost": lambda row, _: row.cost_usd is not None,
    "score": lambda row, signal: signal.score in row.scores,
}


def why_unanswered(analysis: Analysis, rows: Sequence[Row]) -> dict[str, str]:
    """Return the signals that cannot be compared, each with the reason in words.

    A figure that one arm never recorded compares nothing. The judge is not given such a signal: it
    takes a task that failed before anything was noted for one that spent nothing, which is right
    in a fleet that notes all, and would here make an arm of nothing but failures.
    """
    return {
        signal.name: reason
        for signal in analysis.signals
        if (reason := _why_unanswered(signal, rows))
    }


def answerable(analysis: Analysis, unanswered: Mapping[str, str]) -> Analysis:
    """Return the analysis of the signals that are left; scores are those of the recording."""
    return replace(
        analysis,
        signals=tuple(
            replace(signal, scorer="", sample=1.0)
            for signal in analysis.signals
            if signal.name not in unanswered
        ),
    )


def without_figures(signal: Signal, reason: str) -> SignalEvidence:
    """Return the evidence of a signal that the recording cannot answer: none."""
    return SignalEvidence(
        name=signal.name,
        ruling=Ruling.NO_DATA,
        baseline=None,
        canary=None,
        difference=None,
        interval=None,
        limit=limit_of(signal),
        e_harm=1.0,
        e_safe=1.0,
        harm_at=inf,
        safe_at=inf,
        tasks_baseline=0,
        tasks_canary=0,
        metric=signal.metric,
        required=signal.required and not signal.dry_run,
        sentence=f"{signal.name}: {reason}: no data",
    )


class Accounts:
    """Makes the judge's records of rows.

    Args:
        rows: In start order; the first is task 1.
    """

    __slots__ = ("_assignments", "_rows")

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._assignments: dict[tuple[bool, float, str], tuple[Assignment, ...]] = {}

    def final(self, index: int) -> TaskRecord:
        """Return the account of a task that has ended."""
        row = self._rows[index]
        unmeasured: tuple[str, ...] = ()
        if row.tool_errors is None:
            unmeasured = ("tool.error",)
        if row.latency_s is None and row.outcome is not Outcome.TIMED_OUT:
            unmeasured += ("task.latency",)
        if row.flags is None:
            unmeasured += ("task.looping",)
        return TaskRecord(
            task=row.task,
            number=index + 1,
            table=1,
            assignments=self._assigned(row),
            started_s=row.started_s,
            latency_s=row.latency_s,
            outcome=row.outcome,
            tool_errors=row.tool_errors or 0,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost_usd=row.cost_usd,
            scores=row.scores,
            flags=row.flags or (),
            unmeasured=unmeasured,
        )

    def running(self, index: int) -> TaskRecord:
        """Return the account of a task that still runs."""
        row = self._rows[index]
        return TaskRecord(
            task=row.task,
            number=index + 1,
            table=1,
            assignments=self._assigned(row),
            started_s=row.started_s,
        )

    def _assigned(self, row: Row) -> tuple[Assignment, ...]:
        key = (row.canary, row.weight, row.unit)
        known = self._assignments.get(key)
        if known is None:
            arm = Arm.CANARY if row.canary else Arm.BASELINE
            known = (Assignment(role=ROLE, salt=SALT, arm=arm, weight=row.weight, unit=row.unit),)
            self._assignments[key] = known
        return known


def _why_unanswered(signal: Signal, rows: Sequence[Row]) -> str:
    has = _HAS.get(signal.metric)
    if has is None:
        return "task records have no such figure"
    arms = {"canary": True} if signal.compare == "absolute" else {"canary": True, "baseline": False}
    own = {name: [row for row in rows if row.canary is arm] for name, arm in arms.items()}
    without = [
        name for name, side in own.items() if side and not any(has(row, signal) for row in side)
    ]
    if len(without) == 1 and len(arms) > 1:
        return f"no task of the {without[0]} has it recorded"
    return "no task has it recorded" if without else ""
