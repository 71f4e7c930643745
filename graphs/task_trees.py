"""How much depends on a role, taken exactly from whole tasks: who was asked, and was it needed?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import networkx as nx

from rolewise.graphs.role_figures import RoleFigures, dominators_by_role

STRUCTURE_WEIGHT = 10
"""How many observed failures the structure of the tasks weighs."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Tasks in which a role finally failed or timed out, and how many of them failed for it."""

    tasks: int
    lost: int


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
    total = sum(tasks.values())
    used: dict[str, int] = defaultdict(int)
    needed: dict[str, int] = defaultdict(int)
    span: dict[str, Fraction] = defaultdict(Fraction)  # exact, whatever the order of tasks
    sent: dict[tuple[str, str], int] = defaultdict(int)
    for tree, count in tasks.items():
        roles = {invocation.role for invocation in _walk(tree)}
        below = _awaited_below(tree)
        for role in roles:
            used[role] += count
            needed[role] += count * (not _answers(tree, without=role))
            span[role] += Fraction(count * len(below[role]), max(len(roles) - 1, 1))
        sent["", tree.role] += count
        for caller in _walk(tree):
            for call in caller.calls:
                for callee in call.to:
                    sent[caller.role, callee.role] += count

    graph = nx.DiGraph(list(sent))
    dominators = dominators_by_role(graph)
    between = sum(n for (src, _), n in sent.items() if src)
    figures = {}
    for role in sorted(used):
        seen = failures.get(role, Failures(tasks=0, lost=0))
        structural = STRUCTURE_WEIGHT * needed[role] / used[role]
        figures[role] = RoleFigures(
            use=used[role] / total,
            propagation=(seen.lost + structural) / (seen.tasks + STRUCTURE_WEIGHT),
            span=float(span[role] / used[role]),
            initiated=sum(n for (src, _), n in sent.items() if src == role) / max(between, 1),
            callees=tuple(sorted(set(graph.successors(role)) - {role})),
            callers=tuple(sorted(set(graph.predecessors(role)) - {role, ""})),
            only_way_to=tuple(sorted(other for other in used if role in dominators[other])),
            tasks=total,
            exact=True,
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
