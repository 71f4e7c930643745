"""Family F3: edges that only one arm uses. Exact, and strong already with few tasks.

Given how many tasks of each stratum used an edge, each choice of that many tasks was equally
likely under the null; so p of "all of them on canary" is a product of hypergeometric terms. Holm's
step-down over all edges for which a small p was possible at all, which the margins tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, exp, log

import numpy as np

from rolewise.graphs.expectations import Edge, Expectations
from rolewise.graphs.patterns.columns import edge_in_words, sends_matrix
from rolewise.graphs.patterns.exact import fisher, log_choose
from rolewise.graphs.patterns.report import PatternFinding
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Marks, TaskRows

FEWEST_TASKS = 3
MISSED_AFTER = 20
"""A declared edge that so many canary tasks did not use is worth a look."""

Counts = list[int]


def find_edges(
    rows: TaskRows, strata: Strata, *, alpha: float, expectations: Expectations | None = None
) -> list[PatternFinding]:
    """Return new and vanished edges, and what became of expected ones.

    Args:
        rows: Closed tasks.
        strata: Arms and strata.
        alpha: Chance of a false alarm at any edge.
        expectations: What the fleet's file and the past say.
    """
    known = expectations or Expectations()
    if len(strata) == 0:
        return []
    uses: Marks = sends_matrix(rows, strata) > 0
    compared = [_Edge(edge, uses[:, place], strata) for place, edge in enumerate(rows.edges)]
    free = [
        one
        for one in compared
        if not known.is_forbidden(one.edge) and not known.is_declared(one.edge)
    ]
    expected = [_expected(one) for one in compared if known.is_declared(one.edge) and one.canary]
    missed = list(_missed(known, compared, strata))
    return [*_tested(free, known, alpha), *expected, *missed]


def find_forbidden(
    rows: TaskRows, canary: Marks, expectations: Expectations
) -> list[PatternFinding]:
    """Return the forbidden edges that canary tasks have used; one use is enough, no test is made.

    Args:
        rows: Closed tasks, also those whose telemetry has gaps.
        canary: Which are on canary.
        expectations: What is forbidden.
    """
    findings = []
    for place, edge in enumerate(rows.edges):
        if not expectations.is_forbidden(edge):
            continue
        users = rows.edge_row[(rows.edge_col == place) & (rows.sends > 0)]
        used = int(canary[users].sum())
        if used:
            words = edge_in_words(edge)
            tasks = int(canary.sum())
            findings.append(
                PatternFinding(
                    family="edges",
                    what=f"forbidden edge {words}",
                    direction="harm",
                    sentence=f"forbidden edge {words}: used by {used} of {tasks} canary tasks",
                    p=0.0,
                    effect=used / tasks,
                    effect_unit="share",
                    canary=used / tasks,
                    tasks_canary=used,
                    tasks_baseline=len(users) - used,
                    role=edge[0],
                )
            )
    return findings


class _Edge:
    """One edge: how many tasks of each arm and stratum used it."""

    def __init__(self, edge: Edge, users: Marks, strata: Strata) -> None:
        marks = np.column_stack([users & strata.canary, users]).astype(np.float64)
        counts = strata.sums(marks).astype(np.int64)
        self.edge = edge
        self.users: Counts = counts[:, 1].tolist()
        self.sizes: Counts = strata.sizes.tolist()
        self.canaries: Counts = strata.canaries.tolist()
        self.canary = int(counts[:, 0].sum())
        self.baseline = int(counts[:, 1].sum()) - self.canary
        self.tasks_canary = strata.tasks_canary
        self.tasks_baseline = strata.tasks_baseline

    def p_all_in(self, drawn: Counts) -> float:
        """Return the chance that all users fall among the `drawn` tasks of each stratum."""
        total = 0.0
        for users, size, among in zip(self.users, self.sizes, drawn, strict=True):
            if users > among:
                return 0.0  # cannot be, so no chance alone gave it either
            total += log_choose(among, users) - log_choose(size, users)
        return exp(min(total, 0.0))

    @property
    def baselines(self) -> Counts:
        return [size - c for size, c in zip(self.sizes, self.canaries, strict=True)]


def _tested(edges: list[_Edge], known: Expectations, alpha: float) -> list[PatternFinding]:
    """Return new and vanished edges after Holm's correction.

    A test belongs to the family if its p could have been at most alpha with these margins; the
    margins are fixed under relabelling, so that leaving the others out is no peeking.
    """
    tests: list[tuple[float, _Edge, bool]] = []
    for edge in edges:
        if not any(edge.users):
            continue
        for is_new, drawn in ((True, edge.canaries), (False, edge.baselines)):
            possible = edge.p_all_in(drawn)
            if 0.0 < possible <= alpha:
                holds = edge.baseline == 0 if is_new else edge.canary == 0
                tests.append((_p(edge, known, possible, is_new) if holds else 1.0, edge, is_new))
    tests.sort(key=lambda test: (test[0], test[1].edge))
    findings = []
    adjusted = 0.0
    for place, (p, edge, is_new) in enumerate(tests):
        adjusted = max(adjusted, min(1.0, p * (len(tests) - place)))
        if adjusted > alpha:
            break
        if max(edge.canary, edge.baseline) >= FEWEST_TASKS:
            findings.append(_finding(edge, is_new, adjusted, alpha))
    return findings


def _p(edge: _Edge, known: Expectations, possible: float, is_new: bool) -> float:
    """Return p of a new or vanished edge; a rare one is held against the past as well."""
    past = known.seen_before.get(edge.edge)
    if past is None or not is_new or past[0] == 0:
        return possible
    users, tasks = past
    return fisher(
        edge.canary, edge.tasks_canary, edge.baseline + users, edge.tasks_baseline + tasks
    )


def _finding(edge: _Edge, is_new: bool, p: float, alpha: float) -> PatternFinding:
    words = edge_in_words(edge.edge)
    if is_new:
        bound = -log(0.05) / edge.tasks_baseline
        sentence = (
            f"new edge {words}: {edge.canary} of {edge.tasks_canary} canary tasks, none of "
            f"{edge.tasks_baseline} baseline tasks (of which at most {bound:.1%} would; p {p:.2g})"
        )
    else:
        sentence = (
            f"vanished edge {words}: none of {edge.tasks_canary} canary tasks, "
            f"{edge.baseline} of {edge.tasks_baseline} baseline tasks (p {p:.2g})"
        )
    return _of(
        edge,
        f"{'new' if is_new else 'vanished'} edge {words}",
        "neutral",
        sentence,
        p=p,
        alpha=alpha,
    )


def _expected(edge: _Edge) -> PatternFinding:
    words = edge_in_words(edge.edge)
    return _of(
        edge,
        f"expected edge {words}",
        "expected",
        f"expected edge {words}: {edge.canary} of {edge.tasks_canary} canary tasks use it",
    )


def _missed(known: Expectations, compared: list[_Edge], strata: Strata) -> Iterator[PatternFinding]:
    if strata.tasks_canary < MISSED_AFTER:
        return
    used = [one.edge for one in compared if one.canary]
    for declared in known.declared:
        only = Expectations(declared=(declared,))
        if not any(only.is_declared(edge) for edge in used):
            words = edge_in_words(declared)
            yield PatternFinding(
                family="edges",
                what=f"missed edge {words}",
                direction="expected",
                sentence=(
                    f"declared edge {words} was not used by any of {strata.tasks_canary} "
                    "canary tasks"
                ),
                role=declared[0],
            )


def _of(
    edge: _Edge, what: str, direction: str, sentence: str, *, p: float = 1.0, alpha: float = 0.0
) -> PatternFinding:
    canary = edge.canary / max(edge.tasks_canary, 1)
    baseline = edge.baseline / max(edge.tasks_baseline, 1)
    return PatternFinding(
        family="edges",
        what=what,
        direction=direction,  # type: ignore[arg-type]  # one of the three, see the callers
        sentence=sentence,
        p=p,
        alpha=alpha,
        effect=canary - baseline,
        effect_unit="share",
        baseline=baseline,
        canary=canary,
        tasks_baseline=edge.baseline,
        tasks_canary=edge.canary,
        role=edge.edge[0],
    )


def tasks_to_miss(share: float, alpha: float) -> int:
    """Return how many canary tasks without an edge show that it vanished.

    Args:
        share: Share of baseline tasks that use it.
        alpha: Chance of a false alarm at this edge.
    """
    return ceil(log(alpha) / log(1.0 - share))
