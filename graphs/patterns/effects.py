"""How large a difference is, in figures that people read; small ones are no alarm, however sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from rolewise.graphs.patterns.columns import Column, edge_in_words
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Figures

LEAST_RATIO: Final = 1.5
LEAST_PER_TASK: Final = 0.5
LEAST_SLOWER: Final = 1.25
LEAST_SHARE: Final = 0.01
_RESAMPLES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The difference in one column; see `PatternFinding` for the fields."""

    size: float
    unit: Literal["ratio", "share", "per_task"]
    interval: tuple[float, float] | None
    baseline: float
    canary: float
    tasks_baseline: int
    tasks_canary: int
    sentence: str


def find_effect(column: Column, strata: Strata, rng: np.random.Generator) -> Effect:
    """Return how large the difference is, with an interval from resampled tasks."""
    canary, baseline = _means(column, strata, np.ones(len(strata)))
    size = _size(column, canary, baseline)
    drawn = [
        _size(column, *_means(column, strata, _weights(strata, rng))) for _ in range(_RESAMPLES)
    ]
    finite = np.array([value for value in drawn if np.isfinite(value)])
    interval = None
    if len(finite) > _RESAMPLES // 2:
        low, high = np.quantile(finite, [0.025, 0.975])
        interval = float(low), float(high)
    shows = column.raw != 0 if column.users is None else column.users
    if column.is_log:
        canary, baseline = 2.0**canary, 2.0**baseline
    return Effect(
        size=size,
        unit="share" if column.is_share else "ratio",
        interval=interval,
        baseline=baseline,
        canary=canary,
        tasks_baseline=int((shows & ~strata.canary).sum()),
        tasks_canary=int((shows & strata.canary).sum()),
        sentence=_sentence(column, canary, baseline),
    )


def is_large_enough(column: Column, effect: Effect) -> bool:
    """Say whether the difference matters."""
    if column.is_share:
        return effect.size >= LEAST_SHARE
    if column.what == "latency":
        return effect.size >= LEAST_SLOWER
    by_ratio = not 1 / LEAST_RATIO < effect.size < LEAST_RATIO
    if column.is_log:
        return by_ratio
    return by_ratio or abs(effect.canary - effect.baseline) >= LEAST_PER_TASK


def _means(column: Column, strata: Strata, weights: Figures) -> tuple[float, float]:
    """Return the mean of canary and baseline, each task so many times as `weights` says."""
    counts = weights if column.users is None else weights * column.users
    n, c = strata.sizes.astype(np.float64), strata.canaries.astype(np.float64)
    by_stratum = c * (n - c) / n
    on_canary = np.where(strata.canary, counts, 0.0)
    on_baseline = counts - on_canary
    have_c, have_b = strata.sums(on_canary), strata.sums(on_baseline)
    both = (have_c > 0) & (have_b > 0)
    by_stratum = np.where(both, by_stratum, 0.0)
    if by_stratum.sum() == 0:
        return np.nan, np.nan
    by_stratum /= by_stratum.sum()
    sum_c = strata.sums(on_canary * column.raw)
    sum_b = strata.sums(on_baseline * column.raw)
    mean_c = np.divide(sum_c, have_c, out=np.zeros_like(sum_c), where=both)
    mean_b = np.divide(sum_b, have_b, out=np.zeros_like(sum_b), where=both)
    return float(by_stratum @ mean_c), float(by_stratum @ mean_b)


def _weights(strata: Strata, rng: np.random.Generator) -> Figures:
    """Return how often each task is in a resample (Bayesian bootstrap: exponential weights)."""
    return rng.exponential(size=len(strata))


def _size(column: Column, canary: float, baseline: float) -> float:
    if column.is_share:
        return canary - baseline
    if column.is_log:
        return float(2.0 ** (canary - baseline))
    if baseline == 0:
        return 1.0 if canary == 0 else np.inf
    return canary / baseline


def _sentence(column: Column, canary: float, baseline: float) -> str:
    if column.is_share:
        figures = f"{canary:.1%} of canary tasks, {baseline:.1%} of baseline tasks"
    elif column.what == "latency":
        figures = f"{canary / 1e6:.3g} ms on canary, {baseline / 1e6:.3g} ms on baseline"
    elif column.what == "size":
        figures = f"{canary:.3g} bytes on canary, {baseline:.3g} on baseline"
    else:
        figures = f"{canary:.2f} per canary task, {baseline:.2f} per baseline task"
    where = "" if column.edge is None else f" on {edge_in_words(column.edge)}"
    return f"{column.what}{where}: {figures}"
