"""Betting on the arm of a task, given its outcome: what each of the four cells pays.

The router draws the arm with a known probability, so under the null the outcome says nothing about
the arm beyond that. For one alternative (canary rate, baseline rate) outside the null, the pair in
the null that is nearest in Kullback-Leibler divergence gives factors whose expectation is at most 1
under every pair of the null. Their product over tasks is evidence that may be looked at all the
time. Kin: Turner, Ly, Grünwald (2024), two-sample e-variables, doi:10.1016/j.jspi.2023.106116.

Rates are of *bad* outcomes. `weight` is a probability here, not percent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

EDGE = 1e-9  # rates of the null stay this far from 0 and 1
HALVINGS = 60

BASELINE_GOOD, BASELINE_BAD, CANARY_GOOD, CANARY_BAD = range(4)
"""The cells: `2 * canary + bad`."""

Logs = tuple[float, float, float, float]
"""Logarithm of the factor of each cell."""

NEUTRAL: Logs = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """What is to be disproved; its border is the line canary = ratio * baseline + shift.

    Attributes:
        claim: `harmless`: the canary's rate is at most that; `harmful`: at least that.
    """

    claim: Literal["harmless", "harmful"]
    ratio: float = 1.0
    shift: float = 0.0

    def holds(self, canary: float, baseline: float) -> bool:
        """Tell whether the pair of rates lies in the null."""
        excess = canary - self.ratio * baseline - self.shift
        return excess <= 0.0 if self.claim == "harmless" else excess >= 0.0


def divergence(a: float, b: float) -> float:
    """Return the Kullback-Leibler divergence of two coins, in nats; `b` is inside (0, 1)."""
    return (a * log(a / b) if a > 0.0 else 0.0) + (
        (1.0 - a) * log((1.0 - a) / (1.0 - b)) if a < 1.0 else 0.0
    )


def project(weight: float, canary: float, baseline: float, null: Null) -> tuple[float, float]:
    """Return the pair on the border of `null` that is nearest to the alternative.

    Args:
        weight: Probability of the canary arm, inside (0, 1).
        canary: Bad rate of the canary under the alternative.
        baseline: Bad rate of the baseline under the alternative.
        null: Its border must cross the unit square.

    Returns:
        The (canary, baseline) rates that minimise
        `weight * KL(canary || .) + (1 - weight) * KL(baseline || .)`.
    """
    ratio, shift = null.ratio, null.shift
    if ratio == 1.0 and shift == 0.0:
        mean = weight * canary + (1.0 - weight) * baseline
        return mean, mean
    low = max(EDGE, (EDGE - shift) / ratio)
    high = min(1.0 - EDGE, (1.0 - EDGE - shift) / ratio)
    for _ in range(HALVINGS):  # the derivative rises along the border
        base = 0.5 * (low + high)
        other = ratio * base + shift
        slope = weight * ratio * (other - canary) / (other * (1.0 - other)) + (1.0 - weight) * (
            base - baseline
        ) / (base * (1.0 - base))
        if slope < 0.0:
            low = base
        else:
            high = base
    base = 0.5 * (low + high)
    return ratio * base + shift, base


def log_factors(weight: float, canary: float, baseline: float, null: Null) -> Logs:
    """Return what each cell pays, as logarithms; nothing when the alternative is in the null."""
    if null.holds(canary, baseline):
        return NEUTRAL
    at_canary, at_baseline = project(weight, canary, baseline, null)
    return (
        log((1.0 - baseline) / (1.0 - at_baseline)),
        log(baseline / at_baseline),
        log((1.0 - canary) / (1.0 - at_canary)),
        log(canary / at_canary),
    )


def information(weight: float, canary: float, baseline: float, null: Null) -> float:
    """Return the most that any valid test can learn against `null` from one task, in nats.

    No rule with error `a` decides in fewer than `log(1/a) / information` tasks on average.
    """
    if null.holds(canary, baseline):
        return 0.0
    at_canary, at_baseline = project(weight, canary, baseline, null)
    return weight * divergence(canary, at_canary) + (1.0 - weight) * divergence(
        baseline, at_baseline
    )
