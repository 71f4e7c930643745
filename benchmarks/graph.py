"""What folding costs: columns against a networkx graph that is touched for each message.

    python benchmarks/graph.py [--events 300000] [--rounds 7]

Both sides get the same records of an invented fleet: 12 roles in two versions, 40 kinds, tasks of
10 requests that are sent, started and answered. Two jobs are compared: the sums over edges alone
(each side has what it works on already: columns, tuples), and all that a collector does, from
packed records (unpacking, edges, windows, rows of tasks, the ledger). Rounds of both sides
alternate; time is processor time.
"""

from __future__ import annotations

import argparse
import math
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import Any

import networkx as nx
import numpy as np

from rolewise.graphs.columns import in_columns
from rolewise.graphs.edge_table import LATENCY_BUCKETS, EdgeTable, tally_columns
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.interactions import DTYPE, RECORD, Batch, Happening

ROLES, VERSIONS, KINDS = 12, 2, 40
BATCH = 65_536
MESSAGES_A_TASK = 10
_FAILURES = (Happening.FAILED, Happening.TIMED_OUT)


def invent(events: int, seed: int = 0) -> list[Batch]:
    """Return records of an invented fleet, packed in batches."""
    draw = np.random.default_rng(seed)
    messages = events // 3
    nodes = {0: ""} | {
        1 + role * VERSIONS + version: f"role{role}@v{version}"
        for role in range(ROLES)
        for version in range(VERSIONS)
    }
    ways = draw.integers(1, len(nodes), (60, 2))  # 60 ways that messages go
    way = draw.choice(60, messages, p=draw.dirichlet(np.ones(60)))
    task = draw.integers(0, 2**64, messages // MESSAGES_A_TASK + 1, dtype=np.uint64)
    records = np.zeros(messages, DTYPE)
    # Many tasks run at a time: neighbours in time are of different tasks.
    records["task"] = task[
        (np.arange(messages) + draw.integers(0, 2000, messages)) // 10 % len(task)
    ]
    records["msg"] = np.arange(1, messages + 1)
    records["inv"] = draw.integers(0, messages, messages) // 3
    records["src"], records["dst"] = ways[way].T
    records["kind"] = way % KINDS + 1
    records["aux"] = draw.integers(0, 5, messages)
    records["hop"] = draw.integers(1, 8, messages)
    records["arm"] = draw.integers(0, 3, messages)
    records["flags"] = 1
    records["size"] = draw.integers(100, 10_000, messages)
    records["t"] = np.arange(messages) * 100_000
    three = np.repeat(records, 3)
    three["ev"] = np.tile([Happening.SENT, Happening.STARTED, Happening.REPLIED], messages)
    later = three["ev"] > 0
    three["aux"][later] = 0
    three["dur"][later] = draw.lognormal(17, 1, later.sum()).astype(np.uint64)
    three["seq"] = np.arange(len(three))
    kinds = {0: ""} | {number: f"kind{number}" for number in range(1, KINDS + 1)}
    return [
        Batch(
            source="role0@v0#1.0",
            first_seq=at,
            records=three[at : at + BATCH],
            nodes=nodes,
            kinds=kinds,
        )
        for at in range(0, len(three), BATCH)
    ]


def fold_edges(columns: list[Any]) -> EdgeTable:
    """Sum up edges by columns."""
    table = EdgeTable()
    for batch in columns:
        table.add(tally_columns(batch))
    return table


def fold_all(batches: list[Batch]) -> InteractionWindows:
    """Do what a collector does."""
    graph = InteractionWindows()
    for place, batch in enumerate(batches):
        graph.fold(batch, now_s=float(place))
    graph.task_rows()
    return graph


Event = tuple[int, ...]
"""A record, unpacked: its fields in their order."""


def unpacked(batches: list[Batch]) -> Iterator[Event]:
    """Unpack the records one by one."""
    for batch in batches:
        yield from RECORD.iter_unpack(batch.records.tobytes())


def touch_edges(events: Iterable[Event]) -> nx.MultiDiGraph:
    """Sum up edges in a networkx graph, event by event."""
    graph = nx.MultiDiGraph()
    for t, _, _, _, dur, _, size, _, src, dst, _, _, kind, aux, hop, ev, arm, flags in events:
        touch_edge(graph, ev, src, dst, (kind, arm), aux, hop, flags, t, dur, size)
    return graph


def touch_edge(
    graph: nx.MultiDiGraph,
    ev: int,
    src: int,
    dst: int,
    key: tuple[int, int],
    aux: int,
    hop: int,
    flags: int,
    t: int,
    dur: int,
    size: int,
) -> None:
    try:
        edge = graph[src][dst][key]
    except KeyError:
        graph.add_edge(
            src, dst, key, n=[0] * 7, bytes=0, latency=[0] * LATENCY_BUCKETS, first=t, last=t,
            max_hop=0, unanswered=0, errors=Counter(), squares=0, latency_ns=0, queue_ns=0,
            queue=[0] * LATENCY_BUCKETS,
        )  # fmt: skip
        edge = graph[src][dst][key]
    edge["n"][ev] += 1
    if ev == Happening.SENT:
        edge["bytes"] += size
        edge["squares"] += size * size
        edge["unanswered"] += flags & 3 > 0
    elif ev == Happening.STARTED:
        bucket = int(4 * math.log2(dur or 1)) - 80
        edge["queue"][0 if bucket < 0 else min(bucket, 79)] += 1
        edge["queue_ns"] += dur
    else:
        edge["unanswered"] -= flags & 3 > 0
        if ev == Happening.REPLIED:
            bucket = int(4 * math.log2(dur or 1)) - 80
            edge["latency"][0 if bucket < 0 else min(bucket, 79)] += 1
            edge["latency_ns"] += dur
        elif ev in _FAILURES:
            edge["errors"][aux] += 1
    edge["last"] = max(edge["last"], t)
    edge["first"] = min(edge["first"], t)
    edge["max_hop"] = max(edge["max_hop"], hop)


class Touched:
    """All that a collector knows, in networkx graphs and dicts that are touched event by event."""

    def __init__(self, batches: list[Batch]) -> None:
        self.role = {n: name.partition("@")[0] for n, name in batches[0].nodes.items()}
        self.graph, self.window = nx.MultiDiGraph(), nx.MultiDiGraph()
        self.pairs: dict[Any, list[float]] = {}
        self.moves: Counter[Any] = Counter()
        self.fan_out: Counter[Any] = Counter()
        self.seconds: Counter[Any] = Counter()
        self.tasks: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])

    def touch(self, events: Iterable[Event]) -> None:
        """Note events, one by one."""
        role = self.role
        for (
            t,
            _,
            inv,
            task,
            dur,
            _,
            size,
            _,
            src,
            dst,
            _,
            _,
            kind,
            aux,
            hop,
            ev,
            arm,
            flags,
        ) in events:
            touch_edge(self.graph, ev, src, dst, (kind, arm), aux, hop, flags, t, dur, size)
            touch_edge(self.window, ev, src, dst, (kind, arm), aux, hop, flags, t, dur, size)
            pair = self.pairs.get((task, src, dst, kind))
            if pair is None:
                pair = self.pairs[task, src, dst, kind] = [0, 0, 0, 0.0, 0, 0.0]
            if ev == Happening.SENT:
                pair[0] += 1
                pair[2] += flags & 3 > 0
                pair[5] += math.log2(size or 1)
                self.moves[task, role[src], aux, role[dst], kind] += 1
                self.seconds[task, t // 1_000_000_000] += 1
                if inv:
                    self.fan_out[task, inv] += 1
                known = self.tasks[task]
                known[0] += 1
                known[1] = max(known[1], hop)
                known[2] += flags > 31
            elif ev != Happening.STARTED:
                pair[2] -= flags & 3 > 0
                if ev == Happening.REPLIED:
                    pair[3] += math.log2(dur or 1)
                    pair[4] += 1
                elif ev in _FAILURES:
                    pair[1] += 1
                self.moves[task, role[dst], kind, "reply", aux or ev] += 1


def processor_s(job: Callable[[], Any]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def compare(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    events: int,
    rounds: int,
    wanted: str,
) -> None:
    """Print both sides and how they compare: medians over alternating rounds."""
    ours()  # warm
    pairs = [(processor_s(ours), processor_s(theirs)) for _ in range(rounds)]
    mine, other = (events / median(side) / 1e6 for side in zip(*pairs, strict=True))
    ratio = median(b / a for a, b in pairs)
    print(
        f"{name:34} columns {mine:6.2f} M events/s   networkx {other:5.2f} M events/s   "
        f"ratio {ratio:5.1f} (wanted {wanted})"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    batches = invent(arguments.events)
    count = sum(len(batch.records) for batch in batches)
    events, columns = list(unpacked(batches)), [in_columns(batch) for batch in batches]
    check(batches, events)
    compare(
        "sums over edges, from columns", lambda: fold_edges(columns), lambda: touch_edges(events),
        count, arguments.rounds, ">= 20",
    )  # fmt: skip
    compare(
        "all, from packed records", lambda: fold_all(batches),
        lambda: Touched(batches).touch(unpacked(batches)), count, arguments.rounds,
        ">= 12, >= 1 M events/s",
    )  # fmt: skip
    tracemalloc.start()
    graph = fold_all(batches)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    rows = len(graph.task_rows())
    print(
        f"memory per million events: {kept / count:.0f} MB kept "
        f"for {rows * 1_000_000 // count:,} tasks, {(peak - kept) / 1e6:.0f} MB more at the peak"
    )


def check(batches: list[Batch], events: list[Event]) -> None:
    """Refuse to compare what is not the same."""
    table, graph = fold_edges([in_columns(batch) for batch in batches]), touch_edges(events)
    names, kinds = batches[0].nodes, batches[0].kinds
    sums: dict[Any, tuple[Any, ...]] = {}
    for edge in table:
        s = table.sums(edge)
        sums[edge[:4]] = (
            s.counts.tolist(), s.size, s.size_squared, s.latency.tolist(), s.latency_ns,
            s.queue.tolist(), s.queue_ns, s.max_hop, s.unanswered,
        )  # fmt: skip
    touched = {
        (names[src], names[dst], kinds[kind], arm): (
            e["n"], e["bytes"], e["squares"], e["latency"], e["latency_ns"], e["queue"],
            e["queue_ns"], e["max_hop"], e["unanswered"],
        )
        for src, dst, (kind, arm), e in graph.edges(keys=True, data=True)
    }  # fmt: skip
    if sums != touched:
        raise SystemExit("the two sides disagree")


if __name__ == "__main__":
    main()
