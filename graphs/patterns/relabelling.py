"""How often a relabelling looks as extreme as what was seen: one search for all tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from rolewise.graphs.patterns.strata import Labels, Strata
from rolewise.graphs.task_rows import Figures

EXCEEDANCES: Final = 5
"""As many relabellings at least as extreme as the leading statistic end the search: no alarm."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """The largest statistic of each relabelling drawn.

    Attributes:
        ranked: In ascending order.
        rounding: Statistics that are so close count as equal, as sums in another order may be.
    """

    ranked: Figures
    rounding: float

    @property
    def drawn(self) -> int:
        """Relabellings drawn."""
        return len(self.ranked)

    def p(self, seen: Figures) -> Figures:
        """Return p of each statistic, over all of them: the share of relabellings beyond it.

        An upper bound for all but the leading one when the search was cut short.
        """
        above = self.drawn - np.searchsorted(self.ranked, seen - self.rounding)
        return np.asarray((1 + above) / (self.drawn + 1))


def search(
    strata: Strata,
    seen: Figures,
    largest: Callable[[Labels], Figures],
    *,
    alpha: float,
    rng: np.random.Generator,
    rounding: float,
) -> Search:
    """Draw relabellings until it is clear whether the leading statistic is an alarm.

    Args:
        strata: Arms and strata.
        seen: The statistics as they are; only the largest steers the search.
        largest: Returns the largest statistic of each of some relabellings.
        alpha: Chance of a false alarm.
        rng: Draws them.
        rounding: See `Search`.

    Notes:
        `ceil(5 / alpha)` of them when an alarm is near, some dozens when nothing is there.
    """
    leading = float(seen.max(initial=-np.inf)) - rounding
    tops: list[Figures] = []
    exceeded = 0
    for labels in strata.chunks(ceil(EXCEEDANCES / alpha), rng):
        top = largest(labels)
        tops.append(top)
        exceeded += int((top >= leading).sum())
        if exceeded >= EXCEEDANCES:
            break
    return Search(np.sort(np.concatenate(tops)), rounding)
