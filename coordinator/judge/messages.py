"""Engine for message latencies: the share of a task's messages above the baseline's quantile.

Messages of one task hang together, so the task stays the unit: each has one share between 0 and 1,
and the mean share of the canary is compared with the baseline's. The mark is the baseline's
quantile in a frozen sample of messages from before the tasks that are compared. "Above" for harm is
"at or above" for safe, so that equal latencies are no harm and can be shown safe.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import Any

import numpy as np

from rolewise.coordinator.judge.arm_means import ArmMeans
from rolewise.coordinator.judge.linear_bet import MeanBet, growth
from rolewise.coordinator.judge.mean_grid import (
    RATIOS,
    GridBet,
    Numbers,
    Rows,
    grid_interval,
    grid_rows,
    log_factors,
)
from rolewise.coordinator.judge.packing import pack_single, unpack_single
from rolewise.coordinator.judge.reference import Sample, least_units
from rolewise.coordinator.judge.series import Reading, Value

MOST_BLOCK = 32  # its units are lists, which the state has to carry
PRIOR_UNITS = 20.0
SHORTEST_S = 1e-9
OVER_GROWTH = 1.6
CANARY_PRIOR = 100.0


class MessageSeries:
    """A quantile of the time that messages to the role take, canary against baseline.

    Args:
        quantile: Inside (0, 1).
        tolerate: Relative excess of the canary's quantile that is still safe.
        harm_margin: Relative excess that it must have, beyond doubt, to be harm.
    """

    __slots__ = (
        "_grid",
        "_harm",
        "_mark",
        "_means",
        "_middle",
        "_pending",
        "_quantile",
        "_room",
        "_safe",
        "_samples",
        "_slack",
        "_total",
        "_weight",
        "compares",
    )

    def __init__(self, *, quantile: float, tolerate: float, harm_margin: float = 0.0) -> None:
        self.compares = True
        self._quantile = quantile
        self._room, self._slack = 1.0 + tolerate, 1.0 + harm_margin
        self._harm = MeanBet(harm=True, restarts=True)
        self._safe = MeanBet(harm=False)
        # The canary's messages are held against the mark times each ratio, so the rows of the
        # grid need no scale of their own.
        grid = grid_rows(is_relative=True)
        self._grid = GridBet(Rows(scale=np.ones(len(grid.scale)), shift=grid.shift, sign=grid.sign))
        self._samples = (Sample(), Sample())
        self._mark: float | None = None
        self._weight = 0.0
        self._pending: list[tuple[bool, list[float]]] = []  # each task's seconds, rising
        self._means = ArmMeans()
        self._middle = [1.0 - quantile] * 2
        """Baseline's mean share above the mark, and at or above it."""
        self._total = [0.0, 0.0, 0.0]  # tasks of the baseline and the sums of both shares

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a task by the seconds that its messages took."""
        del failed
        assert isinstance(value, tuple)  # noqa: S101 (see `outcomes`)
        if not value or not 0.0 < weight < 1.0:
            return False
        if weight != self._weight or self._mark is None:
            self._begin_weight(weight)
        sample = self._samples[canary]
        seconds = sorted(sample.add(one) for one in value)
        mark = self._mark
        if mark is None:
            return False
        slow, late = (mark * self._slack, mark * self._room) if canary else (mark, mark)
        above = 1.0 - bisect_right(seconds, slow) / len(seconds)
        at_least = 1.0 - bisect_left(seconds, late) / len(seconds)
        self._harm.add(above, canary=canary)
        self._safe.add(at_least, canary=canary)
        self._pending.append((canary, seconds))
        shown = 1.0 - bisect_right(seconds, mark) / len(seconds)
        self._means.add(weight, shown, canary=canary)
        if not canary:
            self._total[0] += 1.0
            self._total[1] += above
            self._total[2] += at_least
        is_bad = shown > self._middle[0]
        if len(self._pending) >= MOST_BLOCK:
            self._multiply()
            self._set_bets()
        return is_bad

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        return self._harm.log_e, self._safe.log_e

    def read(self) -> Reading:
        """Return quantiles in seconds; the difference is the canary's relative excess."""
        baseline, canary = (
            sample.quantile(self._quantile) if len(sample) else None for sample in self._samples
        )
        log_harm, log_safe = self.levels()
        tasks = self._means.counts
        return Reading(
            baseline=baseline,
            canary=canary,
            difference=canary / baseline - 1.0 if baseline and canary is not None else None,
            interval=grid_interval(self._grid.log_e(self._logs()), is_relative=True),
            log_harm=log_harm,
            log_safe=log_safe,
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
            "harm": self._harm.to_json(),
            "safe": self._safe.to_json(),
            "grid": self._grid.to_json(),
            "samples": [sample.to_json() for sample in self._samples],
            "mark": self._mark,
            "weight": self._weight,
            "pending": {
                "canary": [canary for canary, _ in self._pending],
                "messages": [len(seconds) for _, seconds in self._pending],
                "seconds": pack_single(one for _, seconds in self._pending for one in seconds),
            },
            "means": self._means.to_json(),
            "middle": list(self._middle),
            "total": list(self._total),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._harm.load(data["harm"])
        self._safe.load(data["safe"])
        self._grid.load(data["grid"])
        for sample, stored in zip(self._samples, data["samples"], strict=True):
            sample.load(stored)
        self._mark, self._weight = data["mark"], data["weight"]
        pending = data["pending"]
        seconds, ends = unpack_single(pending["seconds"]), list(accumulate(pending["messages"]))
        self._pending = [
            (canary, seconds[start:end])
            for canary, start, end in zip(pending["canary"], [0, *ends], ends, strict=False)
        ]
        self._means.load(data["means"])
        self._middle = list(data["middle"])
        self._total = list(data["total"])

    def _begin_weight(self, weight: float) -> None:
        """Set the mark for the tasks to come, if there are enough messages."""
        self._multiply()
        self._weight = weight
        if len(self._samples[False]) >= least_units(self._quantile):
            self._mark = max(SHORTEST_S, self._samples[False].quantile(self._quantile))
        if self._mark is not None:
            self._set_bets()

    def _multiply(self) -> None:
        """Multiply the block's factors in, and look at the baseline's shares for the next ones."""
        logs = self._logs()
        if logs is None:
            return
        self._grid.add_block(logs)
        self._pending = []
        count, *totals = self._total
        prior = PRIOR_UNITS * (1.0 - self._quantile)
        self._middle = [(total + prior) / (count + PRIOR_UNITS) for total in totals]

    def _set_bets(self) -> None:
        for bet, middle in zip((self._harm, self._safe), self._middle, strict=True):
            bet.set(weight=self._weight, middle=middle, top=1.0)

    def _logs(self) -> Numbers | None:
        """Return what the tasks that are not multiplied yet add to each row of the grid."""
        if not self._pending or self._mark is None:
            return None
        points = len(RATIOS)
        canaries = np.array([canary for canary, _ in self._pending], dtype=np.bool_)
        counts = np.array([len(seconds) for _, seconds in self._pending])
        seconds = np.array([one for _, seconds in self._pending for one in seconds])
        marks = np.where(np.repeat(canaries, counts)[:, None], self._mark * RATIOS, self._mark)
        above = np.concatenate([seconds[:, None] > marks, seconds[:, None] >= marks], axis=1)
        starts = np.cumsum(counts) - counts
        shares = np.add.reduceat(above, starts, axis=0, dtype=np.float64) / counts[:, None]
        return log_factors(
            self._grid.rows,
            values=shares,
            canary=canaries,
            weight=self._weight,
            middle=np.repeat(self._middle, points),
            top=1.0,
        )

    def _note(self) -> str:
        if self._mark is None:
            least, present = least_units(self._quantile), len(self._samples[False])
            return f"{least} messages of the baseline set the mark, {present} are in"
        return ""
