"""Strongly connected components of a graph in columns."""

from __future__ import annotations

import numpy as np

from rolewise.graphs.rounds import Bools, Ints


def strong_components(nodes: int, src: Ints, dst: Ints) -> Ints:
    """Number the strongly connected components.

    Args:
        nodes: How many nodes there are.
        src: Edges: from ...
        dst: ... to.

    Returns:
        For each node the number of its component; numbers have no order and may have gaps.

    Notes:
        Time and space grow with nodes and edges. What nothing leads to, or what leads nowhere, is
        a component of its own: such nodes are peeled off by arrays first. Most victims of a
        deadlock are of that kind. The rest goes by Tarjan's algorithm, without recursion.

    References:
        Tarjan: Depth-first search and linear graph algorithms. https://doi.org/10.1137/0201010
    """
    component = np.arange(nodes, dtype=np.int64)
    inside = _peel(nodes, src, dst)
    if inside.any():
        kept = inside[src] & inside[dst]
        members = np.flatnonzero(inside)
        number = np.zeros(nodes, np.int64)
        number[members] = np.arange(len(members))
        labels = _tarjan(len(members), number[src[kept]], number[dst[kept]])
        component[members] = members[labels]
    return component


def _peel(nodes: int, src: Ints, dst: Ints) -> Bools:
    """Return the nodes that are left when those without a way in or out are taken off."""
    inside = np.ones(nodes, np.bool_)
    # Long chains lose one node a round: a few rounds take what is broad, Tarjan takes the rest.
    for _ in range(_PEEL_ROUNDS):
        goes_on = np.zeros(nodes, np.bool_)
        is_reached = np.zeros(nodes, np.bool_)
        goes_on[src] = True
        is_reached[dst] = True
        left = inside & goes_on & is_reached
        if left.sum() == inside.sum():
            break
        inside = left
        kept = inside[src] & inside[dst]
        src, dst = src[kept], dst[kept]
    return inside


_PEEL_ROUNDS = 8


def _tarjan(nodes: int, src: Ints, dst: Ints) -> Ints:  # noqa: C901 (a call a node costs too much)
    order = np.argsort(src, kind="stable")
    targets = dst[order].tolist()
    start = np.zeros(nodes + 1, np.int64)
    np.cumsum(np.bincount(src, minlength=nodes), out=start[1:])
    begin = start.tolist()
    place, low = [0] * nodes, [0] * nodes
    label = [-1] * nodes
    following = begin[:-1]
    path: list[int] = []
    count = 0
    for root in range(nodes):
        if place[root]:
            continue
        work = [root]
        while work:
            node = work[-1]
            if not place[node]:
                count += 1
                place[node] = low[node] = count
                path.append(node)
            lowest = low[node]
            at, end = following[node], begin[node + 1]
            while at < end:
                target = targets[at]
                if not place[target]:
                    break
                if label[target] < 0 and low[target] < lowest:
                    lowest = low[target]
                at += 1
            low[node], following[node] = lowest, at
            if at < end:
                work.append(targets[at])
                continue
            work.pop()
            if lowest == place[node]:
                while True:
                    member = path.pop()
                    label[member] = node
                    if member == node:
                        break
    return np.array(label, np.int64)
