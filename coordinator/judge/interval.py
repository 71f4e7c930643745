"""Anytime-valid intervals for reports: which differences the evidence so far does not rule out.

A difference is ruled out when an e-process against "at most this" or one against "at least this"
reaches 2 / error. Each is the label bet of `projection`, with the rates seen before the stratum as
its alternative. A stratum is a run of tasks with one weight; the counts of each are kept, and all
work is done when somebody asks. Counts are never pooled over weights: a failure rate that drifts
while the weight rises would look like a difference.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, lgamma, log
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.coordinator.judge.packing import pack_counts, unpack_counts
from rolewise.coordinator.judge.projection import EDGE

Numbers = npt.NDArray[np.float64]

INTERVAL_ERROR = 0.05
STRATUM_TASKS, STRATUM_GROWTH = 20, 1.25
CANARY_PRIOR = 5.0  # pseudo-tasks that draw the canary's estimate to the baseline's
RATE_FLOOR = 1e-3
PRIOR_RATE, PRIOR_TASKS = 0.05, 20.0
HALVINGS = 24
"""At the nearest point the distance is flat: an error there counts by its square."""
WIDEST = 1.99  # a difference between -1 and 1 is known anyway


class Strata:
    """Counts of cells, one row for each run of tasks with the same weight.

    A row is closed when the weight changes and when the number of tasks has grown by a quarter.
    """

    __slots__ = ("_next", "_seen", "rows", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[list[float]] = []
        """Weight, then the count of each cell."""
        self._seen = 0
        self._next = 0

    def add(self, weight: float, cell: int) -> None:
        """Count one task in one cell."""
        if self._seen >= self._next or self.rows[-1][0] != weight:
            self.rows.append([weight, *[0] * self.width])
            if self._seen >= self._next:
                self._next = max(self._seen + STRATUM_TASKS, int(STRATUM_GROWTH * self._seen))
        self.rows[-1][1 + cell] += 1
        self._seen += 1

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here."""
        return {
            "weights": [row[0] for row in self.rows],
            "cells": pack_counts(int(count) for row in self.rows for count in row[1:]),
            "seen": self._seen,
            "next": self._next,
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        counts, width = unpack_counts(data["cells"]), self.width
        self.rows = [
            [weight, *counts[at * width : (at + 1) * width]]
            for at, weight in enumerate(data["weights"])
        ]
        self._seen, self._next = data["seen"], data["next"]

    def split(self) -> tuple[Numbers, Numbers]:
        """Return the weights (one a row) and the counts (a row for each stratum)."""
        table = np.asarray(self.rows, dtype=np.float64).reshape(-1, 1 + self.width)
        return table[:, 0], table[:, 1:]


def standard_rates(weights: Numbers, cells: Numbers) -> tuple[float, float] | None:
    """Return the bad rates of baseline and canary, both standardised over the weights.

    Mantel-Haenszel weights, so that their difference is the stratified one; with a single weight
    they are the plain shares.

    Args:
        weights: One a row.
        cells: Columns baseline good, baseline bad, canary good, canary bad.

    Returns:
        None when no weight has tasks of both arms.
    """
    top_baseline = top_canary = bottom = 0.0
    for weight in np.unique(weights):
        good_b, bad_b, good_c, bad_c = cells[weights == weight].sum(axis=0)
        count_b, count_c = good_b + bad_b, good_c + bad_c
        if count_b and count_c:
            share = count_b * count_c / (count_b + count_c)
            top_baseline += share * bad_b / count_b
            top_canary += share * bad_c / count_c
            bottom += share
    if not bottom:
        return None
    return float(top_baseline / bottom), float(top_canary / bottom)


def difference_interval(
    weights: Numbers, cells: Numbers, *, error: float = INTERVAL_ERROR
) -> tuple[float, float] | None:
    """Return the interval of canary minus baseline bad rate; None when it says nothing.

    Args:
        weights: One a row.
        cells: Columns baseline good, baseline bad, canary good, canary bad.
        error: Chance that it is ever wrong, at whatever moment and however often it is read.
    """
    good_b, bad_b, good_c, bad_c = (cells[:, k : k + 1] for k in range(4))
    baseline = _rates_before(good_b, bad_b, PRIOR_RATE, PRIOR_TASKS)
    canary = _rates_before(good_c, bad_c, baseline, CANARY_PRIOR)
    limit = log(2.0 / error)

    def accepts(shifts: Numbers) -> npt.NDArray[np.bool_]:
        at_canary, at_baseline = _project(weights[:, None], canary, baseline, shifts)
        gains = _gains(cells[:, :, None], canary, baseline, at_canary, at_baseline)
        above = canary - baseline > shifts
        return np.asarray(
            (np.where(above, gains, 0.0).sum(axis=0) < limit)
            & (np.where(above, 0.0, gains).sum(axis=0) < limit)
        )

    bounds = _hull(accepts, -1.0 + 1e-6, 1.0 - 1e-6)
    return None if bounds is None or bounds[1] - bounds[0] > WIDEST else bounds


def scale_interval(
    weights: Numbers,
    strict: Numbers,
    loose: Numbers,
    above: Numbers,
    count: Numbers,
    *,
    scales: Numbers,
    prior: float,
    error: float = INTERVAL_ERROR,
) -> tuple[float, float] | None:
    """Return the interval of the factor by which the canary's quantile exceeds the baseline's.

    Args:
        weights: One a row.
        strict: Baseline's tasks in two columns: not above the threshold, above it.
        loose: Likewise: below the threshold, at or above it.
        above: Canary's tasks above the threshold when divided by each scale; a column for each.
        count: Canary's tasks, one column.
        scales: Rising factors.
        prior: Rate above the threshold that is expected.
        error: Chance that it is ever wrong.

    Returns:
        None while both ends are open. An open lower end is 0, an open upper end infinite.
    """
    limit = log(2.0 / error)
    w = weights[:, None]
    accepted = np.ones(len(scales), dtype=np.bool_)
    for cells_b, slower in ((strict, True), (loose, False)):
        baseline = _rates_before(cells_b[:, 0:1], cells_b[:, 1:2], prior, PRIOR_TASKS)
        canary = _rates_before(count - above, above, baseline, CANARY_PRIOR)
        mean = w * canary + (1.0 - w) * baseline
        cells = np.stack(np.broadcast_arrays(*cells_b.T[:, :, None], count - above, above), axis=1)
        gains = _gains(cells, canary, baseline, mean, mean)
        accepted &= np.where((canary > baseline) == slower, gains, 0.0).sum(axis=0) < limit
    kept = np.flatnonzero(accepted)
    last = len(scales) - 1
    if not len(kept) or (kept[0] == 0 and kept[-1] == last):
        return None
    low = float(scales[kept[0] - 1]) if kept[0] else 0.0
    return low, float(scales[kept[-1] + 1]) if kept[-1] < last else inf


def rate_interval(
    bad: int, count: int, *, error: float = INTERVAL_ERROR
) -> tuple[float, float] | None:
    """Return the anytime-valid interval of one rate: a beta-binomial mixture, inverted."""
    if not count:
        return None
    good = count - bad
    mixture = lgamma(bad + 0.5) + lgamma(good + 0.5) - lgamma(count + 1.0) - 2.0 * lgamma(0.5)

    def accepts(rates: Numbers) -> npt.NDArray[np.bool_]:
        return np.asarray(
            mixture - bad * np.log(rates) - good * np.log1p(-rates) < log(1.0 / error)
        )

    return _hull(accepts, 1e-9, 1.0 - 1e-9)


def _rates_before(
    good: Numbers, bad: Numbers, prior: float | Numbers, prior_tasks: float
) -> Numbers:
    """Return each row's bad rate as it looked before that row, drawn to a prior one."""
    seen_good = np.cumsum(good, axis=0) - good
    seen_bad = np.cumsum(bad, axis=0) - bad
    rate = (seen_bad + prior_tasks * prior) / (seen_good + seen_bad + prior_tasks)
    return np.clip(rate, RATE_FLOOR, 1.0 - RATE_FLOOR)


def _project(
    weights: Numbers, canary: Numbers, baseline: Numbers, shifts: Numbers
) -> tuple[Numbers, Numbers]:
    """Project each row's rates on each line canary = baseline + shift; see `projection.project`.

    `weights`, `canary` and `baseline` are columns, `shifts` is a row.
    """
    w, v, qc, qb = weights, 1 - weights, canary, baseline
    base = np.maximum(EDGE, EDGE - shifts)
    step = np.minimum(1 - EDGE, 1 - EDGE - shifts) - base
    for _ in range(HALVINGS):
        step = 0.5 * step
        middle = base + step
        other = middle + shifts
        rising = w * (other - qc) * middle * (1 - middle) + v * (middle - qb) * other * (1 - other)
        base = np.where(rising < 0, middle, base)
    base = base + 0.5 * step
    return base + shifts, base


def _gains(
    cells: Numbers, canary: Numbers, baseline: Numbers, at_canary: Numbers, at_baseline: Numbers
) -> Numbers:
    """Return the logarithm that each row of counts adds to the evidence."""
    return np.asarray(
        cells[:, 0] * np.log((1 - baseline) / (1 - at_baseline))
        + cells[:, 1] * np.log(baseline / at_baseline)
        + cells[:, 2] * np.log((1 - canary) / (1 - at_canary))
        + cells[:, 3] * np.log(canary / at_canary)
    )


def _hull(
    accepts: Callable[[Numbers], npt.NDArray[np.bool_]], low: float, high: float
) -> tuple[float, float] | None:
    """Return the smallest interval around all accepted points, rounded outwards."""
    grid = np.linspace(low, high, 81)
    kept = np.flatnonzero(accepts(grid))
    if not len(kept):
        return None
    ends: list[float] = []
    for first, outside in ((int(kept[0]), -1), (int(kept[-1]), 1)):
        inner, outer = float(grid[first]), float(grid[min(80, max(0, first + outside))])
        for _ in range(2):
            fine = np.linspace(outer, inner, 17)
            at = int(np.argmax(accepts(fine)))  # the inner end is accepted
            inner, outer = float(fine[at]), float(fine[max(0, at - 1)])
        ends.append(outer)
    return ends[0], ends[1]
