"""Family F1: does any figure of the tasks differ between the arms? One permutation for all.

Westfall and Young's max-T: each column's sum over the canary tasks is divided by its exact
standard deviation under relabelling, and compared with the largest such value of *any* column in
each relabelling. So p holds for all columns together, and correlated columns cost little.

References:
    P. H. Westfall, S. S. Young, Resampling-Based Multiple Testing, Wiley 1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rolewise.graphs.patterns.columns import Column
from rolewise.graphs.patterns.effects import Effect, find_effect, is_large_enough
from rolewise.graphs.patterns.relabelling import search
from rolewise.graphs.patterns.report import PatternFinding
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Figures

_ROUNDING = 1e-4  # float32 sums; equal sums must count as equal


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTest:
    """What the permutation says of each column.

    Attributes:
        p: Of each column, over all columns; an upper bound for all but the leading one when the
            search was cut short.
        statistic: Standardised sum of each column, signed.
        deviation: Standard deviation of each column's sum under relabelling.
        drawn: Relabellings drawn.
    """

    p: Figures
    statistic: Figures
    deviation: Figures
    drawn: int


def compare_features(
    columns: Sequence[Column], strata: Strata, *, alpha: float, rng: np.random.Generator
) -> FeatureTest:
    """Compare all columns between the arms.

    Args:
        columns: See `build_columns`.
        strata: Arms and strata.
        alpha: Chance of a false alarm in any column.
        rng: Draws the relabellings.
    """
    if not columns or len(strata) == 0:
        empty = np.zeros(len(columns))
        return FeatureTest(empty + 1.0, empty, empty, 0)
    scaled = np.empty((len(strata), len(columns)), order="F")
    for place, column in enumerate(columns):
        scaled[:, place] = _centre(column, strata)
    deviation = np.sqrt(strata.variance(scaled))
    varies = deviation > 1e-12  # noqa: PLR2004 (a column that is the same in all tasks)
    scaled /= np.where(varies, deviation, np.inf)
    statistic = scaled[strata.canary].sum(axis=0)
    one_sided = np.array([column.is_one_sided for column in columns])
    seen = np.where(one_sided, statistic, np.abs(statistic))
    seen[~varies] = -np.inf

    # What counts both ways stands first, so that all is one table of sums.
    order = np.argsort(one_sided, kind="stable")
    both_ways = int((~one_sided).sum())

    def largest(sums: Figures) -> Figures:
        sums = sums[:, 0]
        top = np.maximum(sums.max(axis=1), -sums[:, :both_ways].min(axis=1, initial=0))
        return np.asarray(top, np.float64)

    found = search(
        strata,
        scaled[:, order].astype(np.float32),
        seen,
        largest,
        alpha=alpha,
        rng=rng,
        rounding=_ROUNDING,
    )
    return FeatureTest(found.p(seen), statistic, deviation, found.drawn)


def find_features(
    columns: Sequence[Column], strata: Strata, *, alpha: float, rng: np.random.Generator
) -> tuple[list[PatternFinding], FeatureTest]:
    """Return the columns that differ beyond chance and by enough to matter, most certain first.

    Args:
        columns: See `build_columns`.
        strata: Arms and strata.
        alpha: Chance of a false alarm in any column.
        rng: Draws relabellings, and resamples tasks for the intervals.
    """
    test = compare_features(columns, strata, alpha=alpha, rng=rng)
    findings = []
    for place in np.lexsort((-np.abs(test.statistic), test.p)).tolist():
        if test.p[place] > alpha:
            break
        column = columns[place]
        effect = find_effect(column, strata, rng)
        if is_large_enough(column, effect):
            findings.append(_finding(column, effect, float(test.p[place]), alpha))
    return findings, test


def _finding(column: Column, effect: Effect, p: float, alpha: float) -> PatternFinding:
    return PatternFinding(
        family="features",
        what=column.name,
        direction="harm" if column.is_harm else "neutral",
        sentence=f"{effect.sentence} (p {p:.2g})",
        p=p,
        alpha=alpha,
        effect=effect.size,
        effect_unit=effect.unit,
        interval=effect.interval,
        baseline=effect.baseline,
        canary=effect.canary,
        tasks_baseline=effect.tasks_baseline,
        tasks_canary=effect.tasks_canary,
        role=column.role,
    )


def _centre(column: Column, strata: Strata) -> Figures:
    users = None if column.users is None else column.users[:, None]
    return strata.centre(column.tested[:, None], users)[:, 0]
