"""How much depends on a role, taken exactly from whole tasks: who was asked, and was it needed?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import networkx as nx
import numpy as np

from rolewise.graphs.role_figures import Failures, RoleFigures, dominators_by_role

STRUCTURE_WEIGHT = 10
"""How many observed failures the structure of the tasks weighs."""

RESAMPLES = 200
"""Draws that tell how sure an order is."""


@dataclass(frozen=True, slots=True)
class Call:
    """Messages that a handler sent together.

    Attributes:
        to: The invocations that they became.
        need: How many replies it needed: all, one (first of several), or 0 when it only told.
    """

    to: tuple[Invocation, ...]
    need: int


@dataclass(frozen=True, slots=True)
class Invocation:
    """One handling of a message by a role, with what it sent, in order."""

    role: str
    calls: tuple[Call, ...] = ()


TaskTrees = tuple[Mapping[Invocation, int], Mapping[str, Failures]]
"""Trees of tasks with how many had just that tree, and what was observed to fail, by role."""


def criticality_of_tasks(
    tasks: Mapping[Invocation, int], failures: Mapping[str, Failures]
) -> dict[str, RoleFigures]:
    """Take the figures of every role from tasks.

    Args:
        tasks: The tree of each task, from its entry invocation, and how many had just that tree.
        failures: What was observed to fail, by role.

    Notes:
        A role's structural propagation is the share of its tasks whose entry could not answer if
        no invocation of the role ever did: alternatives and events do not count. Observed
        failures outweigh it as they become many.
    """
    read = [(_read(tree), count) for tree, count in tasks.items()]
    graph = nx.DiGraph({edge for tree, _ in read for edge in tree.sent})
    return _figures(read, failures, dominators_by_role(graph))


def resample_criticality(
    tasks: Mapping[Invocation, int],
    failures: Mapping[str, Failures],
    *,
    seed: int,
    times: int = RESAMPLES,
) -> list[dict[str, RoleFigures]]:
    """Take the same figures again and again from tasks drawn anew, to see how sure they are.

    Each draw has as many tasks, taken from those that were seen, each as likely as the other;
    failures are drawn along, those that were caused on purpose as many as they were.

    Args:
        tasks: As for `criticality_of_tasks`.
        failures: As for `criticality_of_tasks`.
        seed: Equal seeds give equal draws.
        times: How many draws.
    """
    draw = np.random.default_rng(seed)
    read = [_read(tree) for tree in tasks]
    total = sum(tasks.values())
    shares = np.array(list(tasks.values()), np.float64) / max(total, 1)
    drawn = draw.multinomial(total, shares, size=times) if read else np.zeros((times, 0), np.int64)
    return [
        _figures(
            [(tree, count) for tree, count in zip(read, counts, strict=True) if count],
            {role: _again(seen, total, draw) for role, seen in failures.items()},
            {},
        )
        for counts in drawn.tolist()
    ]


def _again(seen: Failures, total: int, draw: np.random.Generator) -> Failures:
    if not seen.tasks:
        return seen
    tasks = seen.tasks
    if not seen.injected:
        tasks = int(draw.binomial(total, min(1.0, seen.tasks / max(total, 1))))
    lost = int(draw.binomial(tasks, seen.lost / seen.tasks))
    return Failures(tasks=tasks, lost=lost, injected=seen.injected)


@dataclass(frozen=True, slots=True)
class _Tree:
    """What one tree says of the roles in it.

    Attributes:
        span: Role -> share of the other roles that work below it while it waits.
        needed: Roles without which the task could not be answered.
        sent: (caller, callee) -> messages; the outside has no name.
        awaited: Those of them that somebody waits for.
    """

    span: Mapping[str, Fraction]
    needed: frozenset[str]
    sent: Mapping[tuple[str, str], int]
    awaited: frozenset[tuple[str, str]]


def _read(tree: Invocation) -> _Tree:
    roles = {invocation.role for invocation in _walk(tree)}
    below = _awaited_below(tree)
    sent: dict[tuple[str, str], int] = defaultdict(int)
    sent["", tree.role] += 1
    awaited = set()
    for caller in _walk(tree):
        for call in caller.calls:
            for callee in call.to:
                sent[caller.role, callee.role] += 1
                if call.need:
                    awaited.add((caller.role, callee.role))
    return _Tree(
        # Fractions: exact, whatever the order of tasks.
        span={role: Fraction(len(below[role]), max(len(roles) - 1, 1)) for role in roles},
        needed=frozenset(role for role in roles if not _answers(tree, without=role)),
        sent=sent,
        awaited=frozenset(awaited),
    )


def _figures(
    trees: Sequence[tuple[_Tree, int]],
    failures: Mapping[str, Failures],
    dominators: Mapping[str, Collection[str]],
) -> dict[str, RoleFigures]:
    total = sum(count for _, count in trees)
    used: dict[str, int] = defaultdict(int)
    needed: dict[str, int] = defaultdict(int)
    span: dict[str, Fraction] = defaultdict(Fraction)
    sent: dict[tuple[str, str], int] = defaultdict(int)
    awaited: set[tuple[str, str]] = set()
    for tree, count in trees:
        for role, share in tree.span.items():
            used[role] += count
            needed[role] += count * (role in tree.needed)
            span[role] += count * share
        for edge, times in tree.sent.items():
            sent[edge] += count * times
        awaited |= tree.awaited
    between = sum(n for (src, _), n in sent.items() if src)
    figures = {}
    for role in sorted(used):
        seen = failures.get(role, Failures())
        structural = STRUCTURE_WEIGHT * needed[role] / used[role]
        figures[role] = RoleFigures(
            use=used[role] / total,
            propagation=(seen.lost + structural) / (seen.tasks + STRUCTURE_WEIGHT),
            span=float(span[role] / used[role]),
            initiated=sum(n for (src, _), n in sent.items() if src == role) / max(between, 1),
            sent={dst: n for (src, dst), n in sorted(sent.items()) if src == role != dst},
            callers=tuple(sorted({src for src, dst in sent if dst == role and src} - {role})),
            waits_for=tuple(sorted(dst for src, dst in awaited if src == role != dst)),
            waited_by=tuple(sorted(src for src, dst in awaited if dst == role != src)),
            only_way_to=tuple(sorted(o for o in used if role in dominators.get(o, ()))),
            tasks=total,
            exact=True,
            failures=seen,
        )
    return figures


def _walk(invocation: Invocation) -> Iterator[Invocation]:
    yield invocation
    for call in invocation.calls:
        for callee in call.to:
            yield from _walk(callee)


def _answers(invocation: Invocation, *, without: str) -> bool:
    """Say whether the invocation could answer if no invocation of a role ever did."""
    return invocation.role != without and all(
        sum(_answers(callee, without=without) for callee in call.to) >= call.need
        for call in invocation.calls
    )


def _awaited_below(tree: Invocation) -> dict[str, Collection[str]]:
    """Return for each role the other roles that work while one of its invocations waits."""
    below: dict[str, set[str]] = defaultdict(set)

    def visit(invocation: Invocation) -> set[str]:
        awaited: set[str] = set()
        for call in invocation.calls:
            for callee in call.to:
                inner = visit(callee) | {callee.role}
                if call.need:
                    awaited |= inner
        below[invocation.role] |= awaited - {invocation.role}
        return awaited

    visit(tree)
    return dict(below)
