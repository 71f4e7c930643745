"""Means of both arms as people read them: compared within weights, never pooled over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rolewise.coordinator.judge.linear_bet import standard_deviation


@dataclass(slots=True)
class _Weight:
    """Units of one weight: count and sum of each arm."""

    counts: list[int]
    sums: list[float]


class ArmMeans:
    """Counts and sums by weight and arm; their means standardised over the weights."""

    __slots__ = ("_by_weight", "_squares")

    def __init__(self) -> None:
        self._by_weight: dict[float, _Weight] = {}
        self._squares = 0.0

    def add(self, weight: float, value: float, *, canary: bool) -> None:
        """Count one unit."""
        row = self._by_weight.get(weight)
        if row is None:
            row = self._by_weight[weight] = _Weight([0, 0], [0.0, 0.0])
        row.counts[canary] += 1
        row.sums[canary] += value
        self._squares += value * value

    @property
    def counts(self) -> tuple[int, int]:
        """Units of baseline and canary."""
        rows = self._by_weight.values()
        return sum(row.counts[0] for row in rows), sum(row.counts[1] for row in rows)

    def means(self) -> tuple[float, float] | None:
        """Return the means of baseline and canary; None when no weight has units of both."""
        top_baseline = top_canary = bottom = 0.0
        for row in self._by_weight.values():
            baseline, canary = row.counts
            if baseline and canary:
                share = baseline * canary / (baseline + canary)
                top_baseline += share * row.sums[0] / baseline
                top_canary += share * row.sums[1] / canary
                bottom += share
        return (top_baseline / bottom, top_canary / bottom) if bottom else None

    def spread(self) -> float:
        """Return the standard deviation over all units."""
        rows = self._by_weight.values()
        total = sum(sum(row.sums) for row in rows)
        return standard_deviation(total, self._squares, sum(self.counts))

    def to_json(self) -> dict[str, Any]:
        """Return the sums."""
        rows = [[w, *row.counts, *row.sums] for w, row in self._by_weight.items()]
        return {"rows": rows, "squares": self._squares}

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._by_weight = {
            row[0]: _Weight([row[1], row[2]], [row[3], row[4]]) for row in data["rows"]
        }
        self._squares = data["squares"]
