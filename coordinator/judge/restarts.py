"""Evidence that does not forget harm which begins late.

An e-process that ran through a long healthy time has lost most of its evidence; harm that begins
then must first win it back. So the first coin is split: most of it is bet from the start, the rest
is kept and bet, in parts, from later starts. Each part is an e-process (1 before its start), and so
is their sum. A part needs nothing of its own but the products at its start: what it has won since
is the quotient.

A start may depend on the past only. Here it comes at every change of the weight and when the number
of units has doubled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.coordinator.judge.mixture import log_mean_exp

FIRST_SHARE = 0.6
LEAST_UNITS = 1000
"""Units before the first restart that no change of the weight calls for."""
MOST_STARTS = 40
"""A weight that is changed for ever must not make the state grow for ever."""


def later_share(index: int) -> float:
    """Return the share of the restart with this index, from 1; all of them sum to the rest."""
    return (1.0 - FIRST_SHARE) / (index * (index + 1))


class Restarts:
    """The later starts of one e-process that is a mixture of products."""

    __slots__ = ("_next", "_starts")

    def __init__(self) -> None:
        self._starts: list[list[float]] = []  # logarithms of the products at each restart
        self._next = LEAST_UNITS

    def note(self, logs: Sequence[float], *, units: int, changed: bool) -> None:
        """Begin a restart here if it is time for one.

        Args:
            logs: Logarithms of the products so far.
            units: How many units they are of.
            changed: The weight changes here.
        """
        if not units or len(self._starts) == MOST_STARTS:
            return
        if units >= self._next:
            self._next = max(2 * self._next, units + 1)
        elif not changed:
            return
        self._starts.append(list(logs))

    def log_e(self, logs: Sequence[float], shares: Sequence[float]) -> float:
        """Return the logarithm of the evidence of all starts together.

        Args:
            logs: Logarithms of the products so far.
            shares: How each coin is split between the products; they sum to 1.
        """
        if not self._starts:
            return log_mean_exp(logs, shares)
        now: npt.NDArray[np.float64] = np.asarray(logs)
        parts = [log_mean_exp(logs, shares)]
        weights = [FIRST_SHARE]
        for index, start in enumerate(self._starts, 1):
            parts.append(log_mean_exp((now - np.asarray(start)).tolist(), shares))
            weights.append(later_share(index))
        parts.append(0.0)  # the coins of starts to come
        weights.append(1.0 - sum(weights))
        return log_mean_exp(parts, weights)

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here."""
        return {"starts": [list(start) for start in self._starts], "next": self._next}

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._starts = [list(start) for start in data["starts"]]
        self._next = data["next"]
