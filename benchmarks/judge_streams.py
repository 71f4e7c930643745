"""Tasks for `judge_operating.py`: arms drawn at random, and what each kind of signal sees of them.

A kind has an engine of the judge, a distribution of its values in a good version, and what becomes
of them in a worse one. All of it follows from the seed and the names, so that a cell of a table
can be run again alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, log
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.engines import build_series

SEED = 20_250_801
FAILS = 0.05
HANGS = 0.03

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Values = list[Any]
Draw = Callable[[np.random.Generator, int], Numbers]
Change = Callable[[Numbers, np.random.Generator], Numbers]


def generator(*names: object) -> np.random.Generator:
    """Return the generator of a stream; another name is another stream."""
    return np.random.default_rng([SEED, zlib.crc32(repr(names).encode())])


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of signal.

    Attributes:
        signal: What is measured; its engine is the judge's own.
        draw: Values of a good version, oriented so that large is bad.
        changes: Name -> what a worse version's values are made of.
        border: What makes a version just as bad as is tolerated; None where that is not exact.
    """

    signal: Signal
    draw: Draw
    changes: dict[str, Change] = field(default_factory=dict)
    border: Change | None = None

    def values(self, rng: np.random.Generator, canary: Flags, change: Change | None) -> Values:
        """Return a value for each task; the canary's are changed."""
        values = self.draw(rng, len(canary))
        if change is not None:
            values = np.where(canary, change(values, rng), values)
        if self.signal.metric != "message.latency":
            return values.tolist()
        # One to six messages a task, all of them slow together.
        counts = rng.integers(1, 7, len(values))
        each = np.repeat(values, counts) * rng.exponential(1.0, counts.sum())
        ends = np.cumsum(counts).tolist()
        seconds = each.tolist()
        return [tuple(seconds[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def new_series(self) -> Any:
        """Return a new engine."""
        return build_series(self.signal)


def times(factor: float) -> Change:
    """Return the change that makes all values so many times as large."""
    return lambda values, _: factor * values


def hang(values: Numbers, rng: np.random.Generator) -> Numbers:
    """Let some tasks never end."""
    return np.where(rng.random(len(values)) < HANGS, inf, values)


def more_fail(by: float) -> Change:
    """Return the change that lets more tasks fail, by so much of all tasks."""
    return lambda values, rng: np.maximum(values, rng.random(len(values)) < by / (1.0 - FAILS))


def _failures(rng: np.random.Generator, count: int) -> Numbers:
    return (rng.random(count) < FAILS).astype(np.float64)


def _seconds(rng: np.random.Generator, count: int) -> Numbers:
    """Lognormal, and 2 % with a Pareto tail that has no variance."""
    usual = rng.lognormal(0.0, 0.8, count)
    return np.where(rng.random(count) < 0.02, 4.0 * (1.0 + rng.pareto(1.5, count)), usual)


def _tokens(rng: np.random.Generator, count: int) -> Numbers:
    """Lognormal, and 1 % that blow up by a factor of 20."""
    return rng.lognormal(6.5, 1.2, count) * np.where(rng.random(count) < 0.01, 20.0, 1.0)


def _badness(rng: np.random.Generator, count: int) -> Numbers:
    return 1.0 - rng.beta(8.0, 2.0, count)


def _worse_badness(_: Numbers, rng: np.random.Generator) -> Numbers:
    """Mean .75 instead of .80."""
    return 1.0 - rng.beta(7.5, 2.5, len(_))


KINDS: dict[str, Kind] = {
    "completion": Kind(
        Signal(name="completion", metric="task.completed", tolerate=0.05),
        _failures,
        {"3 % hang": more_fail(HANGS * (1.0 - FAILS))},
        more_fail(0.05),
    ),
    "tool errors": Kind(
        Signal(name="tools", metric="tool.error", tolerate=0.04),
        lambda rng, count: (rng.random(count) < 0.1).astype(np.float64),
    ),
    "latency": Kind(
        Signal(name="latency", metric="task.latency", tolerate=0.3),
        _seconds,
        {"x1.5": times(1.5), "3 % hang": hang},
        times(1.3),
    ),
    "latency p50": Kind(
        Signal(name="p50", metric="task.latency", tolerate=0.3, quantile=0.5),
        _seconds,
        {"x1.5": times(1.5)},
        times(1.3),
    ),
    "latency p95": Kind(
        Signal(name="p95", metric="task.latency", tolerate=0.3, quantile=0.95),
        _seconds,
        {"x1.5": times(1.5), "3 % hang": hang},
        times(1.3),
    ),
    "message latency": Kind(
        Signal(name="messages", metric="message.latency", tolerate=0.3, quantile=0.95),
        lambda rng, count: rng.lognormal(0.0, 0.6, count),
        {"x1.5": times(1.5)},
        times(1.3),
    ),
    "tokens": Kind(
        Signal(name="tokens", metric="gen_ai.tokens", tolerate=0.25),
        _tokens,
        {"x1.3": times(1.3)},
        times(1.25),
    ),
    "score": Kind(
        Signal(name="quality", metric="score", score="quality", tolerate=0.05),
        _badness,
        {"-.05": _worse_badness},
        _worse_badness,
    ),
    # The canary alone, exactly at the limit that it must not exceed.
    "limit: completion": Kind(
        Signal(name="floor", metric="task.completed", compare="absolute", limit=0.95), _failures
    ),
    "limit: latency": Kind(
        Signal(
            name="slo", metric="task.latency", compare="absolute", limit=log(20.0), quantile=0.95
        ),
        lambda rng, count: rng.exponential(1.0, count),
    ),
    "limit: cost": Kind(
        Signal(name="budget", metric="task.cost", compare="absolute", limit=1.0),
        lambda rng, count: rng.uniform(0.0, 2.0, count),
    ),
    "limit: score": Kind(
        Signal(name="good", metric="score", score="quality", compare="absolute", limit=0.8),
        _badness,
    ),
}


def arms(rng: np.random.Generator, count: int, weight: float) -> Flags:
    """Draw the arm of each task."""
    return rng.random(count) < weight


def failures(
    weight: float, rate: float, runs: Sequence[int], tasks: int, *, onset: int = 0
) -> tuple[Flags, Flags]:
    """Return arms and failures of several runs, one a row; the canary fails at `rate` from onset.

    The same run has the same draws at every rate: what differs is what is compared.
    """
    canary, failed = np.empty((2, len(runs), tasks), dtype=np.bool_)
    for row, run in enumerate(runs):
        rng = generator("completion", weight, run)
        canary[row] = arms(rng, tasks, weight)
        rates = np.where(canary[row] & (np.arange(tasks) >= onset), rate, FAILS)
        failed[row] = rng.random(tasks) < rates
    return canary, failed
