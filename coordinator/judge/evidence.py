"""From an engine's reading to the evidence that people see: ruling, orientation, sentence."""

from __future__ import annotations

from math import exp, log

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.sentences import describe
from rolewise.coordinator.judge.series import Reading
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence

MOST_EVIDENCE = 1e12  # shown at most; more says nothing more


def evidence_of(
    signal: Signal,
    reading: Reading,
    *,
    compares: bool,
    harm_at: float,
    safe_at: float,
    spent: bool,
) -> SignalEvidence:
    """Return one signal's evidence.

    Args:
        signal: What was measured.
        reading: Its engine's figures.
        compares: It needs tasks of both arms.
        harm_at: Evidence at which it is harm.
        safe_at: Evidence at which it is safe.
        spent: The budget is, so that what is open stays unsure.
    """
    baseline, canary = reading.baseline, reading.canary
    difference, interval = reading.difference, reading.interval
    if signal.metric == "task.completed":  # engines count failures, people completions
        baseline = None if baseline is None else 1.0 - baseline
        canary = None if canary is None else 1.0 - canary
        difference = None if difference is None else -difference
        interval = interval and (-interval[1], -interval[0])
    limit = _limit(signal)
    ruling = _ruling(reading, compares=compares, harm_at=harm_at, safe_at=safe_at, spent=spent)
    if ruling is Ruling.SAFE and _is_drifting(signal, difference):
        ruling = Ruling.UNSURE if spent else Ruling.CONTINUE
    return SignalEvidence(
        name=signal.name,
        ruling=ruling,
        baseline=baseline,
        canary=canary,
        difference=difference,
        interval=interval,
        limit=limit,
        e_harm=_shown(reading.log_harm),
        e_safe=_shown(reading.log_safe),
        harm_at=harm_at,
        safe_at=safe_at,
        tasks_baseline=reading.tasks_baseline,
        tasks_canary=reading.tasks_canary,
        required=signal.required and not signal.dry_run,
        sentence=describe(
            signal,
            ruling,
            canary=canary,
            baseline=baseline,
            difference=difference,
            interval=interval,
            limit=limit,
            tasks_canary=reading.tasks_canary,
            tasks_baseline=reading.tasks_baseline,
            note=reading.note,
        ),
    )


def _is_drifting(signal: Signal, difference: float | None) -> bool:
    """Say whether the arms' own quantiles contradict evidence that a frozen mark gave.

    A mark that was set before the baseline became slower says little about it now: while the
    canary's newest quantile is over the limit, nobody should read "safe" beside it.
    """
    return (
        signal.metric == "task.latency"
        and signal.compare == "baseline"
        and difference is not None
        and difference > signal.tolerate
    )


def _ruling(
    reading: Reading, *, compares: bool, harm_at: float, safe_at: float, spent: bool
) -> Ruling:
    if reading.log_harm >= log(harm_at):
        return Ruling.HARM
    if reading.log_safe >= log(safe_at):
        return Ruling.SAFE
    if spent:
        return Ruling.UNSURE
    if not reading.tasks_canary or (compares and not reading.tasks_baseline):
        return Ruling.NO_DATA
    return Ruling.CONTINUE


def _shown(log_e: float) -> float:
    return MOST_EVIDENCE if log_e >= log(MOST_EVIDENCE) else exp(log_e)


def _limit(signal: Signal) -> float:
    """Return the limit in the signal's own orientation and unit."""
    if signal.compare == "absolute":
        return signal.limit or 0.0
    return -signal.tolerate if signal.metric == "task.completed" else signal.tolerate
