"""The reduction agrees with a naive fixpoint on thousands of random graphs; so do the cores."""

import random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs import reduction
from rolewise.graphs.reduction import find_cores, reduce


def arrays(need, edges):
    src, dst = zip(*edges, strict=True) if edges else ((), ())
    return np.array(need, np.int64), np.array(src, np.int64), np.array(dst, np.int64)


def naive(need, edges) -> set[int]:
    """Release what can go on until nothing changes."""
    free: set[int] = set()
    while True:
        more = {
            node
            for node, needed in enumerate(need)
            if sum(dst in free for src, dst in edges if src == node) >= needed
        }
        if more == free:
            return set(range(len(need))) - free
        free = more


def random_graph(seed: int):
    """A k-of-n graph of up to 12 nodes, dense enough that about half are deadlocked."""
    random_ = random.Random(seed)
    nodes = random_.randint(1, 12)
    pairs = [(a, b) for a in range(nodes) for b in range(nodes)]
    edges = random_.sample(pairs, random_.randint(0, min(len(pairs), 3 * nodes)))
    degrees = [sum(src == node for src, _ in edges) for node in range(nodes)]
    return [random_.randint(0, degree) for degree in degrees], edges


@pytest.mark.parametrize("small_frontier", [0, 256], ids=["by array", "node by node"])
def test_reduce_is_the_least_fixpoint(monkeypatch, small_frontier):
    monkeypatch.setattr(reduction, "_SMALL_FRONTIER", max(small_frontier, 1))
    deadlocked = 0
    for seed in range(3000):
        need, edges = random_graph(seed)
        stuck = set(np.flatnonzero(reduce(*arrays(need, edges))).tolist())
        assert stuck == naive(need, edges), f"seed {seed}"
        deadlocked += bool(stuck)
    assert deadlocked > 500  # else the test says little


@given(st.integers(0, 10**6), st.integers(0, 11))
def test_lowering_a_need_never_adds_stuck_nodes(seed, node):
    need, edges = random_graph(seed)
    before = reduce(*arrays(need, edges))
    need[node % len(need)] = 0
    assert not (reduce(*arrays(need, edges)) & ~before).any()


def test_every_deadlock_has_cores_that_hold_themselves():
    several = 0
    for seed in range(3000):
        need, edges = random_graph(seed)
        stuck = reduce(*arrays(need, edges))
        cores = find_cores(*arrays(need, edges), stuck)
        assert bool(cores) == bool(stuck.any()), f"seed {seed}"
        several += len(cores) > 1
        for core in cores:
            members = set(core.tolist())
            assert members <= set(np.flatnonzero(stuck).tolist())
            others_free = [n if node in members else 0 for node, n in enumerate(need)]
            assert naive(others_free, edges) == members, f"seed {seed}"
            inner = nx.DiGraph([e for e in edges if set(e) <= members])
            assert not nx.is_directed_acyclic_graph(inner)
    assert several > 50


def test_a_long_chain_and_a_wide_fan_go_on_to_their_ends():
    nodes = 100_000
    order = np.arange(nodes - 1)
    for src, dst in ((order + 1, order), (order + 1, np.zeros(nodes - 1, np.int64))):
        need = np.ones(nodes, np.int64)
        need[0] = 0
        assert not reduce(need, src, dst).any()
