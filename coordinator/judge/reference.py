"""The newest values of one arm, a thousand at most: they set marks before tasks are compared.

Kept in single precision, so that the state of a signal stays small. What is compared with a mark
that was set by them should be rounded likewise: else equal values would not be equal to their mark.
"""

from __future__ import annotations

from array import array
from math import ceil, inf

from rolewise.coordinator.judge.packing import pack_single, unpack_single

SAMPLE_UNITS = 1000
LEAST_UNITS, MOST_LEAST_UNITS = 50, 200
VALUES_ABOVE = 10.0  # a mark with fewer of its sample above it is hardly known


def least_units(quantile: float) -> int:
    """Return how many values set the mark of a quantile."""
    return ceil(min(MOST_LEAST_UNITS, max(LEAST_UNITS, VALUES_ABOVE / (1.0 - quantile) - 1e-9)))


class Sample:
    """A ring of values; infinite ones are allowed."""

    __slots__ = ("_at", "_values")

    def __init__(self) -> None:
        self._values = array("f")
        self._at = 0

    def __len__(self) -> int:
        """Return how many values are in."""
        return len(self._values)

    def add(self, value: float) -> float:
        """Take a value in, for the oldest one when there are enough; return it as it is kept."""
        values = self._values
        if len(values) < SAMPLE_UNITS:
            values.append(value)
            return values[-1]
        at = self._at
        values[at] = value
        self._at = (at + 1) % SAMPLE_UNITS
        return values[at]

    def quantile(self, quantile: float, *, endless: int = 0) -> float:
        """Return the smallest value that at least this share of the values does not exceed.

        Args:
            quantile: Inside (0, 1).
            endless: How many more values there are, each as good as infinite.
        """
        place = max(0, ceil(quantile * (len(self._values) + endless)) - 1)
        return sorted(self._values)[place] if place < len(self._values) else inf

    def mean(self, cap: float = inf) -> float:
        """Return the mean, larger values counted as `cap`."""
        return sum(min(value, cap) for value in self._values) / len(self._values)

    def ordered(self) -> list[float]:
        """Return the values, rising."""
        return sorted(self._values)

    def to_json(self) -> dict[str, str | int]:
        """Return the values, packed."""
        return {"packed": pack_single(self._values), "at": self._at}

    def load(self, data: dict[str, str | int]) -> None:
        """Take over what `to_json` returned."""
        self._values = array("f", unpack_single(str(data["packed"])))
        self._at = int(data["at"])
