"""What follows from all signals together.

Rules, the first that holds decides:

1. a hard fact -> harm;
2. the draw of the arms is broken -> unsure: nothing can be compared;
3. a signal whose evidence of harm reaches 1 / (alpha * its share) -> harm;
4. every required signal shown safe, none near harm, enough canary tasks -> safe;
5. the budget of tasks or time is spent -> unsure;
6. an arm without a closed task -> no data;
7. else -> continue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.evidence import is_over
from rolewise.coordinator.judge.quantities import about
from rolewise.coordinator.judge.sample_ratio import BROKEN_AT
from rolewise.coordinator.judge.sentences import headline
from rolewise.coordinator.judge.verdict import HardFact, Ruling, SignalEvidence

NEAR_HARM = 1.0 / 3.0  # no promotion with this part of the evidence for a rollback

Word = tuple[Ruling, str, str]
"""Ruling, reason, and the name of the signal that decided; empty if none did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a ruling rests on.

    Attributes:
        signals: What was measured, in the order of `shown`.
        shown: Each signal's evidence.
        compares: Names of the signals that need tasks of both arms.
        tasks_baseline: Closed tasks (or sessions, users) of the trial.
        log_ratio: Evidence, as a logarithm, that the draw is broken.
        ratio: The shares of tasks in words.
        spent: Which budget is spent, in words; empty while none is.
    """

    analysis: Analysis
    signals: Sequence[Signal]
    shown: Sequence[SignalEvidence]
    compares: frozenset[str]
    facts: Sequence[HardFact]
    tasks_baseline: int
    tasks_canary: int
    log_ratio: float
    ratio: str
    spent: str

    @property
    def deciding(self) -> list[SignalEvidence]:
        """The signals that can decide: all but the dry runs."""
        both = zip(self.signals, self.shown, strict=True)
        return [one for signal, one in both if not signal.dry_run]


def rule(case: Case) -> Word:
    """Return the ruling with its reason."""
    if case.facts:
        return Ruling.HARM, case.facts[0].sentence, ""
    if case.log_ratio >= log(BROKEN_AT):
        return Ruling.UNSURE, f"the draw of the arms is broken: {case.ratio}", ""
    deciding = case.deciding
    worst = max(deciding, key=lambda one: one.e_harm / one.harm_at, default=None)
    if worst and worst.ruling is Ruling.HARM:
        return Ruling.HARM, headline(worst), worst.name
    required = [one for one in deciding if one.required]
    weakest = min(required, key=lambda one: one.e_safe / one.safe_at, default=None)
    near = worst if worst and worst.e_harm > NEAR_HARM * worst.harm_at else None
    over = next((one for one in deciding if not one.required and _stands_over(case, one)), None)
    is_shown_safe = case.tasks_canary > 0 and all(one.ruling is Ruling.SAFE for one in required)
    lacking = case.analysis.min_tasks - case.tasks_canary
    if is_shown_safe and not near and not over and lacking <= 0:
        if weakest is None:
            closed = f"{case.tasks_canary} canary tasks closed"
            return Ruling.SAFE, f"safe: no signal is required, {closed}", ""
        return Ruling.SAFE, headline(weakest), weakest.name
    return _undecided(case, near or over, weakest, is_shown_safe=is_shown_safe, is_near=bool(near))


def _undecided(
    case: Case,
    barrier: SignalEvidence | None,
    weakest: SignalEvidence | None,
    *,
    is_shown_safe: bool,
    is_near: bool,
) -> Word:
    held_by = barrier or weakest
    held = held_by.sentence if held_by else ""
    if case.spent:
        reason = f"unsure: {case.spent}; {held}" if held else f"unsure: {case.spent}"
        return Ruling.UNSURE, reason, held_by.name if held_by else ""
    absent = _absent(case)
    if absent:
        return Ruling.NO_DATA, f"no data: no task of {absent} has closed yet", ""
    if barrier and (is_near or is_shown_safe):
        why = "this near to harm" if is_near else "over a limit"
        return Ruling.CONTINUE, f"no promotion {why}; {held}", barrier.name
    if is_shown_safe:
        lacking = case.analysis.min_tasks - case.tasks_canary
        return Ruling.CONTINUE, f"needs {lacking} more canary tasks", ""
    return _forecast([one for one in case.deciding if one.required])


def _forecast(required: Sequence[SignalEvidence]) -> Word:
    """Say how many more tasks are needed, if that can be said."""
    unknown = next((one for one in required if one.tasks_needed is None), None)
    if unknown is not None:
        words = f"cannot say yet how many more tasks are needed; {unknown.sentence}"
        return Ruling.CONTINUE, words, unknown.name
    most = max(required, key=lambda one: one.tasks_needed or 0)
    needed = about(most.tasks_needed or 1)
    return Ruling.CONTINUE, f"needs about {needed} more tasks; {most.sentence}", most.name


def _stands_over(case: Case, evidence: SignalEvidence) -> bool:
    """Say whether a signal that promotion does not wait for stands beyond its limit.

    It need not be shown safe, but nobody should be promoted who is seen to be over.
    """
    return is_over(next(one for one in case.signals if one.name == evidence.name), evidence)


def _absent(case: Case) -> str:
    """Name the arm that has no closed task although a signal needs it."""
    if not case.tasks_canary:
        return "the canary" if case.tasks_baseline else "either arm"
    if case.compares and not case.tasks_baseline:
        return "the baseline"
    return ""
