"""How often a relabelling looks as extreme as what was seen: one search for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rolewise.graphs.patterns.rotations import Rotations
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Figures

EXCEEDANCES: Final = 5
"""As many relabellings at least as extreme as the leading statistic end the search: no alarm."""

MANY: Final = 1 << 23
"""Tasks times relabellings from which on relabellings are rotations."""


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
    values: npt.NDArray[Any],
    seen: Figures,
    largest: Callable[[Figures], Figures],
    *,
    alpha: float,
    rng: np.random.Generator,
    rounding: float,
    parts: Sequence[slice] = (),
) -> Search:
    """Draw relabellings until it is clear whether the leading statistic is an alarm.

    Args:
        strata: Arms and strata.
        values: What is summed up over the canary tasks: one row for each used task.
        seen: The statistics as they are; only the largest steers the search.
        largest: Returns the largest statistic of each of some relabellings, from their sums.
        alpha: Chance of a false alarm.
        rng: Draws them.
        rounding: See `Search`.
        parts: As in `relabelled_sums`.

    Notes:
        `ceil(5 / alpha)` of them when an alarm is near, some dozens when nothing is there.
    """
    leading = float(seen.max(initial=-np.inf)) - rounding
    tops: list[Figures] = []
    exceeded = 0
    for sums in relabelled_sums(strata, values, ceil(EXCEEDANCES / alpha), rng, parts):
        top = largest(sums)
        tops.append(top)
        exceeded += int((top >= leading).sum())
        if exceeded >= EXCEEDANCES:
            break
    return Search(np.sort(np.concatenate(tops)), rounding)


def relabelled_sums(
    strata: Strata,
    values: npt.NDArray[Any],
    total: int,
    rng: np.random.Generator,
    parts: Sequence[slice] = (),
) -> Iterator[Figures]:
    """Yield what the columns sum to over the canary tasks, had the arms been drawn otherwise.

    Args:
        strata: Arms and strata.
        values: One row for each used task; sums are of its type.
        total: So many relabellings; some more, where they are rotations.
        rng: Draws them.
        parts: Runs of whole strata that are summed up each for itself; one of all when empty.

    Yields:
        Some relabellings at a time, x parts x columns.

    Notes:
        The arms as they are and all that is yielded are exchangeable under the null, so that their
        ranks are exact. Few tasks' arms are drawn each time anew; many tasks' are rotated, which
        costs about n log n for n relabellings instead of n^2 (see `rotations`).
    """
    parts = parts or (slice(0, len(strata)),)
    if len(strata) * total >= MANY:
        yield from Rotations(strata, values, parts, rng).sums(total)
    else:
        yield from drawn_sums(strata, values, total, rng, parts)


def drawn_sums(
    strata: Strata,
    values: npt.NDArray[Any],
    total: int,
    rng: np.random.Generator,
    parts: Sequence[slice],
) -> Iterator[Figures]:
    """Yield what `relabelled_sums` does, of relabellings that owe nothing to the arms as they are.

    What a statistic is measured by must be drawn so: it may not know who the canaries are.
    """
    for labels in strata.chunks(total, rng):
        yield np.stack(
            [labels[:, of].astype(values.dtype, copy=False) @ values[of] for of in parts], axis=1
        )
