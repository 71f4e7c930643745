"""The judge: from closed tasks and hard facts to a verdict. Pure; it reads no clock.

A task enters once, in start order, in the arm that it was given, when its outcome is final. Each
signal has its own place in that order, so a score that is not there yet holds back scores only, and
a task that hangs is known to be slow long before its deadline makes it a failure. Which signal is
measured how: `engines`. What follows from all of them: `ruling`. What is said: `sentences`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf, log
from typing import Any

from rolewise.coordinator.judge.analysis import (
    Analysis,
    Evidence,
    harm_threshold,
    safe_threshold,
)
from rolewise.coordinator.judge.evidence import evidence_of
from rolewise.coordinator.judge.naming import closed_averages
from rolewise.coordinator.judge.outcomes import Missing
from rolewise.coordinator.judge.ruling import Case, rule
from rolewise.coordinator.judge.sample_ratio import BROKEN_AT, SampleRatio
from rolewise.coordinator.judge.track import Track, identity
from rolewise.coordinator.judge.units import Units, value_of_unit
from rolewise.coordinator.judge.verdict import HardFact, Ruling, SignalEvidence, Verdict
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm

STATE_VERSION = 3
"""Of what `to_json` returns. Raise it when an engine writes its state in another form."""

Draw = tuple[bool, float, str]
"""Whether the arm is the canary, its probability at the draw, and what it was drawn for."""


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
        endless = all(one.metric != "task.completed" for one in analysis.signals)
        self._tracks = tuple(
            Track(
                signal,
                role=role,
                failure_is_endless=endless,
                is_grouped=analysis.is_grouped,
            )
            for signal in analysis.signals
        )
        self._units = (
            Units(
                signals=len(self._tracks),
                tasks=analysis.unit_tasks,
                window_s=analysis.unit_window_s,
            )
            if analysis.is_grouped
            else None
        )
        self._ratio = SampleRatio()
        self._closed = 0
        self._counts = [0, 0]
        self._left_out: Counter[str] = Counter()

    @property
    def counts(self) -> tuple[int, int]:
        """Closed tasks (or sessions, users) of baseline and canary."""
        return self._counts[False], self._counts[True]

    @property
    def last_number(self) -> int:
        """Number of the last task that every signal has done with; feeding goes on behind it."""
        return min([self._closed, *(track.cursor for track in self._tracks)])

    def pass_over(self, number: int) -> None:
        """Begin behind this task: those up to it are none of this cohort's."""
        self._closed = number
        for track in self._tracks:
            track.cursor = number

    def feed(self, records: Sequence[TaskRecord], *, now_s: float = inf) -> None:
        """Count tasks, as far as their outcomes are final.

        Feeding a task again is harmless, and needed while some signal waits for it: give all tasks
        behind `last_number`, in order of their numbers, those that still run included.

        Args:
            records: Accounts of tasks, rising numbers, without gaps.
            now_s: The fleet's clock, for the age of tasks that run.
        """
        done = self.last_number
        fresh = [(record, self._draw(record)) for record in records if record.number > done]
        if self._units is not None:
            self._feed_units(self._units, fresh, now_s)
            return
        self._count_closed(fresh)
        for track in self._tracks:
            track.learn(record for record, _ in fresh)
            for record, draw in fresh:
                if record.number <= track.cursor:
                    continue
                if draw is not None:
                    canary, weight, _ = draw
                    if not track.take(record, canary=canary, weight=weight, now_s=now_s):
                        break
                track.cursor = record.number

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
                track,
                harm_at=harm_threshold(self._analysis, track.signal),
                safe_at=safe_at,
                spent=bool(spent),
            )
            for track in self._tracks
        ]
        ruling, reason, witness = rule(
            Case(
                analysis=self._analysis,
                signals=self._analysis.signals,
                shown=shown,
                compares=frozenset(t.signal.name for t in self._tracks if t.series.compares),
                facts=facts,
                tasks_baseline=self._counts[False],
                tasks_canary=self._counts[True],
                log_ratio=self._ratio.log_e,
                ratio=self._ratio.sentence(),
                spent=spent,
            )
        )
        patience = self._analysis.no_data_for_s
        return Verdict(
            ruling=ruling,
            reason=reason,
            signals=tuple(shown),
            facts=tuple(facts),
            tasks_baseline=self._counts[False],
            tasks_canary=self._counts[True],
            examples=_examples(shown, witness),
            named=self._named(shown) if ruling is Ruling.HARM and witness else (),
            watermark=self._closed,
            left_out=tuple(sorted(self._left_out.items())),
            is_overdue=ruling is Ruling.NO_DATA and 0.0 < patience <= elapsed_s,
        )

    def levels(self) -> tuple[tuple[float, float], ...]:
        """Return logarithms of the evidence of harm and of safety, one pair a signal.

        Much cheaper than `verdict`: for whoever looks after every task or draws a curve.
        """
        return tuple(track.series.levels() for track in self._tracks)

    def may_decide(
        self,
        evidence: Evidence | None = "full",
        *,
        elapsed_s: float = 0.0,
        levels: Sequence[tuple[float, float]] | None = None,
    ) -> bool:
        """Say whether a verdict could be other than `continue`; much cheaper than `verdict`.

        Args:
            evidence: What leaving this step needs; None where nothing waits for `safe`.
            elapsed_s: Time in this analysis step.
            levels: What `levels` returns now, if that is at hand.
        """
        if self._spent(elapsed_s):
            return True
        safe_at = inf if evidence is None else log(safe_threshold(self._analysis, evidence))
        is_safe = evidence is not None
        for track, (harm, safe) in zip(self._tracks, levels or self.levels(), strict=True):
            signal = track.signal
            if signal.dry_run:
                continue
            if harm >= log(harm_threshold(self._analysis, signal)):
                return True
            is_safe = is_safe and (safe >= safe_at or not signal.required)
        return is_safe or self._ratio.log_e >= log(BROKEN_AT)

    def to_json(self) -> dict[str, Any]:
        """Return all that another process needs to go on exactly here, as plain JSON values."""
        return {
            "version": STATE_VERSION,
            "role": self._role,
            "salt": self._salt,
            "closed": self._closed,
            "counts": list(self._counts),
            "left_out": dict(sorted(self._left_out.items())),
            "ratio": self._ratio.to_json(),
            "units": None if self._units is None else self._units.to_json(),
            "tracks": [track.to_json() for track in self._tracks],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], *, analysis: Analysis, salt: str = "") -> Judge:
        """Go on where `to_json` stopped.

        Args:
            data: What it returned.
            analysis: The same signals.
            salt: The cohort of a new attempt with the same build: evidence is never reset by
                trying again. Empty: the same cohort goes on.

        Raises:
            ValueError: The state belongs to other signals, or was written in another form; the
                evidence cannot be carried over.
        """
        if data["version"] != STATE_VERSION:
            written = f"is of version {data['version']}, want {STATE_VERSION}"
            raise ValueError(f"judge: the form of the state {written}")
        self = cls(analysis, role=data["role"], salt=salt or data["salt"])
        kept = [one["signal"] for one in data["tracks"]]
        wanted = [identity(signal) for signal in analysis.signals]
        if kept != wanted or (data["units"] is None) is not (self._units is None):
            raise ValueError(f"judge: state is of signals {kept}, the analysis has {wanted}")
        self._closed, self._counts = data["closed"], list(data["counts"])
        self._left_out = Counter(data["left_out"])
        self._ratio.load(data["ratio"])
        if self._units is not None:
            self._units.load(data["units"])
        for track, stored in zip(self._tracks, data["tracks"], strict=True):
            track.load(stored)
        return self

    def _draw(self, record: TaskRecord) -> Draw | None:
        """Return the task's draw in this trial; None if it does not count in it."""
        assignment = self._assignment(record)
        if assignment is None or record.outside_cause or (assignment.unit and self._units is None):
            return None
        unit = assignment.unit or record.task
        return assignment.arm is Arm.CANARY, assignment.weight / 100.0, unit

    def _assignment(self, record: TaskRecord) -> Assignment | None:
        for one in record.assignments:
            if one.role == self._role and one.salt == self._salt and one.arm is not Arm.NONE:
                return one
        return None

    def _count_closed(self, fresh: Sequence[tuple[TaskRecord, Draw | None]]) -> None:
        for record, draw in fresh:
            if record.number <= self._closed:
                continue
            if record.outcome is Outcome.RUNNING:
                return
            self._closed = record.number
            if draw is not None:
                self._count(canary=draw[0], weight=draw[1])
            elif self._assignment(record) is not None:
                cause = record.outside_cause.replace("_", " ")
                self._left_out[cause or "tried again"] += 1

    def _count(self, *, canary: bool, weight: float) -> None:
        self._counts[canary] += 1
        self._ratio.add(canary=canary, weight=weight)

    def _feed_units(
        self, units: Units, fresh: Sequence[tuple[TaskRecord, Draw | None]], now_s: float
    ) -> None:
        """Put tasks into their sessions or users, all signals of a task together."""
        for record, draw in fresh:
            if record.outcome is Outcome.RUNNING:
                return
            if draw is not None:
                values = [track.outcome(record, now_s=now_s) for track in self._tracks]
                if Missing.LATER in values:
                    return
                canary, weight, key = draw
                unit = units.place(key, canary=canary, weight=weight, started_s=record.started_s)
                if unit is None:
                    self._left_out["beyond the first of its session or user"] += 1
                else:
                    failed = record.outcome is not Outcome.COMPLETED
                    unit.note(record.task, values, failed=failed)
                self._close_units(units)
            self._closed = record.number
            for track in self._tracks:
                track.cursor = record.number

    def _close_units(self, units: Units) -> None:
        while (unit := units.next_closed()) is not None:
            self._count(canary=unit.canary, weight=unit.weight)
            for track, values in zip(self._tracks, unit.values, strict=True):
                is_split = track.signal.metric == "message.latency"
                track.take_unit(
                    value_of_unit(track.signal.kind, values, is_split=is_split),
                    canary=unit.canary,
                    weight=unit.weight,
                    failed=unit.failed > 0,
                    name=unit.name,
                )

    def _named(self, shown: Sequence[SignalEvidence]) -> tuple[str, ...]:
        dry = {signal.name for signal in self._analysis.signals if signal.dry_run}
        deciding = [one for one in shown if one.name not in dry]
        adjusted = closed_averages([one.e_harm for one in deciding])
        wanted = 1.0 / self._analysis.alpha
        return tuple(
            one.name
            for one, evidence in zip(deciding, adjusted, strict=True)
            if one.ruling is Ruling.HARM or evidence >= wanted
        )

    def _spent(self, elapsed_s: float) -> str:
        analysis = self._analysis
        if analysis.max_tasks and self._counts[True] >= analysis.max_tasks:
            return f"the budget of {analysis.max_tasks} canary tasks is spent"
        if analysis.max_duration_s and elapsed_s >= analysis.max_duration_s:
            return f"the budget of {analysis.max_duration_s:g} s is spent"
        return ""


def _examples(shown: Sequence[SignalEvidence], witness: str) -> tuple[str, ...]:
    for one in shown:
        if one.name == witness:
            return (*one.examples_canary, *one.examples_baseline)
    return ()
