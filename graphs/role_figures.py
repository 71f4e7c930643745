"""How much depends on a role: figures from what was observed, or from what the fleet file declares.

`rolewise.graphs.task_trees` takes the same figures, exactly, from whole tasks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import networkx as nx

_OUTSIDE = ""
_TERMINAL = ("replied", "failed", "timed_out", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Tasks in which a role finally failed or timed out, and how many of them failed for it.

    Attributes:
        injected: They were caused on purpose, by killing the role in a rehearsal.
    """

    tasks: int = 0
    lost: int = 0
    injected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFigures:
    """What is known of one role.

    Attributes:
        use: Share of tasks in which the role takes part.
        propagation: Share of those that are lost if the role is.
        span: Share of a task's other roles that work below it while it waits.
        initiated: Its share of all messages that roles send.
        sent: Role that it calls -> how many messages; 1 for a declared call.
        callers: Roles that call it.
        waits_for: Roles of whose replies it waits.
        waited_by: Roles that wait for its reply.
        only_way_to: Roles that no task reaches but through it.
        tasks: How many tasks this rests on; 0 for declared calls.
        exact: Taken from whole tasks; else the shares are upper bounds.
        failures: What was seen of its failures.
    """

    use: float
    propagation: float
    span: float
    initiated: float
    sent: Mapping[str, float] = field(default_factory=dict)
    callers: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    waited_by: tuple[str, ...] = ()
    only_way_to: tuple[str, ...] = ()
    tasks: int = 0
    exact: bool = False
    failures: Failures = field(default_factory=Failures)

    @property
    def callees(self) -> tuple[str, ...]:
        """Roles that it calls, in order."""
        return tuple(sorted(self.sent))

    @property
    def tasks_with_it(self) -> float:
        """In how many of the tasks the role took part."""
        return self.use * self.tasks

    @property
    def blast(self) -> float:
        """Share of all tasks that are lost if the role is."""
        return self.use * self.propagation

    @property
    def criticality(self) -> float:
        """From 0 to 1, rising in both the blast and the work that the role holds together."""
        return 1 - (1 - self.blast) * (1 - self.use * self.span / 2)

    @property
    def orchestrates(self) -> bool:
        """Whether it sends much, waits for most, in many tasks, to more than one role."""
        many = len(self.callees) > 1
        return many and self.initiated >= 0.25 and self.span >= 0.5 and self.use >= 0.3  # noqa: PLR2004


@dataclass(slots=True)
class _Calls:
    """Calls between roles, and from the outside (''), with their weights."""

    messages: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    awaited: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))


def figures_from_graph(graph: nx.MultiDiGraph) -> dict[str, RoleFigures]:
    """Read the figures of every role in a role view.

    Notes:
        Edges do not tell which messages belong to one task. So the share of tasks is an upper
        bound: no more than messages to the role, and no more than its callers' own shares.
        Whoever waits for a reply is taken to need it.
    """
    calls = _Calls()
    for src, dst, edge in graph.edges(data=True):
        calls.messages[src, dst] += edge["n"]
        # A message seen only on its way may be an event, which nobody waits for.
        calls.awaited[src, dst] += min(sum(edge[name] for name in _TERMINAL), edge["n"])
    tasks = sum(n for (src, _), n in calls.messages.items() if src == _OUTSIDE)
    if not tasks:
        return {}
    return _figures(
        calls,
        lambda edge, caller_use: min(calls.messages[edge] / tasks, caller_use),
        tasks=int(tasks),
    )


def figures_from_declared(
    declared: Mapping[str, Collection[str]], entry: Collection[str]
) -> dict[str, RoleFigures]:
    """Guess the figures of every role that is reached from the entry roles.

    Every call is awaited, and a task that is at a role goes on to each of its callees with
    equal chance.
    """
    calls = _Calls()
    edges = [(_OUTSIDE, role) for role in entry]
    edges += [(src, dst) for src in declared for dst in set(declared[src]) if src != dst]
    callees: dict[str, int] = defaultdict(int)
    for src, dst in sorted(edges):
        calls.messages[src, dst] = calls.awaited[src, dst] = 1.0
        callees[src] += 1
    return _figures(calls, lambda edge, caller_use: caller_use / callees[edge[0]], tasks=0)


def _figures(
    calls: _Calls, share: Callable[[tuple[str, str], float], float], *, tasks: int
) -> dict[str, RoleFigures]:
    graph = nx.DiGraph([edge for edge, n in calls.messages.items() if n > 0])
    if _OUTSIDE not in graph:
        return {}
    dominators = dominators_by_role(graph)
    # A question back to a role through which the task came brings no new role into it.
    onward = nx.DiGraph(
        [
            (src, dst)
            for src, dst in graph.edges
            if src != dst and dst not in dominators.get(src, ())
        ]
    )
    awaited = nx.DiGraph([edge for edge in onward.edges if calls.awaited[edge] > 0])
    awaited.add_nodes_from(graph)
    use = _uses(onward, share)
    roles = sorted(role for role in dominators if role != _OUTSIDE)
    sent = sum(n for (src, _), n in calls.messages.items() if src != _OUTSIDE)
    waits = [(src, dst) for src, dst in graph.edges if src != dst and calls.awaited[src, dst] > 0]
    figures = {}
    for role in roles:
        into = [edge for edge in onward.in_edges(role) if calls.messages[edge] > 0]
        arrived = sum(calls.messages[edge] for edge in into)
        below = nx.descendants(awaited, role)
        figures[role] = RoleFigures(
            use=use[role],
            propagation=sum(calls.awaited[edge] for edge in into) / arrived,
            span=len(below) / max(len(roles) - 1, 1),
            initiated=sum(calls.messages[edge] for edge in graph.out_edges(role)) / max(sent, 1),
            sent={dst: calls.messages[role, dst] for dst in graph.successors(role) if dst != role},
            callers=tuple(sorted(set(graph.predecessors(role)) - {role, _OUTSIDE})),
            waits_for=tuple(sorted(dst for src, dst in waits if src == role)),
            waited_by=tuple(sorted(src for src, dst in waits if dst == role and src != _OUTSIDE)),
            only_way_to=tuple(other for other in roles if role in dominators[other]),
            tasks=tasks,
        )
    return figures


def _uses(onward: nx.DiGraph, share: Callable[[tuple[str, str], float], float]) -> dict[str, float]:
    """Return each role's share of tasks: at most the sum of what its callers bring."""
    use = {role: 1.0 if role == _OUTSIDE else 0.0 for role in onward}
    for _ in range(len(use)):  # long enough for the longest way from the outside
        for role in sorted(use):
            if role != _OUTSIDE:
                edges = sorted(onward.in_edges(role))
                brought = sum(share(edge, use[edge[0]]) for edge in edges)
                use[role] = min(1.0, brought)
    return use


def dominators_by_role(graph: nx.DiGraph) -> dict[str, set[str]]:
    """Return for each role that the outside reaches the others through which all ways lead."""
    nearest = nx.immediate_dominators(graph, _OUTSIDE)
    dominators: dict[str, set[str]] = {_OUTSIDE: set()}
    for role in nx.topological_sort(nx.DiGraph([(nearest[r], r) for r in nearest if r])):
        if role != _OUTSIDE:
            dominators[role] = dominators[nearest[role]] | {nearest[role]}
    return {role: above - {_OUTSIDE} for role, above in dominators.items()}
