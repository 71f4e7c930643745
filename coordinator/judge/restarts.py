"""Evidence that does not forget harm which begins late.

An e-process that ran through a long healthy time has lost most of its evidence; harm that begins
then must first win it back. So the first coin is split: most of it is bet from the start, the rest
is kept and bet, in parts, from later starts. Each part is an e-process (1 before its start), and so
is their sum. The split stands from the first task on: a whole coin that is split only when the
first restart comes would be filled up again just where it is nearly lost.

A start may depend on the past only. Here it comes at every change of the weight and when the number
of units has grown by half. A part is worth the quotient of the products now and at its start, so
for each product one number carries all starts: the sum of share / product at the start.

The price for harm that is there from the first task is about 3 % more tasks; harm that begins after
6000 good tasks is found in 60 to 80 % of the tasks that it would take without.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p, sqrt
from typing import Any

from rolewise.coordinator.judge.mixture import log_mean_exp

FIRST_SHARE = 0.9
LEAST_UNITS, GROWTH = 1000, 1.5
"""Units before the first restart that no change of the weight calls for, and between others."""


def kept_share(starts: int) -> float:
    """Return the share of the coin that is left after so many restarts."""
    return (1.0 - FIRST_SHARE) / sqrt(starts + 1)


class Restarts:
    """The starts of one e-process that is a mixture of products.

    Args:
        products: How many products there are.
    """

    __slots__ = ("_lifts", "_next", "_starts")

    def __init__(self, products: int) -> None:
        self._lifts = [log(FIRST_SHARE)] * products
        """For each product the logarithm of the sum, over all starts, of share / product then."""
        self._starts = 0
        self._next = LEAST_UNITS

    def note(self, logs: Sequence[float], *, units: int, changed: bool) -> None:
        """Begin a restart here if it is time for one.

        Args:
            logs: Logarithms of the products so far.
            units: How many units they are of.
            changed: The weight changes here.
        """
        if units >= self._next:
            self._next = max(int(GROWTH * self._next), units + 1)
        elif not changed or not units:
            return
        share = log(kept_share(self._starts) - kept_share(self._starts + 1))
        self._starts += 1
        self._lifts = [
            _log_sum(lift, share - one) for lift, one in zip(self._lifts, logs, strict=True)
        ]

    def log_e(self, logs: Sequence[float], shares: Sequence[float]) -> float:
        """Return the logarithm of the evidence of all starts together.

        Args:
            logs: Logarithms of the products so far.
            shares: How each coin is split between the products; they sum to 1.
        """
        lifted = [one + lift for one, lift in zip(logs, self._lifts, strict=True)]
        return _log_sum(log_mean_exp(lifted, shares), log(kept_share(self._starts)))

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here."""
        return {"lifts": list(self._lifts), "starts": self._starts, "next": self._next}

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._lifts = list(data["lifts"])
        self._starts, self._next = data["starts"], data["next"]


def _log_sum(a: float, b: float) -> float:
    """Return the logarithm of the sum of two exponentials."""
    return max(a, b) + log1p(exp(-abs(a - b)))
