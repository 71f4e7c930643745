"""Is the canary given the share of tasks that it should be given? If not, nothing can be compared.

A wrong share means that something selects: tasks that crash before they are noted, retries, drops.
For each run of tasks with one weight the draws are held against a beta mixture around the weight;
the products over the runs are evidence against "each task was drawn with its weight" that may be
looked at all the time.
"""

from __future__ import annotations

from math import lgamma, log

from rolewise.coordinator.judge.mixture import log_mean_exp

CONCENTRATIONS = (100.0, 1000.0)
BROKEN_AT = 1000.0
"""Evidence at which the draw counts as broken: a false alarm in one trial of a thousand."""


def log_evidence(weight: float, canary: int, baseline: int, concentration: float) -> float:
    """Return the evidence, as a logarithm, that the canary's share is not `weight`.

    Args:
        weight: Inside (0, 1).
        canary: Tasks of the canary.
        baseline: Tasks of the baseline.
        concentration: How near the weight other shares are sought.
    """
    ours, theirs = concentration * weight, concentration * (1.0 - weight)
    return (
        _log_beta(ours + canary, theirs + baseline)
        - _log_beta(ours, theirs)
        - canary * log(weight)
        - baseline * log(1.0 - weight)
    )


class SampleRatio:
    """Counts of both arms, by weight."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[float, list[int]] = {}

    def add(self, *, canary: bool, weight: float) -> None:
        """Count one task; `weight` is the canary's probability. 0 and 1 are no draw."""
        if 0.0 < weight < 1.0:
            self._counts.setdefault(weight, [0, 0])[canary] += 1

    @property
    def log_e(self) -> float:
        """Logarithm of the evidence that the draw is broken."""
        return sum(
            log_mean_exp(
                [log_evidence(weight, count[1], count[0], one) for one in CONCENTRATIONS],
                [1.0 / len(CONCENTRATIONS)] * len(CONCENTRATIONS),
            )
            for weight, count in self._counts.items()
        )

    def sentence(self) -> str:
        """Return the shares in words, one weight after the other."""
        parts = []
        for weight, (baseline, canary) in self._counts.items():
            share = 100.0 * canary / (baseline + canary)
            parts.append(
                f"{share:.1f} % of {baseline + canary} tasks went to the canary where its weight"
                f" was {100.0 * weight:.3g} %"
            )
        return ", ".join(parts)

    def to_json(self) -> list[list[float]]:
        """Return the counts."""
        return [[weight, *count] for weight, count in self._counts.items()]

    def load(self, data: list[list[float]]) -> None:
        """Take over what `to_json` returned."""
        self._counts = {weight: [int(one), int(two)] for weight, one, two in data}


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
