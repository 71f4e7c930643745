"""E-processes on means: is the canary's mean, scaled, above the baseline's by more than a shift?

For a unit with value V in [0, top], arm A (1 canary), canary's probability w and a reference m
that was known before it, D = (A - w) / (w (1 - w)) * (V' - m), with V' = scale * V for a canary,
has the mean scale * mu_canary - mu_baseline whatever m is. A bet on the sign of D - shift pays
1 + g * (D - shift) / worst, where `worst` is what keeps every factor above 0; the stakes g are
mixed. Only the draw of the arm is used, so the values may have any distribution, drift, and hang on
what came before. Kin: Waudby-Smith and Ramdas (2024), doi:10.1093/jrsssb/qkad009.

The reference m stands still for a while, as it may. Many nulls at once: `mean_grid`.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Any

from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.restarts import Restarts

STAKES = (0.9, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015)
SMALLEST_WORST = 1e-9
AT_ONCE = 32
"""Factors whose product is within the range of numbers, for weights down to a millionth."""
SHARES = (1.0 / len(STAKES),) * len(STAKES)

Line = tuple[float, float]
"""What a unit is worth to a bet: first + second * value."""


class MeanBet:
    """Running evidence against one null; `log_e` is its logarithm.

    Args:
        scale: What a canary's value is multiplied with.
        shift: How far its mean may be above the baseline's.
        harm: Bet that it is further above; else that it is not.
        restarts: Keep part of the first coin for harm that begins late.
    """

    __slots__ = (
        "_lines",
        "_logs",
        "_products",
        "_restarts",
        "_scale",
        "_shift",
        "_sign",
        "_units",
        "_weight",
    )

    def __init__(
        self, *, scale: float = 1.0, shift: float = 0.0, harm: bool, restarts: bool = False
    ) -> None:
        self._scale, self._shift = scale, shift
        self._sign = 1.0 if harm else -1.0
        self._logs = [0.0] * len(STAKES)
        self._products = [1.0] * len(STAKES)  # of the factors that are not in `_logs` yet
        self._restarts = Restarts(len(STAKES)) if restarts else None
        self._units = 0
        self._weight = 0.0
        self._lines: tuple[Line, Line] = ((0.0, 0.0), (0.0, 0.0))

    def set(self, *, weight: float, middle: float, top: float) -> None:
        """Set what the units to come are held against, all of it known before them.

        Args:
            weight: The canary's probability, inside (0, 1).
            middle: The reference m, in [0, top].
            top: The largest value that there is.
        """
        self._fold()
        if self._restarts is not None:
            changed = weight != self._weight
            self._restarts.note(self._logs, units=self._units, changed=changed)
        self._weight = weight
        scale, shift, sign, other = self._scale, self._shift, self._sign, 1.0 - weight
        if sign > 0.0:
            worst = max(middle / weight, (top - middle) / other) + shift
        else:
            worst = max((scale * top - middle) / weight, middle / other) - shift
        rate = sign / max(SMALLEST_WORST, worst)
        self._lines = (
            (rate * (middle / other - shift), -rate / other),
            (-rate * (middle / weight + shift), rate * scale / weight),
        )

    def add(self, value: float, *, canary: bool) -> None:
        """Count a unit."""
        first, second = self._lines[canary]
        gain = first + second * value
        self._products = [
            one + one * stake * gain for one, stake in zip(self._products, STAKES, strict=True)
        ]
        self._units += 1
        if self._units % AT_ONCE == 0:
            self._fold()

    @property
    def log_e(self) -> float:
        """Logarithm of the evidence against the null."""
        logs = self._totals()
        if self._restarts is not None:
            return self._restarts.log_e(logs, SHARES)
        return log_mean_exp(logs, SHARES)

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here."""
        return {
            "logs": list(self._logs),
            "products": list(self._products),
            "units": self._units,
            "weight": self._weight,
            "lines": [list(line) for line in self._lines],
            "restarts": None if self._restarts is None else self._restarts.to_json(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._logs, self._products = list(data["logs"]), list(data["products"])
        self._units, self._weight = data["units"], data["weight"]
        (a, b), (c, d) = data["lines"]
        self._lines = ((a, b), (c, d))
        if self._restarts is not None:
            self._restarts.load(data["restarts"])

    def _fold(self) -> None:
        self._logs = self._totals()
        self._products = [1.0] * len(STAKES)

    def _totals(self) -> list[float]:
        return [one + log(more) for one, more in zip(self._logs, self._products, strict=True)]


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
