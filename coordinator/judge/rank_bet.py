"""Evidence from ranks: do the canary's values lie further up among the baseline's older ones?

Each value is placed by its rank in a frozen sample of the baseline; if large ranks come from the
canary more often than its share, that is evidence against "the canary's values are no larger".
The bet is the likelihood ratio of proportional hazards, for slowdowns of several sizes. It is valid
for that null of stochastic order, which says more than a claim on means or quantiles: a canary with
equal mean and a wider spread can be found by it. So it may roll back together with others, but
never promotes. Method: label bets on ranks; for their kin see `projection`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import ceil, inf
from typing import Any

import numpy as np

from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.packing import pack_single, unpack_single

SLOWDOWNS = (1.1, 1.25, 1.5, 2.0, 3.0)
SHARES = (1.0 / len(SLOWDOWNS),) * len(SLOWDOWNS)
MOST_RANKS = 250  # of a larger sample every so manieth value is kept: the state stays small


def rank_of(ordered: Sequence[float], value: float) -> float:
    """Return where a value stands in a rising sample, inside (0, 1); ties stand in the middle."""
    below_twice = bisect_left(ordered, value) + bisect_right(ordered, value)
    return (0.5 * below_twice + 0.5) / (len(ordered) + 1)


class RankBet:
    """Running evidence that the canary's values are larger. `freeze` begins an epoch."""

    __slots__ = ("_last", "_logs", "_ordered", "_table", "_weight", "top")

    def __init__(self) -> None:
        self.top = 0.0
        """Largest finite value that is told apart; all above it are one, endless or not."""
        self._last = 0  # twice the rank of a value above it
        self._ordered: list[float] = []
        self._weight = 0.0
        self._logs = [0.0] * len(SLOWDOWNS)
        self._table: list[list[list[float]]] = []

    def freeze(self, ordered: Sequence[float], weight: float) -> None:
        """Compare with these values from here on, drawn with this probability of the canary.

        Args:
            ordered: Rising, in single precision, as `Sample.ordered` returns them.
            weight: The canary's probability.
        """
        step = ceil(len(ordered) / MOST_RANKS)
        self._set(list(ordered[step // 2 :: step]), weight)

    def add(self, value: float, *, canary: bool) -> None:
        """Count one value; nothing before the first `freeze`."""
        if not self._table:
            return
        ordered = self._ordered
        if value > self.top:
            place = self._last
        else:
            place = bisect_left(ordered, value) + bisect_right(ordered, value)
        row = self._table[canary][place]
        self._logs = [one + more for one, more in zip(self._logs, row, strict=True)]

    @property
    def log_e(self) -> float:
        """Logarithm of the evidence."""
        return log_mean_exp(self._logs, SHARES)

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here."""
        return {
            "logs": list(self._logs),
            "weight": self._weight,
            "ordered": pack_single(self._ordered),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._logs = list(data["logs"])
        ordered = unpack_single(data["ordered"])
        if ordered:
            self._set(ordered, data["weight"])

    def _set(self, ordered: list[float], weight: float) -> None:
        self._ordered, self._weight = ordered, weight
        self._table = _log_table(len(ordered), weight)
        finite = bisect_left(ordered, inf)
        self.top = ordered[finite - 1] if finite else 0.0
        self._last = finite + len(ordered)


def _log_table(size: int, weight: float) -> list[list[list[float]]]:
    """Return the factors' logarithms: by arm, by twice the number of values below, by slowdown."""
    ranks = (0.5 * np.arange(2 * size + 1) + 0.5) / (size + 1)
    slowdowns = np.asarray(SLOWDOWNS)
    ratio = (1.0 / slowdowns) * (1.0 - ranks[:, None]) ** (1.0 / slowdowns - 1.0)
    mixed = np.log(weight * ratio + 1.0 - weight)
    return [(-mixed).tolist(), (np.log(ratio) - mixed).tolist()]
