"""Places the nodes of a directed graph in layers, so that most edges lead the same way.

The usual four steps (Sugiyama, Tagawa, Toda 1981, https://doi.org/10.1109/TSMC.1981.4308636): turn
round what closes a circle, number layers by the longest way, let long edges pass through places of
their own in the layers between, and order each layer by where its neighbours stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 6

Edge = tuple[str, str]
Place = str | tuple[str, str, int]
"""A node, or where an edge passes through a layer: its ends and the layer's number."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands.

    Attributes:
        layers: Places from first to last layer, in order within each.
        ways: Edge -> the places that it leads through, from its source to its target.
    """

    layers: tuple[tuple[Place, ...], ...]
    ways: Mapping[Edge, tuple[Place, ...]]


def lay_out(
    nodes: Iterable[str], edges: Iterable[Edge], team_of: Mapping[str, str] | None = None
) -> Layout:
    """Lay out a graph; the same graph always gives the same layout.

    Args:
        nodes: All nodes; those that should come first, first.
        edges: From and to. Edges of a node to itself have no way.
        team_of: Nodes of one team stand in one layer, unless they send to each other.
    """
    nodes = list(dict.fromkeys(nodes))
    plain = sorted({(src, dst) for src, dst in edges if src != dst})
    team = {node: (team_of or {}).get(node, node) for node in nodes}
    split = {team[src] for src, dst in plain if team[src] == team[dst]}
    team = {node: node if own in split else own for node, own in team.items()}
    teams = list(dict.fromkeys(team.values()))
    between = sorted({(team[src], team[dst]) for src, dst in plain})
    closing = _closing(teams, between)
    rank_of_team = _ranks(
        teams, sorted({edge[::-1] if edge in closing else edge for edge in between})
    )
    rank = {node: rank_of_team[team[node]] for node in nodes}
    backward = {edge for edge in plain if rank[edge[0]] > rank[edge[1]]}
    forward = sorted({edge[::-1] if edge in backward else edge for edge in plain})
    ways = {edge: _way(edge, rank) for edge in forward}
    layers = _order(nodes, rank, ways)
    return Layout(
        layers=layers,
        ways={
            (src, dst): ways[dst, src][::-1] if (src, dst) in backward else ways[src, dst]
            for src, dst in plain
        },
    )


def _closing(nodes: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """Return edges that close a circle, by a walk in depth from the first nodes."""
    targets: dict[str, list[str]] = defaultdict(list)
    for src, dst in edges:
        targets[src].append(dst)
    closing: set[Edge] = set()
    state: dict[str, bool] = {}  # True while the walk is below it
    for root in nodes:
        if root in state:
            continue
        state[root] = True
        work = [(root, iter(targets[root]))]
        while work:
            node, following = work[-1]
            target = next(following, None)
            if target is None:
                state[node] = False
                work.pop()
            elif target not in state:
                state[target] = True
                work.append((target, iter(targets[target])))
            elif state[target]:
                closing.add((node, target))
    return closing


def _ranks(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return each node's layer: the longest way that leads to it."""
    incoming = dict.fromkeys(nodes, 0)
    targets: dict[str, list[str]] = defaultdict(list)
    for src, dst in edges:
        incoming[dst] += 1
        targets[src].append(dst)
    rank = dict.fromkeys(nodes, 0)
    work = [node for node in nodes if not incoming[node]]
    while work:
        node = work.pop()
        for target in targets[node]:
            rank[target] = max(rank[target], rank[node] + 1)
            incoming[target] -= 1
            if not incoming[target]:
                work.append(target)
    return rank


def _way(edge: Edge, rank: Mapping[str, int]) -> tuple[Place, ...]:
    src, dst = edge
    between: list[Place] = [(src, dst, layer) for layer in range(rank[src] + 1, rank[dst])]
    return (src, *between, dst)


def _order(
    nodes: Sequence[str], rank: Mapping[str, int], ways: Mapping[Edge, Sequence[Place]]
) -> tuple[tuple[Place, ...], ...]:
    layers: list[list[Place]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for node in nodes:
        layers[rank[node]].append(node)
    neighbours: dict[bool, dict[Place, list[Place]]] = {True: {}, False: {}}
    for way in ways.values():
        for place in way[1:-1]:
            if isinstance(place, tuple):
                layers[place[2]].append(place)
        for here, there in pairwise(way):
            neighbours[True].setdefault(there, []).append(here)
            neighbours[False].setdefault(here, []).append(there)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        before: list[Place] = []
        for layer in layers if downwards else layers[::-1]:
            _sort(layer, before, neighbours[downwards])
            before = layer
    return tuple(tuple(layer) for layer in layers)


def _sort(
    layer: list[Place], before: Sequence[Place], neighbours: Mapping[Place, Sequence[Place]]
) -> None:
    """Put each place where its neighbours in the layer before stand on average."""
    own = {place: i for i, place in enumerate(layer)}
    at = {place: i for i, place in enumerate(before)}

    def middle(place: Place) -> float:
        near = neighbours.get(place)
        return own[place] if not near else sum(at[one] for one in near) / len(near)

    layer.sort(key=middle)
