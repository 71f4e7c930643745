"""How many tasks a verdict will take: the information bound, for plans and their warnings.

No valid rule needs fewer than `log(1 / error) / information` tasks on average; the judge's tests
bring nine of ten equally good versions to `safe` within 2.4 times that.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log
from statistics import NormalDist

from rolewise.coordinator.judge.analysis import Analysis, Evidence, Signal, safe_threshold
from rolewise.coordinator.judge.projection import Null, divergence, information

NINE_OF_TEN = 2.4
SPREAD = 0.8  # sigma of log latency that plans reckon with; tails of agents are no narrower
LEAST_SAMPLE = 200  # values of the baseline that set the mark of a latency quantile
HALF = 0.5  # a good canary's share of an absolute rate that plans reckon with


def tasks_needed(
    analysis: Analysis,
    *,
    weight: float,
    failure_rate: float = 0.05,
    tool_error_rate: float = 0.05,
    evidence: Evidence = "full",
) -> int | None:
    """Return within how many tasks nine of ten equally good versions are shown safe.

    Args:
        analysis: Its required signals all have to be shown safe.
        weight: Percent of tasks that the canary gets, inside (0, 100).
        failure_rate: Share of the baseline's tasks that do not complete.
        tool_error_rate: Share of the baseline's tasks with a failed tool call.
        evidence: How strong the evidence must be.

    Returns:
        Tasks of both arms; None when some signal cannot be shown safe by any number of them.
    """
    share = weight / 100.0
    target = log(safe_threshold(analysis, evidence))
    rates = {"task.completed": failure_rate, "tool.error": tool_error_rate}
    needs = [
        _signal_tasks(signal, share, target, rates.get(signal.metric, 0.0))
        for signal in analysis.deciding
        if signal.required
    ]
    longest = _largest(needs)
    if longest is None:
        return None
    return ceil(max(longest, analysis.min_tasks / share))


def tasks_to_compare(
    quantile: float, room: float, weight: float, log_threshold: float
) -> float | None:
    """Return how many tasks show a quantile of an equally fast canary to be within `room` times."""
    tail = 1.0 - quantile
    normal = NormalDist()
    scaled = 1.0 - normal.cdf(normal.inv_cdf(quantile) + log(room) / SPREAD)
    return _bound(log_threshold, information(weight, scaled, tail, Null(claim="harmful")))


def _signal_tasks(signal: Signal, weight: float, target: float, rate: float) -> float | None:
    rate = min(0.999, max(0.001, rate))
    if signal.compare == "absolute":
        limit = signal.bad_rate_limit
        good = min(HALF * limit, rate) if signal.metric != "task.latency" else HALF * limit
        return _bound(target, weight * divergence(good, limit))
    if signal.metric == "task.latency":
        more = tasks_to_compare(signal.level, 1.0 + signal.tolerate, weight, target)
        return None if more is None else more + LEAST_SAMPLE / (1.0 - weight)
    null = Null(claim="harmful", shift=signal.tolerate)
    return _bound(target, information(weight, rate, rate, null))


def _bound(target: float, gain: float) -> float | None:
    return NINE_OF_TEN * target / gain if gain > 0.0 else None


def _largest(needs: Iterable[float | None]) -> float | None:
    longest = 0.0
    for need in needs:
        if need is None:
            return None
        longest = max(longest, need)
    return longest
