"""Engine for message latencies: the share of a task's messages above the baseline's quantile.

Messages of one task hang together, so the task stays the unit: each has one share between 0 and 1,
and the mean share of the canary is compared with the baseline's. The mark is the baseline's
quantile in a frozen sample of messages from before the tasks that are compared.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np

from rolewise.coordinator.judge.arm_means import ArmMeans
from rolewise.coordinator.judge.linear_bet import (
    STAKES,
    LinearBet,
    Numbers,
    Rows,
    growth,
    log_factors,
)
from rolewise.coordinator.judge.mean_grid import RATIOS, grid_interval, grid_rows
from rolewise.coordinator.judge.reference import Sample, least_units
from rolewise.coordinator.judge.series import Reading, Value

MOST_BLOCK = 32  # its units are lists, which the state has to carry
PRIOR_UNITS = 20.0
SHORTEST_S = 1e-9
OVER_GROWTH = 1.6
CANARY_PRIOR = 100.0

HARM, SAFE = 0, 1


class MessageSeries:
    """A quantile of the time that messages to the role take, canary against baseline.

    Args:
        quantile: Inside (0, 1).
        tolerate: Relative excess of the canary's quantile that is still safe.
        harm_margin: Relative excess that it must have, beyond doubt, to be harm.
    """

    __slots__ = (
        "_factors",
        "_grid",
        "_limits",
        "_mark",
        "_means",
        "_middle",
        "_pending",
        "_quantile",
        "_samples",
        "_total",
        "_weight",
        "compares",
    )

    def __init__(self, *, quantile: float, tolerate: float, harm_margin: float = 0.0) -> None:
        self.compares = True
        self._quantile = quantile
        self._limits = LinearBet(
            Rows(scale=np.ones(2), shift=np.zeros(2), sign=np.array([1.0, -1.0]), stakes=STAKES)
        )
        # The canary's messages are held against the mark times each ratio, so the rows of the
        # grid need no scale of their own.
        grid = grid_rows(is_relative=True)
        self._grid = LinearBet(
            Rows(
                scale=np.ones(len(grid.scale)),
                shift=grid.shift,
                sign=grid.sign,
                stakes=grid.stakes,
            )
        )
        self._factors = np.concatenate([[1.0 + harm_margin, 1.0 + tolerate], RATIOS, RATIOS])
        self._samples = (Sample(), Sample())
        self._mark: float | None = None
        self._weight = 0.0
        self._pending: list[tuple[bool, tuple[float, ...]]] = []
        self._means = ArmMeans()
        self._middle = 1.0 - quantile
        self._total = [0.0, 0.0]

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a task by the seconds that its messages took."""
        del failed
        assert isinstance(value, tuple)  # noqa: S101 (see `outcomes`)
        if not value or not 0.0 < weight < 1.0:
            return False
        if weight != self._weight or self._mark is None:
            self._begin_weight(weight)
        for seconds in value:
            self._samples[canary].add(seconds)
        mark = self._mark
        if mark is None:
            return False
        self._pending.append((canary, value))
        share = _share_above(sorted(value), mark)
        self._means.add(weight, share, canary=canary)
        if not canary:
            self._total[0] += 1.0
            self._total[1] += share
        if len(self._pending) >= MOST_BLOCK:
            self._multiply()
        return share > self._middle

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        limits, _ = self._logs()
        logs = self._limits.log_e(limits)
        return float(logs[HARM]), float(logs[SAFE])

    def read(self) -> Reading:
        """Return quantiles in seconds; the difference is the canary's relative excess."""
        baseline, canary = (
            sample.quantile(self._quantile) if len(sample) else None for sample in self._samples
        )
        limits, grid = self._logs()
        logs = self._limits.log_e(limits)
        tasks = self._means.counts
        return Reading(
            baseline=baseline,
            canary=canary,
            difference=canary / baseline - 1.0 if baseline and canary is not None else None,
            interval=grid_interval(self._grid.log_e(grid), is_relative=True),
            log_harm=float(logs[HARM]),
            log_safe=float(logs[SAFE]),
            tasks_baseline=tasks[0],
            tasks_canary=tasks[1],
            note=self._note(),
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks show it safe."""
        missing = log_threshold - self.levels()[1]
        if missing <= 0.0:
            return 0.0
        means = self._means.means()
        if means is None or not self._weight:
            return None
        # Messages above the mark when scaled by what is tolerated: about half as many in a tail.
        margin = 0.5 * (means[0] - 0.5 * means[1])
        gain = growth(margin, self._means.spread(), self._weight) if margin > 0.0 else 0.0
        return OVER_GROWTH * missing / gain if gain else None

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "limits": self._limits.to_json(),
            "grid": self._grid.to_json(),
            "samples": [sample.to_json() for sample in self._samples],
            "mark": self._mark,
            "weight": self._weight,
            "pending": [[canary, list(value)] for canary, value in self._pending],
            "means": self._means.to_json(),
            "middle": self._middle,
            "total": list(self._total),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._limits.load(data["limits"])
        self._grid.load(data["grid"])
        for sample, stored in zip(self._samples, data["samples"], strict=True):
            sample.load(stored)
        self._mark, self._weight = data["mark"], data["weight"]
        self._pending = [(canary, tuple(value)) for canary, value in data["pending"]]
        self._means.load(data["means"])
        self._middle = data["middle"]
        self._total = list(data["total"])

    def _begin_weight(self, weight: float) -> None:
        if weight != self._weight:
            self._multiply()
            self._weight = weight
        if len(self._samples[False]) >= least_units(self._quantile):
            self._multiply()
            self._mark = max(SHORTEST_S, self._samples[False].quantile(self._quantile))

    def _multiply(self) -> None:
        limits, grid = self._logs()
        if limits is None or grid is None:
            return
        units = len(self._pending)
        self._limits.add_block(limits, units=units, changed=False)
        self._grid.add_block(grid, units=units, changed=False)
        self._pending = []
        count, total = self._total
        prior = 1.0 - self._quantile
        self._middle = (total + PRIOR_UNITS * prior) / (count + PRIOR_UNITS)

    def _logs(self) -> tuple[Numbers | None, Numbers | None]:
        """Return what the units that are not multiplied yet add to each row."""
        if not self._pending or self._mark is None:
            return None, None
        shares = np.empty((len(self._pending), len(self._factors)))
        for row, (canary, value) in enumerate(self._pending):
            ordered = np.sort(value)
            if canary:
                above = np.searchsorted(ordered, self._mark * self._factors, side="right")
                shares[row] = 1.0 - above / len(ordered)
            else:
                shares[row] = _share_above(ordered.tolist(), self._mark)
        canaries = np.array([canary for canary, _ in self._pending], dtype=np.bool_)
        parts = []
        for bet, columns in ((self._limits, slice(0, 2)), (self._grid, slice(2, None))):
            parts.append(
                log_factors(
                    bet.rows,
                    values=shares[:, columns],
                    canary=canaries,
                    weight=self._weight,
                    middle=self._middle,
                    top=1.0,
                )
            )
        return parts[0], parts[1]

    def _note(self) -> str:
        if self._mark is None:
            least, present = least_units(self._quantile), len(self._samples[False])
            return f"{least} messages of the baseline set the mark, {present} are in"
        return ""


def _share_above(ordered: list[float], mark: float) -> float:
    """Return which share of rising values lies above a mark."""
    return 1.0 - bisect_right(ordered, mark) / len(ordered)
