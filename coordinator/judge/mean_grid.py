"""Anytime-valid intervals of differences of means: a grid of nulls, all tested all the time.

A difference is ruled out when the evidence that it is larger, or that it is smaller, reaches
2 / error. What is left is rounded outwards to the next point of the grid. The bets are those of
`linear_bet`, one a row; units are collected, and numpy multiplies their factors a block at a time.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import inf, log
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.coordinator.judge.linear_bet import AT_ONCE, SMALLEST_WORST
from rolewise.coordinator.judge.packing import pack_double, unpack_double

Numbers = npt.NDArray[np.float64]

INTERVAL_ERROR = 0.05
GRID_STAKES = (0.4, 0.1, 0.025)

_EXCESSES = (
    *(0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.65, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0),
)
_SHIFTS = (
    *(0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09, 0.11),
    *(0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8),
)

RATIOS: Numbers = np.array(
    [*(1.0 / (1.0 + one) for one in reversed(_EXCESSES)), *(1.0 + one for one in _EXCESSES)]
)
"""Canary's mean over the baseline's."""

DIFFERENCES: Numbers = np.array([*(-one for one in reversed(_SHIFTS)), *_SHIFTS])
"""Canary's mean minus the baseline's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Nulls that are tested together, one a row.

    Attributes:
        scale: What a canary's value is multiplied with.
        shift: How far its mean may be above the baseline's.
        sign: 1 bets that it is further above (harm), -1 that it is not (safe).
        stakes: Mixed in equal parts.
    """

    scale: Numbers
    shift: Numbers
    sign: Numbers
    stakes: tuple[float, ...] = GRID_STAKES


def grid_rows(*, is_relative: bool) -> Rows:
    """Return the nulls: for each point first "not larger", then "not smaller"."""
    points = RATIOS if is_relative else DIFFERENCES
    both = np.concatenate([points, points])
    return Rows(
        scale=1.0 / both if is_relative else np.ones(len(both)),
        shift=np.zeros(len(both)) if is_relative else both,
        sign=np.repeat([1.0, -1.0], len(points)),
        stakes=GRID_STAKES,
    )


def log_factors(
    rows: Rows,
    *,
    values: Numbers,
    canary: npt.NDArray[np.bool_],
    weight: float,
    middle: float | Numbers,
    top: float,
) -> Numbers:
    """Return the logarithm that the units add to each row and stake, summed over the units.

    Args:
        rows: The nulls.
        values: One a unit, in [0, top]; or one a unit and row.
        canary: Each unit's arm.
        weight: The canary's probability, inside (0, 1).
        middle: The reference m; or one a row.
        top: The largest value that there is.

    Returns:
        Rows in the first dimension, stakes in the second.
    """
    scale, shift, sign = rows.scale, rows.shift, rows.sign
    above = np.maximum(middle / weight, (top - middle) / (1.0 - weight)) + shift
    below = np.maximum((scale * top - middle) / weight, middle / (1.0 - weight)) - shift
    rate = sign / np.maximum(SMALLEST_WORST, np.where(sign > 0, above, below))
    # A factor is 1 + stake * (first + second * value): one column for each row and stake.
    stakes = np.asarray(rows.stakes)
    total = np.zeros(len(scale) * len(stakes))
    for is_ours, first, second in (
        (True, -rate * (middle / weight + shift), rate * scale / weight),
        (False, rate * (middle / (1.0 - weight) - shift), -rate / (1.0 - weight)),
    ):
        part = values[canary == is_ours]
        if not len(part):
            continue
        columns = part[:, None] if part.ndim == 1 else np.repeat(part, len(stakes), axis=1)
        factors = columns * np.outer(second, stakes).ravel()
        factors += 1.0 + np.outer(first, stakes).ravel()
        for start in range(0, len(factors), AT_ONCE):
            total += np.log(factors[start : start + AT_ONCE].prod(axis=0))
    return total.reshape(len(scale), len(stakes))


class GridBet:
    """Running evidence for each row; `add_block` multiplies the factors of a block of units."""

    __slots__ = ("_logs", "rows")

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._logs = np.zeros((len(rows.scale), len(rows.stakes)))

    def add_block(self, logs: Numbers) -> None:
        """Add what `log_factors` returned for a block."""
        self._logs = self._logs + logs

    def log_e(self, pending: Numbers | None = None) -> Numbers:
        """Return the logarithm of each row's evidence, with a block that is still open."""
        logs = self._logs if pending is None else self._logs + pending
        top = logs.max(axis=1, keepdims=True)
        return np.asarray(top[:, 0] + np.log(np.exp(logs - top).mean(axis=1)))

    def to_json(self) -> str:
        """Return all that is needed to go on exactly here."""
        return pack_double(self._logs.ravel())

    def load(self, data: str) -> None:
        """Take over what `to_json` returned."""
        self._logs = np.asarray(unpack_double(data)).reshape(self._logs.shape)


class Block:
    """Units of one weight that are not multiplied yet: their values and arms."""

    __slots__ = ("_canary", "_values", "weight")

    def __init__(self) -> None:
        self.weight = 0.0
        self._values = array("d")
        self._canary = array("b")

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self._values)

    def add(self, value: float, *, canary: bool) -> None:
        """Take a unit in."""
        self._values.append(value)
        self._canary.append(canary)

    def columns(self) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Return values and arms (true is canary)."""
        return np.array(self._values), np.array(self._canary, dtype=np.bool_)

    def clear(self) -> None:
        """Begin a new block."""
        self._values, self._canary = array("d"), array("b")

    def to_json(self) -> dict[str, Any]:
        """Return the units."""
        return {
            "weight": self.weight,
            "values": pack_double(self._values),
            "canary": "".join("01"[one] for one in self._canary),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self.weight = data["weight"]
        self._values = array("d", unpack_double(data["values"]))
        self._canary = array("b", map(int, data["canary"]))


def grid_interval(
    logs: Numbers, *, is_relative: bool, error: float = INTERVAL_ERROR
) -> tuple[float, float] | None:
    """Return the interval that the evidence of the rows leaves.

    Args:
        logs: Logarithm of each row's evidence, in the order of `grid_rows`.
        is_relative: The points are ratios; the interval is of their excess over 1.
        error: Chance that it is ever wrong.

    Returns:
        None while both ends are open. An open lower end is -1, an open upper end infinite.
    """
    points = RATIOS - 1.0 if is_relative else DIFFERENCES
    half = len(points)
    is_out = logs >= log(2.0 / error)
    # An end is a point that is left, with all beyond it ruled out: whatever the evidence between
    # does, the points next to the truth would have to be ruled out for a wrong interval.
    below, above = _leading(is_out[:half]), _leading(is_out[half:][::-1])
    if not below and not above:
        return None
    low = float(points[below - 1]) if below else -1.0
    high = float(points[-above]) if above else inf if is_relative else 1.0
    return low, max(low, high)


def _leading(flags: npt.NDArray[np.bool_]) -> int:
    """Return how many true flags there are before the first false one."""
    return len(flags) if flags.all() else int(np.argmin(flags))
