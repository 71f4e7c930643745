"""E-processes on means: is the canary's mean, scaled, above the baseline's by more than a shift?

For a unit with value V in [0, top], arm A (1 canary), canary's probability w and a reference m
that was known before it, D = (A - w) / (w (1 - w)) * (V' - m), with V' = scale * V for a canary,
has the mean scale * mu_canary - mu_baseline whatever m is. A bet on the sign of D - shift pays
1 + g * (D - shift) / worst, where `worst` is what keeps every factor above 0; the stakes g are
mixed. Only the draw of the arm is used, so the values may have any distribution, drift, and hang on
what came before. Kin: Waudby-Smith and Ramdas (2024), doi:10.1093/jrsssb/qkad009.

Many nulls that differ in scale and shift are tested together, one a row, so that a whole grid of
them gives an interval. Units are collected and their factors multiplied a block at a time: within
a block m stands still, as it may, and numpy does the work.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.coordinator.judge.restarts import Restarts

Numbers = npt.NDArray[np.float64]

STAKES = (0.9, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015)
GRID_STAKES = (0.4, 0.1, 0.025)
SMALLEST_WORST = 1e-9


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
    stakes: tuple[float, ...] = STAKES


def one_row(*, scale: float = 1.0, shift: float = 0.0, harm: bool) -> Rows:
    """Return a single null: harm bets that scale * canary > baseline + shift, safe that it is <."""
    return Rows(
        scale=np.array([scale]), shift=np.array([shift]), sign=np.array([1.0 if harm else -1.0])
    )


def log_factors(
    rows: Rows,
    *,
    values: Numbers,
    canary: npt.NDArray[np.bool_],
    weight: float,
    middle: float,
    top: float,
) -> Numbers:
    """Return the logarithm that the units add to each row and stake, summed over the units.

    Args:
        rows: The nulls.
        values: One a unit, in [0, top]; or one a unit and row.
        canary: Each unit's arm.
        weight: The canary's probability, inside (0, 1).
        middle: The reference m.
        top: The largest value that there is.

    Returns:
        Rows in the first dimension, stakes in the second.
    """
    scale, shift, sign = rows.scale, rows.shift, rows.sign
    by_row = values if values.ndim > 1 else values[:, None]
    stakes = np.asarray(rows.stakes)
    above = np.maximum(middle / weight, (top - middle) / (1.0 - weight)) + shift
    below = np.maximum((scale * top - middle) / weight, middle / (1.0 - weight)) - shift
    worst = np.maximum(SMALLEST_WORST, np.where(sign > 0, above, below))
    total = np.zeros((len(scale), len(stakes)))
    ours, theirs = by_row[canary], by_row[~canary]
    for gain in ((ours * scale - middle) / weight, (middle - theirs) / (1.0 - weight)):
        per_stake = sign * (gain - shift) / worst
        if len(per_stake):
            total += np.log1p(per_stake[:, :, None] * stakes).sum(axis=0)
    return total


class LinearBet:
    """Running evidence for each row; `add_block` multiplies the factors of a block of units.

    Args:
        rows: The nulls.
        restarts: Keep part of the first coin for harm that begins late; only for a single row.
    """

    __slots__ = ("_logs", "_restarts", "_units", "rows")

    def __init__(self, rows: Rows, *, restarts: bool = False) -> None:
        self.rows = rows
        self._logs = np.zeros((len(rows.scale), len(rows.stakes)))
        self._restarts = Restarts(len(rows.stakes)) if restarts else None
        self._units = 0

    def add_block(self, logs: Numbers, *, units: int, changed: bool) -> None:
        """Add what `log_factors` returned for a block.

        Args:
            logs: It.
            units: Units in the block.
            changed: The weight changes behind the block.
        """
        self._logs = self._logs + logs
        self._units += units
        if self._restarts is not None:
            self._restarts.note(self._logs[0].tolist(), units=self._units, changed=changed)

    def log_e(self, pending: Numbers | None = None) -> Numbers:
        """Return the logarithm of each row's evidence, with a block that is still open."""
        logs = self._logs if pending is None else self._logs + pending
        stakes = len(self.rows.stakes)
        if self._restarts is not None:
            shares = [1.0 / stakes] * stakes
            return np.array([self._restarts.log_e(logs[0].tolist(), shares)])
        top = logs.max(axis=1, keepdims=True)
        return np.asarray(top[:, 0] + np.log(np.exp(logs - top).mean(axis=1)))

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here."""
        return {
            "logs": self._logs.tolist(),
            "units": self._units,
            "restarts": None if self._restarts is None else self._restarts.to_json(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._logs = np.asarray(data["logs"])
        self._units = data["units"]
        if self._restarts is not None:
            self._restarts.load(data["restarts"])


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
            "values": list(self._values),
            "canary": list(self._canary),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self.weight = data["weight"]
        self._values = array("d", data["values"])
        self._canary = array("b", data["canary"])


def growth(margin: float, spread: float, weight: float) -> float:
    """Return about how many nats one unit teaches about a mean that is `margin` from its limit.

    Args:
        margin: Distance of the means from the border of the null.
        spread: Standard deviation of a unit's value.
        weight: The canary's probability.
    """
    if margin <= 0.0:
        return 0.0
    variance = spread * spread / (weight * (1.0 - weight))
    return 0.5 * margin * margin / (variance + margin * margin)


def standard_deviation(total: float, squares: float, count: float) -> float:
    """Return the standard deviation of `count` values from their sum and their squares' sum."""
    if count < 2:  # noqa: PLR2004 - one value has none
        return 0.0
    return sqrt(max(0.0, squares / count - (total / count) ** 2))
