"""Does the canary harm the baseline's tasks too, so that a comparison of the arms misses it?

Both arms share the replicas of all other roles. A canary that crowds them slows the baseline as
well as itself: the arms stay alike, and what it does is seen in neither. The tasks before the
trial tell: they met the same stable versions without it.

Periods are not drawn at random, and load changes by itself. So two things are wanted: baseline
tasks fare worse than tasks did before, and canary tasks ask more of the role where it shows, or of
one that this role waits for, than baseline tasks do; that second comparison is between arms that
were drawn at random. Where canary tasks ask for no more, it is load, and nobody's fault. Even so
it is reason to look, not to roll back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rolewise.graphs.patterns.columns import Column, build_columns, edge_in_words, sends_matrix
from rolewise.graphs.patterns.features import find_features
from rolewise.graphs.patterns.report import PatternFinding
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Figures, Marks, RoleEdge, TaskRows

LEAST_BEFORE: Final = 50
"""Tasks before the trial, below which nothing is said."""
LEAST_MORE: Final = 1.5
"""Canary tasks must ask a role for so many times what baseline tasks do,"""
LEAST_PER_TASK: Final = 0.5
"""for so many messages more,"""
LEAST_Z: Final = 4.0
"""and by so many standard errors."""

_FELT: Final = frozenset({"latency", "unanswered or failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Interference:
    """One edge on which the baseline fares worse since the canary runs, and what loads it.

    Attributes:
        finding: What is worse; there "baseline" is before the trial, "canary" the baseline now.
        edge: Where.
        role: The role that canary tasks ask for more: the edge's own, or one behind it.
        canary: Messages to it, for each canary task.
        baseline: The same of baseline tasks.
    """

    finding: PatternFinding
    edge: RoleEdge
    role: str
    canary: float
    baseline: float

    @property
    def sentence(self) -> str:
        """What is worse, and why that is not seen between the arms."""
        return f"baseline tasks too fare worse since the canary runs: {self.worse}; {self.more}"

    @property
    def worse(self) -> str:
        """The figures before and now."""
        found, where = self.finding, edge_in_words(self.edge)
        if found.effect_unit == "share":
            return (
                f"unanswered or failed on {where}: {found.canary:.1%} of tasks, "
                f"{found.baseline:.1%} before (p {found.p:.2g})"
            )
        return (
            f"latency on {where}: {found.canary / 1e6:.3g} ms, "
            f"{found.baseline / 1e6:.3g} ms before (p {found.p:.2g})"
        )

    @property
    def more(self) -> str:
        """The figures of both arms."""
        behind = "" if self.role == self.edge[1] else f", behind {self.edge[1]},"
        return (
            f"canary tasks send {self.role}{behind} {self.canary:.1f} messages each, "
            f"baseline tasks {self.baseline:.1f}: the comparison of the arms misses it"
        )


def find_interference(
    rows: TaskRows,
    *,
    before: Marks,
    baseline: Marks,
    canary: Marks,
    rng: np.random.Generator,
    alpha: float,
) -> tuple[Interference, ...]:
    """Return where the canary harms the baseline: first where the role that it loads is asked.

    Args:
        rows: Closed tasks.
        before: Which ended before the trial, on the same stable versions.
        baseline: Which are baseline tasks of the trial.
        canary: Which are canary tasks of the trial.
        rng: Draws relabellings of before and now.
        alpha: Chance to call the baseline worse when nothing at all has changed.
    """
    whole = ~rows.partial
    periods = np.flatnonzero((before | baseline) & whole)
    arms = np.flatnonzero((canary | baseline) & whole)
    if (before & whole).sum() < LEAST_BEFORE or not (canary & whole).any():
        return ()
    now = _strata(baseline[periods], periods)
    columns = [one for one in _edge_columns(rows, now) if one.what in _FELT]
    findings, _ = find_features(columns, now, alpha=alpha, rng=rng)
    if not findings:
        return ()
    loads = _Loads(rows, _strata(canary[arms], arms))
    edges = {column.name: column.edge for column in columns}
    found = []
    for finding in findings:
        edge = edges[finding.what]
        more = None if edge is None else loads.heaviest_from(edge[1])
        if edge is not None and more is not None:
            role, on_canary, on_baseline = more
            found.append(
                Interference(
                    finding=finding, edge=edge, role=role, canary=on_canary, baseline=on_baseline
                )
            )
    return tuple(sorted(found, key=lambda one: (one.role != one.edge[1], one.finding.p)))


class _Loads:
    """How many messages tasks of each arm send to each role."""

    def __init__(self, rows: TaskRows, strata: Strata) -> None:
        self._edges = rows.edges
        sends = sends_matrix(rows, strata)
        self._more: dict[str, tuple[float, float]] = {}
        for role in sorted({edge[1] for edge in rows.edges} - {""}):
            into = [place for place, edge in enumerate(rows.edges) if edge[1] == role]
            loads = sends[:, into].sum(axis=1)
            arms = loads[strata.canary], loads[~strata.canary]
            if _is_more(*arms):
                self._more[role] = float(arms[0].mean()), float(arms[1].mean())

    def heaviest_from(self, role: str) -> tuple[str, float, float] | None:
        """Return the role that canary tasks ask for more: this one, else the nearest behind it."""
        ring, known = [role], {role}
        while ring:
            loaded = [(self._more[one][0] - self._more[one][1], one) for one in self._in(ring)]
            if loaded:
                _, heaviest = max(loaded)
                return (heaviest, *self._more[heaviest])
            ring = sorted({dst for src, dst, _ in self._edges if src in ring and dst} - known)
            known.update(ring)
        return None

    def _in(self, ring: Iterable[str]) -> list[str]:
        return [role for role in ring if role in self._more]


def _is_more(canary: Figures, baseline: Figures) -> bool:
    """Say whether the canary's tasks send more, by enough and beyond doubt."""
    if len(canary) < 2 or len(baseline) < 2:  # noqa: PLR2004 (a variance needs two)
        return False
    more = float(canary.mean() - baseline.mean())
    error = float(np.sqrt(canary.var(ddof=1) / len(canary) + baseline.var(ddof=1) / len(baseline)))
    is_much = more >= LEAST_PER_TASK and canary.mean() >= LEAST_MORE * baseline.mean()
    return bool(is_much and more >= LEAST_Z * error)


def _edge_columns(rows: TaskRows, strata: Strata) -> list[Column]:
    return build_columns(rows, np.zeros(len(rows), np.bool_), strata)


def _strata(first: Marks, among: npt.NDArray[np.intp]) -> Strata:
    """Return one stratum of the tasks at these places; `first` says which are the first group."""
    strata = Strata(first, np.zeros(len(among), np.int32))
    strata.rows = among[strata.rows]
    return strata
