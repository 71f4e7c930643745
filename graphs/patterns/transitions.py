"""Family F2: does a role choose otherwise, given what it has received?

A move is what an invocation sends next, after the last thing that it received. Moves of one state
(role, kind received) are that role's behaviour alone: what happens upstream changes how often the
state is met, not what is chosen in it. So a significant state names a role that changed, where
counts only name roles that feel it. Hidden content can still shift a choice: the name is a hint,
the arm is the cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from rolewise.graphs.patterns.columns import moves_matrix
from rolewise.graphs.patterns.divergence import root_js
from rolewise.graphs.patterns.relabelling import drawn_sums, search
from rolewise.graphs.patterns.report import PatternFinding
from rolewise.graphs.patterns.strata import CHUNK, Places, Strata
from rolewise.graphs.task_rows import Figures, TaskRows

FEWEST_MOVES = 20
FEWEST_TASKS = 5
LEAST_DISTANCE = 0.1
OWN_BLOCK = 50
"""Strata of so many tasks are compared each for itself; smaller ones together. (Their relabelling
stays inside each stratum. Pairs compared one by one would add noise with every pair.)"""
_ROUNDING = 1e-3

Move = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Moves grouped by the state in which they are made.

    Attributes:
        names: (role, kind received) of each state; the kind is `other` for rare ones together.
        starts: First column of each state in `counts`.
        moves: The move of each column.
        counts: How often each used task made it.
    """

    names: tuple[tuple[str, str], ...]
    starts: Places
    moves: tuple[Move, ...]
    counts: Figures

    def columns(self, state: int) -> slice:
        """Return the columns of a state."""
        ends = [*self.starts.tolist()[1:], len(self.moves)]
        return slice(int(self.starts[state]), ends[state])


def build_states(rows: TaskRows, strata: Strata, changing: Collection[str] = ()) -> States:
    """Group the moves of the used tasks; rare states of a role are put together.

    What is rare is read from all tasks, whatever their arm: else the test would not be exact.

    Args:
        rows: Closed tasks.
        strata: Arms and strata.
        changing: Roles that are said to choose otherwise; they are left out.
    """
    counts = moves_matrix(rows, strata)
    columns_by_state: dict[tuple[str, str], list[int]] = {}
    for column, (role, received, _, _) in enumerate(rows.moves):
        if role in changing:
            continue
        columns_by_state.setdefault((role, received), []).append(column)
    merged: dict[tuple[str, str], list[int]] = {}
    for (role, received), columns in sorted(columns_by_state.items()):
        name = received if _is_common(counts[:, columns]) else "other"
        merged.setdefault((role, name), []).extend(columns)
    kept = {
        state: columns
        for state, columns in merged.items()
        if _is_common(counts[:, columns]) and (counts[:, columns].sum(axis=0) > 0).sum() > 1
    }
    order = [column for columns in kept.values() for column in columns]
    widths = [len(columns) for columns in kept.values()]
    return States(
        names=tuple(kept),
        starts=np.cumsum([0, *widths])[:-1].astype(np.intp),
        moves=tuple(rows.moves[column] for column in order),
        counts=counts[:, order],
    )


def find_transitions(
    rows: TaskRows,
    strata: Strata,
    *,
    alpha: float,
    rng: np.random.Generator,
    changing: Collection[str] = (),
) -> list[PatternFinding]:
    """Return the states in which the arms choose differently, most certain first.

    Args:
        rows: Closed tasks.
        strata: Arms and strata.
        alpha: Chance of a false alarm in any state.
        rng: Draws the relabellings.
        changing: Roles that are said to choose otherwise; they are left out.

    Notes:
        The statistic of a state is G, which is the generalised Jensen-Shannon divergence times
        the number of moves. States have different degrees of freedom and tasks are overdispersed,
        so its cube root (nearly normal, Wilson and Hilferty 1931) is standardised by relabellings
        of its own; then the largest over all states is compared as in the feature test. (Ranking
        each state's G by itself instead, as in min-P, cannot get below the number of states
        divided by the number of relabellings.)
    """
    states = build_states(rows, strata, changing)
    if not states.names or len(strata) == 0:
        return []
    blocks = list(_blocks(strata))
    moves = [states.counts[block] for block in blocks]
    divergence = _Divergence(states, np.stack([some.sum(axis=0) for some in moves]))
    on_canary = [
        some[strata.canary[block]].sum(axis=0) for some, block in zip(moves, blocks, strict=True)
    ]
    seen = divergence(np.stack(on_canary)[None])[0]
    drawn = drawn_sums(strata, states.counts, CHUNK, rng, blocks)
    usual = np.concatenate([divergence(sums) for sums in drawn])
    centre, spread = usual.mean(axis=0), usual.std(axis=0)
    varies = spread > 1e-9  # noqa: PLR2004
    spread = np.where(varies, spread, 1.0)
    score = np.where(varies, (seen - centre) / spread, -np.inf)

    def largest(sums: Figures) -> Figures:
        scores = (divergence(sums) - centre) / spread
        return np.asarray(np.where(varies, scores, -np.inf).max(axis=1))

    found = search(
        strata,
        states.counts,
        score,
        largest,
        alpha=alpha,
        rng=rng,
        rounding=_ROUNDING,
        parts=blocks,
    )
    p = found.p(score)
    findings = [
        _finding(states, state, strata, float(p[state]), alpha)
        for state in np.lexsort((-score, p)).tolist()
        if p[state] <= alpha
    ]
    return [finding for finding in findings if finding.effect >= LEAST_DISTANCE]


def _is_common(counts: Figures) -> bool:
    return bool(
        counts.sum() >= FEWEST_MOVES and np.count_nonzero(counts.sum(axis=1)) >= FEWEST_TASKS
    )


def _blocks(strata: Strata) -> Iterator[slice]:
    """Yield the rows that are compared together; strata stand in order of their size."""
    small = int(strata.sizes[strata.sizes < OWN_BLOCK].sum())
    if small:
        yield slice(0, small)
    begin = small
    for size in strata.sizes[strata.sizes >= OWN_BLOCK].tolist():
        yield slice(begin, begin + size)
        begin += size


class _Divergence:
    """How far the choices in each state are apart: the cube root of G, for many labellings.

    Args:
        states: The moves.
        all_moves: Moves of all tasks: blocks x columns.
    """

    def __init__(self, states: States, all_moves: Figures) -> None:
        self._starts = states.starts
        self._all = all_moves
        in_state = self._by_state(all_moves)
        self._in_state = in_state
        # What no labelling changes.
        self._fixed = _x_log_x(in_state) - self._by_state(_x_log_x(all_moves))

    def __call__(self, canary: Figures) -> Figures:
        """Return one row a labelling, one column a state.

        Args:
            canary: Moves of the canary tasks: labellings x blocks x columns.
        """
        canary = np.rint(canary)
        total = np.zeros((len(canary), len(self._starts)))
        for block, (moves, in_state) in enumerate(zip(self._all, self._in_state, strict=True)):
            ours = canary[:, block]
            total += self._by_state(_x_log_x(ours) + _x_log_x(moves - ours))
            on_canary = self._by_state(ours)
            total -= _x_log_x(on_canary) + _x_log_x(in_state - on_canary)
            total += self._fixed[block]
        return np.cbrt(np.maximum(2.0 * total, 0.0))

    def _by_state(self, columns: Figures) -> Figures:
        return np.add.reduceat(columns, self._starts, axis=-1)


def _x_log_x(values: Figures) -> Figures:
    return np.asarray(values * np.log(np.maximum(values, 1.0)))  # counts: 0 or at least 1


def _finding(states: States, state: int, strata: Strata, p: float, alpha: float) -> PatternFinding:
    columns = states.columns(state)
    counts = states.counts[:, columns]
    on_canary, on_baseline = counts[strata.canary], counts[~strata.canary]
    canary, baseline = _shares(on_canary), _shares(on_baseline)
    role, received = states.names[state]
    most = int(np.argmax(np.abs(canary - baseline)))
    _, _, to, kind = states.moves[columns][most]
    does = f"answers {kind}" if to == "reply" else f"sends {kind} to {to}"
    after = "in rare states" if received == "other" else f"after {received!r}"
    return PatternFinding(
        family="transitions",
        what=f"choices of {role} {after}",
        direction="neutral",
        sentence=(
            f"{role} {does} {after} in {canary[most]:.0%} of cases "
            f"(baseline {baseline[most]:.0%}; p {p:.2g})"
        ),
        p=p,
        alpha=alpha,
        effect=float(root_js(canary, baseline)),
        effect_unit="distance",
        baseline=float(baseline[most]),
        canary=float(canary[most]),
        tasks_baseline=int(np.count_nonzero(on_baseline.sum(axis=1))),
        tasks_canary=int(np.count_nonzero(on_canary.sum(axis=1))),
        role=role,
    )


def _shares(counts: Figures) -> Figures:
    total = counts.sum()
    return np.asarray(counts.sum(axis=0) / total) if total else np.zeros(counts.shape[1])
