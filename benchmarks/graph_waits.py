"""How long a look at a hundred thousand waits takes, beside networkx on the same graph.

One process, sides in turn, medians of several rounds, processor time. The fleet is synthetic: 2,000
replicas with 50 slots, chains of asks, gathers, first-of-several, queues, one real deadlock when
it is asked for. networkx is given the plain edge list; it finds cycles, which is not the same as
deadlocks: how many nodes it calls stuck is printed beside.

`python benchmarks/graph_waits.py [--rounds N]` prints both sides and ends with 1 when a target is
missed: reduction below 100 ms and 5 times as fast as networkx.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import networkx as nx
import numpy as np

from rolewise.graphs.deadlock import analyse_waits
from rolewise.graphs.reduction import find_cores, reduce
from rolewise.graphs.rounds import Round, Sort
from rolewise.graphs.snapshots import ReplicaHead
from rolewise.graphs.wait_for import WaitForGraph, build_wait_for

INVOCATIONS = 100_000
REPLICAS = 2_000
WANTED_MS, WANTED_RATIO = 100.0, 5.0


def build_round(*, seed: int, deadlocked: int) -> Round:
    """Return a round of a busy fleet: callers wait for younger invocations, so none is stuck.

    Args:
        seed: Of the graph.
        deadlocked: So many invocations wait in a ring instead.
    """
    draw = np.random.default_rng(seed)
    n, heads = INVOCATIONS, REPLICAS
    replica = np.arange(n) // (n // heads)
    slots = n // heads - 3  # the last three of each replica are in its queue
    queued = np.arange(n) % (n // heads) >= slots
    ids = draw.permutation(np.uint64(2**48) + np.arange(n, dtype=np.uint64))
    waits = draw.choice((0, 1, 2, 3), n, p=(0.25, 0.4, 0.2, 0.15))
    waits[-n // 10 :] = 0
    waits[queued] = 0
    need = np.where(draw.random(n) < 0.3, np.minimum(waits, 1), waits)
    rows = np.repeat(np.arange(n), waits)
    targets = np.minimum(rows + 1 + draw.integers(0, n // 10, len(rows)), n - 1)
    if deadlocked:
        ring = np.flatnonzero(~queued)[:deadlocked]
        kept = ~np.isin(rows, ring)
        rows = np.concatenate([rows[kept], ring])
        targets = np.concatenate([targets[kept], np.roll(ring, 1)])
        waits[ring] = need[ring] = 1
        order = np.argsort(rows, kind="stable")
        rows, targets = rows[order], targets[order]
    edges = np.unique(rows * n + targets)
    rows, targets = edges // n, edges % n
    need = np.minimum(need, np.bincount(rows, minlength=n))
    sort = np.where(queued, Sort.QUEUED, np.where(waits > 0, Sort.WAITING, Sort.ACTIVE))
    return Round(
        heads=tuple(
            ReplicaHead(
                replica=f"r@v1#{i}", role=f"r{i % 20}", version="v1", slots=slots, capacity_epoch=0
            )
            for i in range(heads)
        ),
        replica=replica,
        sort=sort.astype(np.int64),
        id=ids,
        epoch=np.ones(n, np.int64),
        need=np.where(queued, 1, need),
        ends=np.full(n, np.nan),
        since=draw.random(n) * 9,
        arm=np.zeros(n, np.int64),
        caller=np.zeros(n, np.uint64),
        task=("t",) * n,
        kind=("",) * n,
        edge_row=rows,
        edge_id=ids[targets],
        edge_is_lock=np.zeros(len(rows), np.bool_),
        edge_to=("",) * len(rows),
        pools=(),
        recent_replica=np.zeros(0, np.int64),
        recent_id=np.zeros(0, np.uint64),
        recent_ending=np.zeros(0, np.int64),
    )


def chain(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one chain: the worst for frontiers in arrays."""
    need = np.ones(n, np.int64)
    need[0] = 0
    order = np.arange(n - 1, dtype=np.int64)
    return need, order + 1, order


def cpu_ms(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return (time.process_time() - begin) * 1e3


def in_turn(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median of each call, all of them made in turn."""
    took = [[cpu_ms(call) for call in calls] for _ in range(rounds)]
    return [median(column) for column in zip(*took, strict=True)]


def networkx_scc(graph: WaitForGraph) -> set[int]:
    """Build the graph in networkx and return the nodes that are in a cycle."""
    built = nx.DiGraph()
    built.add_nodes_from(range(len(graph.need)))
    built.add_edges_from(zip(graph.src.tolist(), graph.dst.tolist(), strict=True))
    return {
        node for part in nx.strongly_connected_components(built) if len(part) > 1 for node in part
    }


def measure(name: str, round_: Round, rounds: int) -> tuple[float, float]:
    """Print one fleet's figures; return (reduction in ms, times as fast as networkx)."""
    graph = build_wait_for(None, round_)

    def reduction() -> np.ndarray:
        return reduce(graph.need, graph.src, graph.dst)

    def with_cores() -> list[np.ndarray]:
        stuck = reduce(graph.need, graph.src, graph.dst)
        return find_cores(graph.need, graph.src, graph.dst, stuck)

    stuck, cores = reduction(), with_cores()
    cycles = networkx_scc(graph)
    ours, theirs, joined, cored, all_of_it = in_turn(
        rounds,
        reduction,
        lambda: networkx_scc(graph),
        lambda: build_wait_for(round_, round_),
        with_cores,
        lambda: analyse_waits(round_, round_),
    )
    print(f"{name}: {len(graph.need):,} nodes, {len(graph.src):,} edges")
    print(f"  reduction                    {ours:8.1f} ms   {int(stuck.sum()):,} stuck")
    print(f"  networkx, build and SCC      {theirs:8.1f} ms   {len(cycles):,} in a cycle")
    print(f"  networkx / reduction         {theirs / ours:8.1f} x")
    print(f"  reduction and cores          {cored:8.1f} ms   {len(cores)} cores")
    print(f"  join by id, two rounds       {joined:8.1f} ms")
    print(f"  two rounds to words          {all_of_it:8.1f} ms")
    return ours, theirs / ours


def main() -> int:
    """Measure; return 1 when a target is missed."""
    arguments = argparse.ArgumentParser(description="Reduction of waits against networkx.")
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds
    print(f"{INVOCATIONS:,} invocations in flight, median of {rounds} rounds, processor time")
    results = [
        measure("nothing stuck", build_round(seed=1, deadlocked=0), rounds),
        measure("a ring of 10 in it", build_round(seed=1, deadlocked=10), rounds),
        measure("a ring of 9,000 in it", build_round(seed=1, deadlocked=9_000), rounds),
    ]
    need, src, dst = chain(INVOCATIONS)
    (long,) = in_turn(rounds, lambda: reduce(need, src, dst))
    print(f"one chain of {INVOCATIONS:,}: reduction {long:.1f} ms")
    slowest = max(long, *(ours for ours, _ in results))
    ratio = min(ratio for _, ratio in results)
    missed = slowest >= WANTED_MS or ratio < WANTED_RATIO
    print(
        f"reduction at most {slowest:.1f} ms (wanted below {WANTED_MS:.0f}), "
        f"at least {ratio:.1f} x networkx (wanted {WANTED_RATIO:.0f}): "
        f"{'MISSED' if missed else 'met'}"
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
