"""Engine for a limit on a mean without a baseline: a score, an amount, a share of messages.

Canary units only. With values in [0, top] and a limit, 1 + g (V - limit) / limit has a mean of at
most 1 while the mean is at most the limit; the mirrored bet shows that it is below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rolewise.coordinator.judge.linear_bet import STAKES, standard_deviation
from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.series import Reading, Value

CAP_OVER_LIMIT = 5.0
SHARES = (1.0 / len(STAKES),) * len(STAKES)
LEAST_LIMIT = 1e-6
OVER_GROWTH = 1.6


class AbsoluteMeanSeries:
    """The canary's mean against a fixed limit.

    Args:
        limit: Largest mean that is allowed, in the orientation in which large is bad.
        top: Largest value that there is, or that counts.
        mark: For message latencies: what is counted is the share of a task's messages above it.
    """

    __slots__ = (
        "_count",
        "_limit",
        "_logs",
        "_mark",
        "_squares",
        "_sum",
        "_top",
        "_weight",
        "compares",
    )

    def __init__(self, *, limit: float, top: float, mark: float | None = None) -> None:
        self.compares = False
        self._top = top
        self._limit = min(top * (1.0 - LEAST_LIMIT), max(top * LEAST_LIMIT, limit))
        self._mark = mark
        self._logs = np.zeros((2, len(STAKES)))
        self._count = 0
        self._sum = self._squares = 0.0
        self._weight = 0.0

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a unit of the canary."""
        del failed
        if not canary:
            return False
        if isinstance(value, tuple):
            if not value or self._mark is None:
                return False
            value = sum(one > self._mark for one in value) / len(value)
        value = min(value, self._top)
        over = value - self._limit
        stakes = np.asarray(STAKES)
        self._logs = self._logs + np.log1p(
            np.array([stakes * over / self._limit, -stakes * over / (self._top - self._limit)])
        )
        self._count += 1
        self._sum += value
        self._squares += value * value
        self._weight = weight
        return over > 0.0

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        harm, safe = (log_mean_exp(row.tolist(), SHARES) for row in self._logs)
        return harm, safe

    def read(self) -> Reading:
        """Return the mean; the difference is to the limit."""
        harm, safe = self.levels()
        mean = self._sum / self._count if self._count else None
        return Reading(
            baseline=None,
            canary=mean,
            difference=None if mean is None else mean - self._limit,
            interval=None,
            log_harm=harm,
            log_safe=safe,
            tasks_baseline=0,
            tasks_canary=self._count,
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks of both arms show it safe."""
        missing = log_threshold - self.levels()[1]
        if missing <= 0.0:
            return 0.0
        if not self._count or not self._weight:
            return None
        margin = self._limit - self._sum / self._count
        spread = standard_deviation(self._sum, self._squares, self._count)
        if margin <= 0.0:
            return None
        gain = 0.5 * margin * margin / (spread * spread + margin * margin)
        return OVER_GROWTH * missing / (gain * self._weight)

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "logs": self._logs.tolist(),
            "count": self._count,
            "sum": self._sum,
            "squares": self._squares,
            "weight": self._weight,
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._logs = np.asarray(data["logs"])
        self._count, self._sum = data["count"], data["sum"]
        self._squares, self._weight = data["squares"], data["weight"]
