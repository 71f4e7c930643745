"""Engine for a limit without a baseline: it sees harm that hits both arms alike.

Canary tasks only. Harm: likelihood ratios of higher bad rates against the limit, averaged; safe:
the same with lower ones. Both hold for any rates that stay on the null's side of the limit.
"""

from __future__ import annotations

from math import inf, isfinite, log
from typing import Any

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.interval import rate_interval
from rolewise.coordinator.judge.label_bet import OVER_BOUND
from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.projection import divergence
from rolewise.coordinator.judge.reference import Sample
from rolewise.coordinator.judge.series import Reading, Value

HIGHER = (1.5, 2.5, 4.0)
LOWER = (0.75, 0.5, 0.2)
HIGHEST = 0.95
PRIOR_TASKS = 20.0


def log_higher(bad: int, count: int, limit: float) -> float:
    """Return the evidence, as a logarithm, that the bad rate is above `limit`."""
    rates = [max(limit, min(HIGHEST, times * limit)) for times in HIGHER]
    return _log_evidence(bad, count, limit, rates)


def log_lower(bad: int, count: int, limit: float) -> float:
    """Return the evidence, as a logarithm, that the bad rate is below `limit`."""
    return _log_evidence(bad, count, limit, [times * limit for times in LOWER])


class AbsoluteSeries:
    """Bad rate, or latency quantile, of the canary against a fixed limit."""

    __slots__ = (
        "_bad",
        "_count",
        "_limit",
        "_recent",
        "_signal",
        "_weight",
        "compares",
    )

    def __init__(self, signal: Signal) -> None:
        self.compares = False
        self._signal = signal
        self._limit = signal.bad_rate_limit
        self._bad = self._count = 0
        self._weight = 0.0
        self._recent = Sample()

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a task of the canary; a latency is bad above the limit, else any value but 0."""
        del failed
        assert not isinstance(value, tuple)  # noqa: S101 (only message latencies are)
        if not canary:
            return False
        if self._signal.metric == "task.latency":
            self._recent.add(value)
            bad = value > (self._signal.limit or 0.0)
        else:
            bad = value != 0.0
        self._bad += bad
        self._count += 1
        self._weight = weight
        return bad

    def settled_after(self, weight: float) -> float:  # noqa: ARG002 (the limit is the same)
        """See `EarlySeries`."""
        return (self._signal.limit or 0.0) if self._signal.metric == "task.latency" else inf

    def add_running(self, *, canary: bool, weight: float) -> bool:
        """Count a task of the canary that has run for longer than the limit."""
        if canary:
            self._bad += 1
            self._count += 1
            self._weight = weight
        return canary

    def learn(self, value: float, *, canary: bool, bad: bool) -> None:  # noqa: ARG002
        """See `EarlySeries`."""
        if canary:
            self._recent.add(value)

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        return (
            log_higher(self._bad, self._count, self._limit),
            log_lower(self._bad, self._count, self._limit),
        )

    def read(self) -> Reading:
        """Return bad rate or, in seconds, latency quantile; the difference is to the limit."""
        limit, level = self._limit, self._signal.level
        log_harm, log_safe = self.levels()
        bounds = rate_interval(self._bad, self._count)
        canary = self._bad / self._count if self._count else None
        difference = None if canary is None else canary - limit
        interval = bounds and (bounds[0] - limit, bounds[1] - limit)
        note = ""
        if self._signal.metric == "task.latency" and bounds and canary is not None:
            note = (
                f"{100 * canary:.1f} % took longer [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}],"
                f" {100 * limit:.3g} % may"
            )
            seconds = self._recent.quantile(level) if len(self._recent) else inf
            canary = seconds if isfinite(seconds) else None
            difference = None if canary is None else canary - (self._signal.limit or 0.0)
            interval = None
        return Reading(
            baseline=None,
            canary=canary,
            difference=difference,
            interval=interval,
            log_harm=log_harm,
            log_safe=log_safe,
            tasks_baseline=0,
            tasks_canary=self._count,
            note=note,
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks show it safe."""
        missing = log_threshold - log_lower(self._bad, self._count, self._limit)
        if missing <= 0.0:
            return 0.0
        rate = (self._bad + 0.5 * PRIOR_TASKS * self._limit) / (self._count + PRIOR_TASKS)
        gain = self._weight * divergence(rate, self._limit) if rate < self._limit else 0.0
        return OVER_BOUND * missing / gain if gain else None

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "bad": self._bad,
            "count": self._count,
            "weight": self._weight,
            "recent": self._recent.to_json(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._bad, self._count, self._weight = data["bad"], data["count"], data["weight"]
        self._recent.load(data["recent"])


def _log_evidence(bad: int, count: int, limit: float, rates: list[float]) -> float:
    good = count - bad
    return log_mean_exp(
        [bad * log(rate / limit) + good * log((1.0 - rate) / (1.0 - limit)) for rate in rates],
        [1.0 / len(rates)] * len(rates),
    )
