"""Components agree with networkx, on random graphs, long chains and deep circles."""

import random

import networkx as nx
import numpy as np

from rolewise.graphs.components import strong_components


def grouped(nodes: int, edges) -> set[frozenset[int]]:
    src, dst = zip(*edges, strict=True) if edges else ((), ())
    labels = strong_components(nodes, np.array(src, np.int64), np.array(dst, np.int64))
    groups: dict[int, set[int]] = {}
    for node, label in enumerate(labels.tolist()):
        groups.setdefault(label, set()).add(node)
    return {frozenset(members) for members in groups.values()}


def by_networkx(nodes: int, edges) -> set[frozenset[int]]:
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(nodes))
    return {frozenset(members) for members in nx.strongly_connected_components(graph)}


def test_as_networkx_has_them():
    several = 0
    for seed in range(2000):
        random_ = random.Random(seed)
        nodes = random_.randint(1, 14)
        pairs = [(a, b) for a in range(nodes) for b in range(nodes)]
        edges = random_.sample(pairs, random_.randint(0, min(len(pairs), 2 * nodes)))
        found = grouped(nodes, edges)
        assert found == by_networkx(nodes, edges), f"seed {seed}"
        several += sum(len(group) > 1 for group in found) > 1
    assert several > 50


def test_a_chain_and_a_circle_are_not_too_deep():
    nodes = 20_000
    chain = [(i, i + 1) for i in range(nodes - 1)]
    assert len(grouped(nodes, chain)) == nodes
    assert grouped(nodes, [*chain, (nodes - 1, 0)]) == {frozenset(range(nodes))}
    assert grouped(nodes, [*chain, (100, 50)]) == by_networkx(nodes, [*chain, (100, 50)])
