"""Tasks of both arms in their strata, and other ways in which the arms could have been drawn.

Arms are drawn at random, task by task, so under the null each way to draw as many canaries in
each stratum was equally likely. A test draws such ways and counts how often they look as extreme
as what was seen: exact, whatever the distribution, with tasks (not messages) as the unit.
Strata with one arm only carry no information and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rolewise.graphs.task_rows import Figures, Marks

CHUNK = 512
"""Labellings drawn at a time: one matrix product for all columns."""

Labels = npt.NDArray[np.float32]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Group:
    """Strata of one size: `count` of them, `size` tasks each, `canaries` of these on canary."""

    begin: int
    count: int
    size: int
    canaries: int

    @property
    def span(self) -> slice:
        return slice(self.begin, self.begin + self.count * self.size)


class Strata:
    """The tasks that a test uses, stratum by stratum.

    Args:
        canary: Which tasks are on canary; all others are baseline.
        stratum: Number of the stratum of each task.
    """

    def __init__(self, canary: Marks, stratum: npt.NDArray[np.integer]) -> None:
        _, code = np.unique(stratum, return_inverse=True)
        sizes = np.bincount(code)
        canaries = np.bincount(code, weights=canary).astype(np.int64)
        mixed = (canaries > 0) & (canaries < sizes)
        # Strata of equal size and arms stand together: their labels are drawn in one go.
        rank = np.empty(len(sizes), np.int64)
        rank[np.lexsort((canaries, sizes))] = np.arange(len(sizes))
        order = np.argsort(rank[code], kind="stable")
        self.rows: Places = order[mixed[code[order]]]
        """Rows of the tasks that are used, stratum by stratum."""
        self.canary: Marks = canary[self.rows]
        used = rank[code[self.rows]]
        first = np.flatnonzero(np.r_[True, used[1:] != used[:-1]]) if len(used) else used
        self.starts: Places = first.astype(np.intp)
        by_rank = np.argsort(rank)
        kept = by_rank[used[self.starts]] if len(used) else by_rank[:0]
        self.sizes = sizes[kept]
        self.canaries = canaries[kept]
        self._groups = tuple(self._grouped())

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def tasks_canary(self) -> int:
        """Canary tasks that are used."""
        return int(self.canaries.sum())

    @property
    def tasks_baseline(self) -> int:
        """Baseline tasks that are used."""
        return len(self) - self.tasks_canary

    def sums(self, values: Figures) -> Figures:
        """Return the sum of each column in each stratum."""
        if len(self) == 0:
            return np.zeros((0, *values.shape[1:]))
        return np.add.reduceat(values, self.starts, axis=0)

    def spread(self, values: Figures) -> Figures:
        """Return a value per stratum at each of its tasks."""
        return np.repeat(values, self.sizes, axis=0)

    def centre(self, values: Figures, users: Marks | None = None) -> Figures:
        """Subtract the mean of the stratum from each column.

        Args:
            values: One row for each used task.
            users: Where a column has a value at all: the mean is theirs, and others get 0.
        """
        if users is None:
            return values - self.spread(self.sums(values) / self.sizes[:, None])
        count = np.maximum(self.sums(users.astype(np.float64)), 1.0)
        centred = values - self.spread(self.sums(np.where(users, values, 0.0)) / count)
        return np.where(users, centred, 0.0)

    def variance(self, centred: Figures) -> Figures:
        """Return the exact variance of each column's sum over the canary tasks."""
        n, c = self.sizes, self.canaries
        share = c * (n - c) / (n * (n - 1.0))
        total: Figures = share @ self.sums(centred**2)
        return total

    def weighted_means(self, values: Figures) -> tuple[Figures, Figures]:
        """Return the means of canary and baseline, strata weighted alike in both.

        A stratum weighs `canaries * baselines / tasks`, so that a mix of task types that differs
        between the arms by chance makes no difference.
        """
        n, c = self.sizes.astype(np.float64), self.canaries.astype(np.float64)
        weight = c * (n - c) / n
        weight /= weight.sum()
        on_canary = self.sums(np.where(self.canary[:, None], values, 0.0))
        total = self.sums(values)
        canary: Figures = weight @ (on_canary / c[:, None])
        baseline: Figures = weight @ ((total - on_canary) / (n - c)[:, None])
        return canary, baseline

    def draw(self, rows: int, rng: np.random.Generator) -> Labels:
        """Draw labellings: 1 for a canary, each row as likely as any other.

        Returns:
            `rows` x used tasks.
        """
        labels = np.empty((rows, len(self)), np.float32)
        for group in self._groups:
            shape = (rows, group.count, group.size)
            part = _draw(shape, group.canaries, rng)
            labels[:, group.span] = part.reshape(rows, -1)
        return labels

    def chunks(self, total: int, rng: np.random.Generator) -> Iterator[Labels]:
        """Draw `total` labellings, `CHUNK` at a time."""
        for begin in range(0, total, CHUNK):
            yield self.draw(min(CHUNK, total - begin), rng)

    def shapes(self, of: slice) -> Iterator[tuple[int, int, int]]:
        """Yield strata of one size and equally many canaries: first task, how many, their size.

        Args:
            of: A run of the used tasks; whole strata.
        """
        for group in self._groups:
            begin = max(group.begin, of.start)
            end = min(group.span.stop, of.stop)
            if begin < end:
                yield begin, (end - begin) // group.size, group.size

    def _grouped(self) -> Iterator[_Group]:
        pairs = list(zip(self.sizes.tolist(), self.canaries.tolist(), strict=True))
        begin = 0
        place = 0
        while place < len(pairs):
            end = place
            while end < len(pairs) and pairs[end] == pairs[place]:
                end += 1
            size, canaries = pairs[place]
            yield _Group(begin, end - place, size, canaries)
            begin += (end - place) * size
            place = end


def _draw(shape: tuple[int, int, int], canaries: int, rng: np.random.Generator) -> Marks:
    """Choose `canaries` of the last axis everywhere: those with the smallest random keys."""
    keys = rng.integers(0, 1 << 32, size=shape, dtype=np.uint32)
    limit = np.partition(keys, canaries, axis=-1)[..., canaries : canaries + 1]
    chosen = keys < limit
    tied = chosen.sum(axis=-1) != canaries  # a tie at the limit, about once in a million rows
    while tied.any():
        # Drawn anew, and a tie favours nobody, so all labellings stay equally likely.
        again = rng.integers(0, 1 << 32, size=(int(tied.sum()), shape[-1]), dtype=np.uint32)
        limit = np.partition(again, canaries, axis=-1)[:, canaries : canaries + 1]
        chosen[tied] = again < limit
        tied = chosen.sum(axis=-1) != canaries
    return np.asarray(chosen)
