"""Relabellings of many tasks at once: arms that are rotated, summed up by Fourier transforms.

Put the tasks of a stratum in a ring, in a random order, and turn the arms against the tasks: each
turn is a way in which the arms could have been drawn. What a column sums to over the canary tasks,
for all turns of a ring together, is one circular correlation: n log n steps for n relabellings,
where drawing each of them for itself takes n steps each.

Turns are exact, not an approximation. They form a group, and under the null each labelling of an
orbit was equally likely, so that the rank of the arms as they are among (distinct, random) turns
of them is uniform, whatever the order of the ring (E. L. Lehmann, J. P. Romano, Testing
Statistical Hypotheses, 3rd ed., theorem 15.2.1; with random elements of the group: J. Hemerik, J.
Goeman, Exact testing with random permutations, TEST 27, 2018). Where an orbit has fewer
labellings than are needed, others are added, each of equally many turns of arms drawn anew; the
arms as they are then stand in one of several orbits that were made alike.

Strata of equal size and equally many canaries share a ring: the arms of one were as likely those
of any other. Their ring is a torus, turned both ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.graphs.patterns.strata import CHUNK, Labels, Places, Strata
from rolewise.graphs.task_rows import Figures

ONE_BY_ONE = 2 * CHUNK
"""So many relabellings are summed up one by one, before a table of all is worth its making."""

_SLAB = 64  # columns that are transformed at a time
_CELLS = 1 << 19  # of sums that are handed over at a time
_COUNTABLE = 1 << 40  # orbits up to here are drawn from without drawing anything twice


@dataclass(frozen=True, slots=True, eq=False)
class _Ring:
    """Strata of one shape: a torus of `count` strata by `size` tasks.

    Attributes:
        tasks: The used task that stands at each place.
        part: In which part of the sums its tasks count.
    """

    tasks: Places
    count: int
    size: int
    part: int

    @property
    def places(self) -> int:
        return self.count * self.size


class Rotations:
    """Sums of columns over the canary tasks, for many relabellings.

    Args:
        strata: Arms and strata.
        values: One row for each used task.
        parts: Sums are taken over each of these runs of whole strata.
        rng: Puts the tasks in order and draws the turns.
    """

    def __init__(
        self,
        strata: Strata,
        values: npt.NDArray[Any],
        parts: Sequence[slice],
        rng: np.random.Generator,
    ) -> None:
        self._strata = strata
        self._rng = rng
        self._parts = len(parts)
        self._rings = [
            _Ring(self._shuffled(begin, count, size), count, size, part)
            for part, of in enumerate(parts)
            for begin, count, size in strata.shapes(of)
        ]
        order = [ring.tasks for ring in self._rings]
        self._order = np.concatenate(order) if order else np.zeros(0, np.intp)
        self._values = values[self._order]
        self._spectra: list[npt.NDArray[Any]] = []

    @property
    def orbit(self) -> int:
        """How many labellings all turns give, counted with those that happen to be the same."""
        return prod(ring.places for ring in self._rings)

    def sums(self, total: int) -> Iterator[Figures]:
        """Yield the sums of at least `total` relabellings: relabellings x parts x columns."""
        orbits = ceil((total + 1) / self.orbit)
        each = ceil((total + 1) / orbits)
        arms = self._strata.canary.astype(np.float32)
        turns = self._turns(each - 1)
        yield from self._one_by_one(arms, turns[:ONE_BY_ONE])
        yield from self._by_tables(arms, turns[ONE_BY_ONE:])
        for _ in range(orbits - 1):
            others = self._strata.draw(1, self._rng)[0]
            unturned = np.zeros((1, len(self._rings)), np.int64)
            yield from self._by_tables(others, np.concatenate([unturned, self._turns(each - 1)]))

    def _turns(self, wanted: int) -> npt.NDArray[np.int64]:
        """Draw how far each ring is turned, each time; never all of them not at all."""
        places = [ring.places for ring in self._rings]
        if self.orbit > _COUNTABLE:
            return self._rng.integers(0, places, (wanted, len(places)))
        rest = self._rng.choice(self.orbit - 1, wanted, replace=False) + 1
        turns = np.empty((wanted, len(places)), np.int64)
        for column, count in enumerate(places):
            rest, turns[:, column] = np.divmod(rest, count)
        return turns

    def _one_by_one(
        self, arms: npt.NDArray[np.float32], turns: npt.NDArray[np.int64]
    ) -> Iterator[Figures]:
        for begin in range(0, len(turns), CHUNK):
            some = turns[begin : begin + CHUNK]
            sums = np.zeros((len(some), self._parts, self._values.shape[1]), self._values.dtype)
            at = 0
            for ring, turn in zip(self._rings, some.T, strict=True):
                rows = self._values[at : at + ring.places]
                sums[:, ring.part] += _turned(arms[ring.tasks], ring, turn) @ rows
                at += ring.places
            yield sums

    def _by_tables(
        self, arms: npt.NDArray[np.float32], turns: npt.NDArray[np.int64]
    ) -> Iterator[Figures]:
        if not len(turns):
            return
        tables = [self._table(place, arms[ring.tasks]) for place, ring in enumerate(self._rings)]
        columns = self._values.shape[1]
        rows = max(1, _CELLS // max(1, self._parts * columns))
        for begin in range(0, len(turns), rows):
            some = turns[begin : begin + rows]
            sums = np.zeros((len(some), self._parts, columns), self._values.dtype)
            for ring, table, turn in zip(self._rings, tables, some.T, strict=True):
                sums[:, ring.part] += table[turn]
            yield sums

    def _table(self, place: int, arms: npt.NDArray[np.float32]) -> Figures:
        """Return the sums of a ring for each of its turns: turns x columns."""
        if not self._spectra:
            self._spectra = list(self._transformed())
        ring = self._rings[place]
        shape = ring.count, ring.size
        wave = np.fft.rfft2(arms.reshape(shape).astype(self._values.dtype))
        spectrum = self._spectra[place]
        table = np.empty((ring.places, len(spectrum)), self._values.dtype)
        for begin in range(0, len(spectrum), _SLAB):
            some = slice(begin, begin + _SLAB)
            sums = np.fft.irfft2(spectrum[some] * wave, s=shape)
            table[:, some] = sums.reshape(-1, ring.places).T
        return table

    def _transformed(self) -> Iterator[npt.NDArray[Any]]:
        at = 0
        for ring in self._rings:
            columns = self._values[at : at + ring.places].T
            at += ring.places
            waves = [
                np.fft.rfft2(np.reshape(some, (-1, ring.count, ring.size)))
                for some in np.array_split(columns, ceil(len(columns) / _SLAB) or 1)
            ]
            spectrum = np.concatenate(waves)
            yield np.conj(spectrum, out=spectrum)

    def _shuffled(self, begin: int, count: int, size: int) -> Places:
        tasks = np.arange(begin, begin + count * size).reshape(count, size)
        tasks = self._rng.permuted(self._rng.permutation(tasks), axis=1)
        return np.asarray(tasks.ravel(), np.intp)


def _turned(arms: Labels, ring: _Ring, turns: npt.NDArray[np.int64]) -> Labels:
    """Return the arms of a ring after each turn."""
    shape = ring.count, ring.size
    twice = np.tile(arms.reshape(shape), (2, 2))
    down, along = np.divmod(turns, ring.size)
    views = np.lib.stride_tricks.sliding_window_view(twice, shape)
    return np.asarray(views[down, along].reshape(len(turns), -1))
