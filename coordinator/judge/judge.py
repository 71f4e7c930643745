"""The judge: from closed tasks and hard facts to a verdict. Pure; it reads no clock.

Rules, the first that holds decides:

1. a hard fact -> harm;
2. a signal whose evidence of harm reaches 1 / (alpha * its share) -> harm;
3. every required signal shown safe, none near harm, enough canary tasks -> safe;
4. the budget of tasks or time is spent -> unsure;
5. an arm without a closed task -> no data;
6. else -> continue.

A task enters once, in start order, in the arm that it was given, when it has ended. A later signal
is a `Series` of its own, built in `_build`, and put in words in `evidence` and `sentences`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import log
from typing import Any

from rolewise.coordinator.judge.absolute import AbsoluteSeries
from rolewise.coordinator.judge.analysis import (
    Analysis,
    Evidence,
    Signal,
    harm_threshold,
    safe_threshold,
)
from rolewise.coordinator.judge.bernoulli import BernoulliSeries
from rolewise.coordinator.judge.evidence import evidence_of
from rolewise.coordinator.judge.exceedance import ExceedanceSeries
from rolewise.coordinator.judge.outcomes import outcome_of
from rolewise.coordinator.judge.sentences import about, headline
from rolewise.coordinator.judge.series import Series
from rolewise.coordinator.judge.verdict import HardFact, Ruling, SignalEvidence, Verdict
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm

FORESEEABLE_TASKS = 100_000  # a forecast beyond is noise
NEAR_HARM = 1.0 / 3.0  # no promotion with this part of the evidence for a rollback
EXAMPLES = {True: 3, False: 2}  # bad tasks that are kept of canary and baseline


class Judge:
    """Judges one trial: one role's canary, over all steps of its stage.

    Args:
        analysis: Signals and error budgets.
        role: The role on trial.
        salt: The trial's cohort; tasks assigned under another one do not count.
    """

    def __init__(self, analysis: Analysis, *, role: str, salt: str) -> None:
        self._analysis = analysis
        self._role = role
        self._salt = salt
        self._series = tuple((signal, _build(signal), _Examples()) for signal in analysis.signals)
        self._failure_is_endless = all(one.metric != "task.completed" for one in analysis.signals)
        self._last = 0
        self._tasks = [0, 0]

    @property
    def last_number(self) -> int:
        """Number of the last task that was taken in; feeding goes on behind it."""
        return self._last

    def add(self, record: TaskRecord) -> bool:
        """Count one task that has ended; tasks come in start order.

        Returns:
            Whether it counts. Tasks without an arm in this trial do not, and one that comes again
            does not, so feeding once more after a restart is harmless.

        Raises:
            ValueError: The task is still running.
        """
        if record.outcome is Outcome.RUNNING:
            raise ValueError(f"task {record.task} is still running: only its end can be judged")
        if record.number <= self._last:
            return False
        self._last = record.number
        assignment = self._assignment(record)
        if assignment is None:
            return False
        canary = assignment.arm is Arm.CANARY
        weight = assignment.weight / 100.0
        self._tasks[canary] += 1
        for signal, series, examples in self._series:
            value = outcome_of(signal.metric, record, failure_is_endless=self._failure_is_endless)
            if series.add(canary=canary, weight=weight, value=value):
                examples.note(record.task, canary=canary)
        return True

    def verdict(
        self,
        *,
        facts: Sequence[HardFact] = (),
        evidence: Evidence = "full",
        elapsed_s: float = 0.0,
    ) -> Verdict:
        """Return the verdict as things stand; changes nothing.

        Args:
            facts: Broken hard limits.
            evidence: What leaving this step needs.
            elapsed_s: Time in this analysis step.
        """
        spent = self._spent(elapsed_s)
        safe_at = safe_threshold(self._analysis, evidence)
        shown = [
            evidence_of(
                signal,
                series.read(),
                compares=series.compares,
                harm_at=harm_threshold(self._analysis, signal),
                safe_at=safe_at,
                spent=bool(spent),
            )
            for signal, series, _ in self._series
        ]
        ruling, reason, witness = self._rule(shown, facts, evidence, spent)
        return Verdict(
            ruling=ruling,
            reason=reason,
            signals=tuple(shown),
            facts=tuple(facts),
            tasks_baseline=self._tasks[False],
            tasks_canary=self._tasks[True],
            examples=self._examples(witness),
        )

    def to_json(self) -> dict[str, Any]:
        """Return all that another process needs to go on exactly here, as plain JSON values."""
        return {
            "version": 1,
            "role": self._role,
            "salt": self._salt,
            "last": self._last,
            "tasks": list(self._tasks),
            "series": [
                {
                    "signal": _identity(signal),
                    "state": series.to_json(),
                    "examples": examples.to_json(),
                }
                for signal, series, examples in self._series
            ],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], *, analysis: Analysis) -> Judge:
        """Go on where `to_json` stopped.

        Raises:
            ValueError: The state belongs to other signals; evidence cannot be carried over.
        """
        self = cls(analysis, role=data["role"], salt=data["salt"])
        kept = [one["signal"] for one in data["series"]]
        wanted = [_identity(signal) for signal in analysis.signals]
        if kept != wanted:
            raise ValueError(f"judge: state is of signals {kept}, the analysis has {wanted}")
        self._last, self._tasks = data["last"], list(data["tasks"])
        for (_, series, examples), stored in zip(self._series, data["series"], strict=True):
            series.load(stored["state"])
            examples.load(stored["examples"])
        return self

    def _assignment(self, record: TaskRecord) -> Assignment | None:
        for one in record.assignments:
            if one.role == self._role and one.salt == self._salt and one.arm is not Arm.NONE:
                return one
        return None

    def _spent(self, elapsed_s: float) -> str:
        analysis = self._analysis
        if analysis.max_tasks and self._tasks[True] >= analysis.max_tasks:
            return f"the budget of {analysis.max_tasks} canary tasks is spent"
        if analysis.max_duration_s and elapsed_s >= analysis.max_duration_s:
            return f"the budget of {analysis.max_duration_s:g} s is spent"
        return ""

    def _more(self, evidence: Evidence) -> tuple[str, float | None]:
        """Return the required signal that needs most tasks, and how many; None if none would do."""
        target = log(safe_threshold(self._analysis, evidence))
        name, most = "", 0.0
        for signal, series, _ in self._series:
            if not signal.required or signal.dry_run:
                continue
            tasks = series.tasks_to_safe(target)
            if tasks is None:
                return signal.name, None
            if tasks > most:
                name, most = signal.name, tasks
        return name, most

    def _rule(
        self,
        shown: Sequence[SignalEvidence],
        facts: Sequence[HardFact],
        evidence: Evidence,
        spent: str,
    ) -> tuple[Ruling, str, str]:
        """Return ruling, reason, and the name of the signal that decided, if one did."""
        dry = {signal.name for signal in self._analysis.signals if signal.dry_run}
        deciding = [one for one in shown if one.name not in dry]
        if facts:
            return Ruling.HARM, facts[0].sentence, ""
        worst = max(deciding, key=lambda one: one.e_harm / one.harm_at, default=None)
        if worst and worst.ruling is Ruling.HARM:
            return Ruling.HARM, headline(worst), worst.name
        near = worst if worst and worst.e_harm > NEAR_HARM * worst.harm_at else None
        required = [one for one in deciding if one.required]
        weakest = min(required, key=lambda one: one.e_safe / one.safe_at, default=None)
        canary = self._tasks[True]
        shown_safe = canary > 0 and all(one.ruling is Ruling.SAFE for one in required)
        lacking = self._analysis.min_tasks - canary
        over = next((one for one in deciding if not one.required and self._is_over(one)), None)
        if shown_safe and not near and not over and lacking <= 0:
            if weakest is None:
                return Ruling.SAFE, f"safe: no signal is required, {canary} canary tasks closed", ""
            return Ruling.SAFE, headline(weakest), weakest.name
        barrier = near or over
        held_by = barrier or weakest
        held = held_by.sentence if held_by else ""
        if spent:
            reason = f"unsure: {spent}; {held}" if held else f"unsure: {spent}"
            return Ruling.UNSURE, reason, held_by.name if held_by else ""
        absent = self._absent(deciding)
        if absent:
            return Ruling.NO_DATA, f"no data: no task of {absent} has closed yet", ""
        if barrier and (near or shown_safe):
            why = "this near to harm" if near else "over a limit"
            return Ruling.CONTINUE, f"no promotion {why}; {held}", barrier.name
        if shown_safe:
            return Ruling.CONTINUE, f"needs {lacking} more canary tasks", ""
        return self._forecast(shown, evidence)

    def _forecast(
        self, shown: Sequence[SignalEvidence], evidence: Evidence
    ) -> tuple[Ruling, str, str]:
        """Say how many more tasks are needed, if that can be said."""
        name, more = self._more(evidence)
        words = next((one.sentence for one in shown if one.name == name), "")
        if more is None or more > FORESEEABLE_TASKS:
            return Ruling.CONTINUE, f"cannot say yet how many more tasks are needed; {words}", name
        return Ruling.CONTINUE, f"needs about {about(more)} more tasks; {words}", name

    def _is_over(self, evidence: SignalEvidence) -> bool:
        """Say whether a signal that promotion does not wait for stands beyond its limit.

        It need not be shown safe, but nobody should be promoted who is seen to be over.
        """
        signal = next(one for one in self._analysis.signals if one.name == evidence.name)
        value = evidence.difference if signal.compare == "baseline" else evidence.canary
        if value is None:
            return False
        is_share_kept = signal.metric == "task.completed"
        return value < evidence.limit if is_share_kept else value > evidence.limit

    def _absent(self, deciding: Sequence[SignalEvidence]) -> str:
        """Name the arm that has no closed task although a signal needs it."""
        if not self._tasks[True]:
            return "the canary" if self._tasks[False] else "either arm"
        compared = {one.name for one, series, _ in self._series if series.compares}
        for one in deciding:
            if one.name in compared and not one.tasks_baseline:
                return "the baseline"
            if one.name in compared and not one.tasks_canary:
                return "the canary"
        return ""

    def _examples(self, witness: str) -> tuple[str, ...]:
        for signal, _, examples in self._series:
            if signal.name == witness:
                return examples.names()
        return ()


class _Examples:
    """The last few bad tasks of each arm."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks = {arm: deque[str](maxlen=most) for arm, most in EXAMPLES.items()}

    def note(self, task: str, *, canary: bool) -> None:
        self._tasks[canary].append(task)

    def names(self) -> tuple[str, ...]:
        return (*self._tasks[True], *self._tasks[False])

    def to_json(self) -> dict[str, list[str]]:
        return {"canary": list(self._tasks[True]), "baseline": list(self._tasks[False])}

    def load(self, data: dict[str, list[str]]) -> None:
        self._tasks[True].extend(data["canary"])
        self._tasks[False].extend(data["baseline"])


def _build(signal: Signal) -> Series:
    """Return the engine for a signal."""
    if signal.compare == "absolute":
        return AbsoluteSeries(signal)
    if signal.metric == "task.latency":
        return ExceedanceSeries(
            quantile=signal.level, tolerate=signal.tolerate, harm_margin=signal.harm_margin
        )
    return BernoulliSeries(tolerate=signal.tolerate, harm_margin=signal.harm_margin)


def _identity(signal: Signal) -> list[Any]:
    """Return all of a signal that its evidence depends on."""
    return [
        signal.name,
        signal.metric,
        signal.compare,
        signal.tolerate,
        signal.harm_margin,
        signal.level,
        signal.limit,
    ]
