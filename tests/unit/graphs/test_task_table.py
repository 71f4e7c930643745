"""Rows of tasks agree with a count message by message on networkx graphs, whatever the split."""

import math
from collections import Counter, defaultdict
from dataclasses import fields

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs.grouping import group
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.interactions import Arm, Happening
from rolewise.graphs.task_rows import REPLY, TaskRows, merge
from tests.unit.graphs.builders import KINDS, NODES, Record, batch_of

SECOND = 10**9
ENDS = {Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT, Happening.CANCELLED}

records = st.builds(
    Record,
    ev=st.sampled_from(Happening),
    src=st.sampled_from(NODES),
    dst=st.sampled_from(NODES[1:]),
    kind=st.sampled_from(KINDS),
    arm=st.sampled_from(Arm),
    mirrored=st.booleans(),
    size=st.integers(0, 2**32 - 1),
    dur=st.integers(0, 2**42),
    t=st.integers(0, 40).map(lambda s: s * SECOND),
    task=st.sampled_from([3, 5, 2**64 - 1]),
    inv=st.integers(0, 2),
    hop=st.integers(0, 255),
    aux=st.sampled_from(KINDS),
    awaited=st.booleans(),
    attempt=st.integers(0, 7),
)


def in_invocations(happened: list[Record]) -> list[Record]:
    """Give every task invocations of its own, as ids in a fleet are."""
    names = [vars_of(record) for record in happened]
    return [Record(**{**n, "inv": n["inv"] and n["inv"] + n["task"] % 1000 * 10}) for n in names]


def vars_of(record: Record) -> dict:
    return {column.name: getattr(record, column.name) for column in fields(record)}


many_records = st.lists(records, max_size=40).map(in_invocations)


class Reference:
    """Touches one networkx graph a task for each record."""

    def __init__(self, happened: list[Record]) -> None:
        self.graphs: dict[int, nx.MultiDiGraph] = defaultdict(nx.MultiDiGraph)
        self.moves: dict[int, Counter] = defaultdict(Counter)
        self.fan_out: dict[int, Counter] = defaultdict(Counter)
        self.hop: Counter = Counter()
        self.retries: Counter = Counter()
        self.ends: dict[int, int] = {}
        self.sent_at: dict[int, list[int]] = defaultdict(list)
        for record in happened:
            if not record.mirrored:
                self.note(record)

    def note(self, record: Record) -> None:
        src, dst = (node.partition("@")[0] for node in (record.src, record.dst))
        graph = self.graphs[record.task]
        if not graph.has_edge(src, dst, record.kind):
            graph.add_edge(
                src, dst, record.kind, sends=0, failed=0, open=0, latency=0.0, replies=0, size=0.0
            )
        edge = graph[src][dst][record.kind]
        if record.ev is Happening.SENT:
            edge["sends"] += 1
            edge["size"] += math.log2(max(record.size, 1))
            self.sent_at[record.task].append(record.t)
            self.hop[record.task] = max(self.hop[record.task], record.hop)
            self.retries[record.task] += record.attempt > 0
            if record.inv:
                self.fan_out[record.task][record.inv] += 1
            if src:
                self.moves[record.task][src, record.aux, dst, record.kind] += 1
        elif record.ev in {Happening.FAILED, Happening.TIMED_OUT}:
            edge["failed"] += 1
        elif record.ev is Happening.REPLIED:
            edge["replies"] += 1
            edge["latency"] += math.log2(max(record.dur, 1))
        if record.awaited:
            edge["open"] += (record.ev is Happening.SENT) - (record.ev in ENDS)
        if record.ev in {Happening.REPLIED, Happening.FAILED}:
            word = record.aux or record.ev.name.lower()
            self.moves[record.task][dst, record.kind, REPLY, word] += 1
        if not record.src and record.ev in ENDS:
            self.ends[record.task] = max(self.ends.get(record.task, 0), record.t)

    def content(self) -> dict[int, tuple]:
        return {
            task: (
                {
                    (src, dst, kind): pytest.approx(
                        (
                            e["sends"],
                            e["failed"],
                            max(e["open"], 0),
                            e["latency"],
                            e["replies"],
                            e["size"],
                        )
                    )
                    for src, dst, kind, e in graph.edges(keys=True, data=True)
                },
                dict(self.moves[task]),
                {
                    "messages": len(self.sent_at[task]),
                    "max_hop": self.hop[task],
                    "roles": len(set(graph) - {""}),
                    "fan_out": max(self.fan_out[task].values(), default=0),
                    "retries": self.retries[task],
                    "late_sends": sum(
                        t // SECOND > self.ends[task] // SECOND + 10
                        for t in self.sent_at[task]
                        if task in self.ends
                    ),
                },
            )
            for task, graph in self.graphs.items()
        }


def content(rows: TaskRows) -> dict[int, tuple]:
    found = {
        task: (
            {},
            {},
            {
                name: getattr(rows, name)[place]
                for name in ("messages", "max_hop", "roles", "fan_out", "retries", "late_sends")
            },
        )
        for place, task in enumerate(rows.task.tolist())
    }
    tasks = rows.task.tolist()
    for place, (row, col) in enumerate(zip(rows.edge_row, rows.edge_col, strict=True)):
        found[tasks[row]][0][rows.edges[col]] = tuple(
            getattr(rows, name)[place]
            for name in (
                "sends", "failed", "unanswered", "log2_latency_sum", "latency_count",
                "log2_size_sum",
            )
        )  # fmt: skip
    for row, col, count in zip(rows.move_row, rows.move_col, rows.move_count, strict=True):
        found[tasks[row]][1][rows.moves[col]] = count
    return found


def folded(parts, *, seq=0) -> InteractionWindows:
    graph = InteractionWindows()
    for place, part in enumerate(parts):
        graph.fold(batch_of(*part, first_seq=seq, shift=place), now_s=0)
        seq += len(part)
    return graph


@given(many_records)
def test_rows_agree_with_a_graph_that_is_touched_for_each_record(happened):
    assert content(folded([happened]).task_rows()) == Reference(happened).content()


@given(st.lists(many_records, max_size=5), st.randoms(use_true_random=False))
def test_any_split_and_order_gives_the_same(parts, random):
    whole = [record for part in parts for record in part]
    batches = list(enumerate(parts))
    random.shuffle(batches)
    graph, other = InteractionWindows(), InteractionWindows()
    for place, part in batches:
        into = random.choice([graph, other])
        into.fold(batch_of(*part, first_seq=100 * place, shift=place), now_s=0)
    graph.merge(other)
    assert content(graph.task_rows()) == Reference(whole).content()


@given(many_records)
def test_a_log_that_is_put_together_early_gives_the_same(happened):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rolewise.graphs.task_table._LOG_ROWS", 1)
        assert content(folded([[r] for r in happened]).task_rows()) == Reference(happened).content()


def by_task(happened, owner) -> list[TaskRows]:
    shares = [[], [], []]
    for record in happened:
        shares[owner[record.task]].append(record)
    return [folded([share]).task_rows() for share in shares]


@given(
    many_records,
    st.fixed_dictionaries({task: st.integers(0, 2) for task in (3, 5, 2**64 - 1)}),
    st.permutations(range(3)),
)
def test_rows_of_collectors_merge_in_any_order_and_grouping(happened, owner, order):
    one, two, three = (by_task(happened, owner)[place] for place in order)
    expected = Reference(happened).content()
    assert content(merge(merge(one, two), three)) == expected
    assert content(merge(one, merge(two, three))) == expected


def test_rows_of_one_task_in_two_batches_add_up():
    ask = Record(src="negotiator@v1", task=3, inv=7, awaited=True)
    answer = Record(ev=Happening.REPLIED, src="negotiator@v1", task=3, awaited=True, dur=2**20)
    other = Record(src="supplier@v1", dst="negotiator@v1", task=3, inv=8)
    apart = merge(folded([[ask, ask]]).task_rows(), folded([[answer, other]]).task_rows())
    assert apart.messages.tolist() == [3]
    assert apart.roles.tolist() == [2]
    assert apart.fan_out.tolist() == [2]
    assert dict(zip([apart.edges[c] for c in apart.edge_col], apart.sends, strict=True)) == {
        ("negotiator", "supplier", "rfq"): 2,
        ("supplier", "negotiator", "rfq"): 1,
    }


def test_columns_and_triplets_have_their_declared_types_and_order():
    rows = folded([[Record(task=9), Record(task=3, src="negotiator@v1")]]).task_rows()
    assert rows.task.tolist() == [3, 9]
    assert rows.edges == (("", "supplier", "rfq"), ("negotiator", "supplier", "rfq"))
    assert (rows.edge_row.tolist(), rows.edge_col.tolist()) == ([0, 1], [1, 0])
    kinds = {
        name: getattr(rows, name).dtype
        for name in ("task", "edge_row", "sends", "messages", "partial")
    }
    assert kinds == {
        "task": np.uint64, "edge_row": np.int32, "sends": np.float64, "messages": np.float64,
        "partial": np.bool_,
    }  # fmt: skip


class TestLostTelemetry:
    def graph(self, *seqs, tasks) -> InteractionWindows:
        graph = InteractionWindows()
        for seq, task in zip(seqs, tasks, strict=True):
            graph.fold(batch_of(*[Record(task=task)] * 10, first_seq=seq), now_s=float(seq))
        return graph

    def partial(self, graph: InteractionWindows) -> set[int]:
        rows = graph.task_rows()
        return set(rows.task[rows.partial].tolist())

    def test_tasks_on_both_sides_of_a_gap_are_partial(self):
        graph = self.graph(0, 10, 30, 40, tasks=(1, 2, 3, 4))
        assert self.partial(graph) == {2, 3}
        (loss,) = graph.losses().values()
        assert (loss.lost, loss.seen, loss.share) == (10, 40, 0.2)

    def test_a_late_batch_makes_them_whole_again(self):
        graph = self.graph(0, 20, 10, tasks=(1, 3, 2))
        assert self.partial(graph) == set()
        assert graph.lost == 0

    @given(st.permutations([(0, 1), (10, 2), (30, 3), (40, 4), (60, 5)]), st.integers(0, 5))
    def test_neither_order_nor_collector_matters(self, batches, cut):
        parts = (batches[:cut], batches[cut:])
        graphs = [
            self.graph(*(seq for seq, _ in part), tasks=[task for _, task in part])
            for part in parts
        ]
        graphs[0].merge(graphs[1])
        assert self.partial(graphs[0]) == {2, 3, 4, 5}
        assert graphs[0].lost == 20

    def test_losses_by_window_count_where_the_gap_showed(self):
        graph = self.graph(0, 10, 30, 40, tasks=(1, 2, 3, 4))
        (recent,) = graph.losses(last_s=5, now_s=49).values()
        assert (recent.lost, recent.seen) == (0, 10)
        (both,) = graph.losses(last_s=15, now_s=49).values()
        assert (both.lost, both.seen) == (10, 20)

    def test_a_part_for_another_collector_is_no_gap(self):
        graph = InteractionWindows()
        for seq, count in ((0, 4), (10, 0), (20, 7)):
            batch = batch_of(*[Record(task=1)] * count, first_seq=seq)
            whole = type(batch)(
                source=batch.source, first_seq=seq, end_seq=seq + 10, records=batch.records,
                nodes=batch.nodes, kinds=batch.kinds,
            )  # fmt: skip
            assert graph.fold(whole, now_s=0)
            assert not graph.fold(whole, now_s=0)
        assert (graph.lost, self.partial(graph)) == (0, set())

    def test_what_is_forgotten_stays_counted(self):
        graph = self.graph(0, 20, tasks=(1, 2))
        for step in range(1100):
            graph.fold(batch_of(Record(task=7), first_seq=30 + step), now_s=0)
        (loss,) = graph.losses().values()
        assert (loss.lost, loss.seen) == (10, 1120)
        assert self.partial(graph) == {1, 2}


def test_the_graph_says_how_many_tasks_used_an_edge():
    graph = InteractionWindows()
    for seq, (task, node, now_s) in enumerate(
        [(1, "negotiator@v1", 0), (2, "negotiator@v1", 50), (2, "negotiator@v2", 50)]
    ):
        graph.fold(batch_of(Record(src=node, task=task), first_seq=seq), now_s=now_s)
    versions = graph.for_graph().to_networkx()
    assert versions["negotiator@v1"]["supplier@v1"]["rfq", Arm.NONE]["tasks"] == 2
    assert versions["negotiator@v2"]["supplier@v1"]["rfq", Arm.NONE]["tasks"] == 1
    roles = graph.to_networkx(view="role")
    assert roles["negotiator"]["supplier"]["rfq", Arm.NONE]["tasks"] == 2
    recent = graph.to_networkx(view="role", last_s=5)
    assert recent["negotiator"]["supplier"]["rfq", Arm.NONE]["tasks"] == 1


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=60))
def test_grouping_numbers_equal_keys_alike(keys):
    array = np.array(keys, np.uint64)
    first, groups = group(array)
    assert array[first][groups].tolist() == keys
    assert sorted(array[first].tolist()) == sorted(set(keys))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=30), st.booleans())
def test_grouping_few_possible_keys_or_runs_of_them_gives_the_same(runs, is_bounded):
    keys = [key for key, length in runs for _ in range(length)]
    array = np.array(keys, np.int64)
    first, groups = group(array, below=10 if is_bounded else None)
    assert array[first][groups].tolist() == keys
    assert sorted(array[first].tolist()) == sorted(set(keys))
