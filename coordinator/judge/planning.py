"""How many tasks a verdict will take: the information bound, for plans and their warnings.

No valid rule needs fewer than `log(1 / error) / information` tasks on average; the judge's tests
bring nine of ten equally good versions to `safe` within 2.4 times that. For means the bound hangs
on the whole distribution; the growth of the best bet at a given spread takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from statistics import NormalDist

from rolewise.coordinator.judge.analysis import Analysis, Evidence, Signal, safe_threshold
from rolewise.coordinator.judge.linear_bet import growth
from rolewise.coordinator.judge.metrics import Kind
from rolewise.coordinator.judge.projection import Null, divergence, information
from rolewise.coordinator.judge.reference import LEAST_UNITS, least_units

NINE_OF_TEN = 2.4
SPREAD = 0.8  # sigma of log latency that plans reckon with; tails of agents are no narrower
HALF = 0.5  # a good canary's share of an absolute limit that plans reckon with
LEAST_RATE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the baseline is taken to be like; the defaults hold until traffic has told better.

    Attributes:
        failure_rate: Share of tasks that do not complete.
        tool_error_rate: Share of tasks with a failed tool call.
        looping_rate: Share of tasks with a loop flag.
        amount_spread: Standard deviation of an amount, capped at its 99th percentile, over its
            mean; 0.8 is that of recorded token counts.
        score_spread: Standard deviation of a score.
    """

    failure_rate: float = 0.05
    tool_error_rate: float = 0.05
    looping_rate: float = 0.02
    amount_spread: float = 0.8
    score_spread: float = 0.15


USUAL = Baseline()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the slowest required signal needs.

    Attributes:
        signal: Its name; empty when no signal needs any task.
        tasks: Of both arms, within which nine of ten equally good versions are shown safe; None
            when no number of them is enough.
    """

    signal: str
    tasks: int | None


def tasks_needed(
    analysis: Analysis,
    *,
    weight: float,
    evidence: Evidence = "full",
    baseline: Baseline = USUAL,
) -> Need:
    """Return within how many tasks nine of ten equally good versions are shown safe.

    Args:
        analysis: Its required signals all have to be shown safe.
        weight: Percent of tasks that the canary gets, inside (0, 100).
        evidence: How strong the evidence must be.
        baseline: What the baseline is like.
    """
    share = weight / 100.0
    target = log(safe_threshold(analysis, evidence))
    slowest, most = "", analysis.min_tasks / share
    for signal in analysis.deciding:
        if not signal.required:
            continue
        tasks = _signal_tasks(signal, share, target, baseline)
        if tasks is None:
            return Need(signal=signal.name, tasks=None)
        tasks = max(tasks, signal.min_tasks / share)
        if tasks > most:
            slowest, most = signal.name, tasks
    return Need(signal=slowest, tasks=ceil(most))


def tasks_to_compare(
    quantile: float, room: float, weight: float, log_threshold: float
) -> float | None:
    """Return how many tasks show a quantile of an equally fast canary to be within `room` times."""
    tail = 1.0 - quantile
    normal = NormalDist()
    scaled = 1.0 - normal.cdf(normal.inv_cdf(quantile) + log(room) / SPREAD)
    return _bound(log_threshold, information(weight, scaled, tail, Null(claim="harmful")))


def _signal_tasks(signal: Signal, weight: float, target: float, baseline: Baseline) -> float | None:
    if signal.compare == "absolute":
        return _absolute_tasks(signal, weight, target, baseline)
    match signal.kind:
        case Kind.SHARE:
            rate = _rate(signal, baseline)
            null = Null(claim="harmful", shift=signal.tolerate)
            return _bound(target, information(weight, rate, rate, null))
        case Kind.LATENCY:
            # Without a quantile, the median and the 95th are the gates: the latter is the slower.
            more = tasks_to_compare(signal.level, 1.0 + signal.tolerate, weight, target)
            return None if more is None else more + least_units(signal.level) / (1.0 - weight)
        case Kind.AMOUNT:
            margin = 1.0 - 1.0 / (1.0 + signal.tolerate)
            more = _bound(target, growth(margin, baseline.amount_spread, weight))
            waits = 0.0 if signal.cap else LEAST_UNITS / (1.0 - weight)
            return None if more is None else more + waits
        case Kind.SCORE:
            more = _bound(target, growth(signal.tolerate, baseline.score_spread, weight))
            return None if more is None else more / signal.sample


def _absolute_tasks(
    signal: Signal, weight: float, target: float, baseline: Baseline
) -> float | None:
    limit = signal.limit or 0.0
    match signal.kind:
        case Kind.SHARE | Kind.LATENCY:
            rate = signal.bad_rate_limit
            good = HALF * rate
            if signal.kind is Kind.SHARE:
                good = min(good, _rate(signal, baseline))
            return _bound(target, weight * divergence(good, rate))
        case Kind.AMOUNT:
            spread = baseline.amount_spread * HALF * limit
            return _bound(target, weight * growth(HALF * limit, spread, HALF))
        case Kind.SCORE:
            room = HALF * (1.0 - limit if signal.is_higher_better else limit)
            gain = weight * growth(room, baseline.score_spread, HALF)
            return _bound(target, gain * signal.sample)


def _rate(signal: Signal, baseline: Baseline) -> float:
    rates = {
        "task.completed": baseline.failure_rate,
        "tool.error": baseline.tool_error_rate,
        "task.looping": baseline.looping_rate,
    }
    # What a sound fleet never does is rare enough.
    return min(1.0 - LEAST_RATE, max(LEAST_RATE, rates.get(signal.metric, 0.0)))


def _bound(target: float, gain: float) -> float | None:
    return NINE_OF_TEN * target / gain if gain > 0.0 else None
