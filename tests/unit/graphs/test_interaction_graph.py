"""Windows: folding in any order, merging in any order, rates over time, and the networkx view."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs.interaction_graph import InteractionWindows, Usage
from rolewise.graphs.interactions import Arm, Happening
from tests.unit.graphs.builders import Record, batch_of
from tests.unit.graphs.test_edge_table import many_records

arrivals = st.lists(st.tuples(many_records, st.integers(0, 90)), max_size=8)


def windows() -> InteractionWindows:
    return InteractionWindows(window_s=10.0, windows=4)


def folded(deliveries) -> InteractionWindows:
    into = windows()
    for batch, now_s in deliveries:
        into.fold(batch, now_s=now_s)
    return into


def deliveries_of(parts):
    """Name the batches one after the other, as one writer would."""
    seq, deliveries = 0, []
    for place, (part, now_s) in enumerate(parts):
        deliveries.append((batch_of(*part, first_seq=seq, shift=place), now_s))
        seq += len(part)
    return deliveries


def content(graph: InteractionWindows):
    def plain(edges):
        return {
            edge: (
                *(sums.counts.tolist(), sums.size, sums.size_squared, sums.latency.tolist()),
                *(sums.queue.tolist(), sums.latency_ns, sums.queue_ns, sums.last_ns),
            )
            for edge, sums in edges.items()
        }

    spans = (1, 10, 20, 30, 40, 1000)
    return (
        plain(graph.edges()),
        [plain(graph.edges(last_s=span)) for span in spans],
        graph.usage(),
        (graph.records, graph.lost),
        graph.to_networkx().graph,
    )


@given(arrivals, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(parts, random):
    deliveries = deliveries_of(parts)
    expected = content(folded(deliveries))
    random.shuffle(deliveries)
    assert content(folded(deliveries)) == expected


@given(arrivals, st.lists(st.integers(0, 2), min_size=8, max_size=8), st.permutations(range(3)))
def test_collectors_merge_in_any_order_and_grouping(parts, owners, order):
    deliveries = deliveries_of(parts)
    shares = [[], [], []]
    for delivery, owner in zip(deliveries, owners, strict=False):
        shares[owner].append(delivery)
    collectors = [folded(share) for share in shares]
    for place, collector in enumerate(collectors):
        collector.note_usage("supplier@v1", output_tokens=place, cost_usd=0.1)
    together = folded(deliveries)
    together.note_usage("supplier@v1", output_tokens=3, cost_usd=0.3)

    left = windows()
    for place in order:
        left.merge(collectors[place])
    pair = pickle.loads(pickle.dumps(collectors[order[1]]))  # noqa: S301
    pair.merge(collectors[order[2]])
    right = windows()
    right.merge(collectors[order[0]])
    right.merge(pair)
    assert content(left) == content(right) == content(together)


@given(arrivals)
def test_a_batch_that_comes_twice_counts_once(parts):
    once, twice = windows(), windows()
    for batch, now_s in deliveries_of(parts):
        assert once.fold(batch, now_s=now_s)
        twice.fold(batch, now_s=now_s)
    before = content(once)
    for batch, now_s in deliveries_of(parts):
        if len(batch.records):
            assert not twice.fold(batch, now_s=now_s)
    assert content(twice) == before


def test_a_refused_batch_changes_nothing():
    graph = windows()
    good, bad = batch_of(Record()), batch_of(Record())
    bad.records["ev"] = 9
    with pytest.raises(ValueError, match="unknown happening"):
        graph.fold(bad, now_s=0)
    assert (graph.records, graph.edges()) == (0, {})
    assert graph.fold(good, now_s=0)


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not merge"):
        windows().merge(InteractionWindows())
    with pytest.raises(ValueError, match="must be positive"):
        InteractionWindows(window_s=0)


class TestLoss:
    def test_a_gap_between_batches_counts_until_it_is_filled(self):
        graph = windows()
        first, second, third = (batch_of(Record(), Record(), first_seq=seq) for seq in (10, 12, 14))
        graph.fold(first, now_s=0)
        graph.fold(third, now_s=0)
        assert graph.lost == 2
        graph.fold(second, now_s=0)
        assert graph.lost == 0

    def test_what_the_writer_dropped_is_not_counted_twice(self):
        graph = windows()
        graph.fold(batch_of(Record(), first_seq=0), now_s=0)
        graph.fold(batch_of(Record(), first_seq=4, lost=3), now_s=0)
        assert graph.lost == 3

    def test_an_empty_batch_tells_what_was_dropped_and_takes_no_name(self):
        graph = windows()
        assert graph.fold(batch_of(first_seq=5, lost=2), now_s=0)
        assert graph.fold(batch_of(Record(), first_seq=5, lost=2), now_s=0)
        assert (graph.records, graph.lost) == (1, 2)

    def test_sequence_numbers_may_wrap_inside_a_batch(self):
        graph = windows()
        graph.fold(batch_of(Record(), Record(), Record(), first_seq=2**32 - 2), now_s=0)
        graph.fold(batch_of(Record(), first_seq=2**32 + 1), now_s=0)
        assert graph.lost == 0

    @given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.sets(st.integers(0, 3)))
    def test_collectors_that_share_batches_know_together_what_is_missing(self, shards, dropped):
        collectors = [windows() for _ in range(3)]
        for step in range(4):
            whole = batch_of(*[Record()] * len(shards), first_seq=1000 + step * len(shards))
            if step in dropped:
                continue
            for place, collector in enumerate(collectors):
                part = whole.records[np.array(shards) == place]
                collector.fold(replace(whole, records=part), now_s=0)
        merged = windows()
        for collector in collectors:
            merged.merge(collector)
        arrived = [step for step in range(4) if step not in dropped]
        between = range(min(arrived, default=0), max(arrived, default=0))
        assert merged.lost == len(shards) * len(dropped.intersection(between))

    def test_a_batch_older_than_all_that_are_remembered_is_not_counted_again(self):
        graph = windows()
        first = batch_of(Record(), first_seq=0)
        graph.fold(first, now_s=0)
        for seq in range(1, 1100):
            graph.fold(batch_of(Record(), first_seq=seq), now_s=0)
        assert not graph.fold(first, now_s=0)
        assert (graph.records, graph.lost) == (1100, 0)


class TestTime:
    def test_old_windows_leave_the_ring_and_stay_in_the_total(self):
        graph = windows()
        for step in range(10):
            graph.fold(batch_of(Record(), first_seq=step), now_s=10.0 * step)
        counts = [sums.counts[0] for sums in graph.edges(last_s=1000).values()]
        assert counts == [4]
        assert [sums.counts[0] for sums in graph.edges().values()] == [10]

    def test_a_silent_fleet_has_no_recent_edges(self):
        graph = windows()
        graph.fold(batch_of(Record()), now_s=5)
        assert graph.edges(last_s=10)
        assert not graph.edges(last_s=10, now_s=100)

    @pytest.mark.parametrize(
        ("last_s", "now_s", "rate"),
        [
            (None, 40, 8 / 40),
            (1000, 40, 8 / 40),
            (10, 40, 2 / 10),
            (10, 45, 2 / 15),  # the window from 30 is shown whole
            (None, 30, 8 / 30),
            (1, 30, 4 / 10),  # two windows overlap the second that ends at 30
        ],
    )
    def test_rates_are_over_the_windows_shown(self, last_s, now_s, rate):
        graph = windows()
        for step, arrival_s in enumerate((0, 10, 20, 30)):
            graph.fold(batch_of(Record(), Record(), first_seq=2 * step), now_s=arrival_s)
        shown = graph.to_networkx(last_s=last_s, now_s=now_s)
        ((_, _, edge),) = shown.edges(data=True)
        assert edge["rate"] == pytest.approx(rate)


class TestNetworkx:
    def graph(self) -> InteractionWindows:
        def ask(src, dst, arm, ms):
            return [
                Record(src=src, dst=dst, arm=arm, size=100, t=7_000_000_000),
                Record(ev=Happening.STARTED, src=src, dst=dst, arm=arm, dur=4_000_000),
                Record(
                    ev=Happening.REPLIED,
                    src=src,
                    dst=dst,
                    arm=arm,
                    dur=ms * 1_000_000,
                    awaited=True,
                ),
            ]

        graph = InteractionWindows()
        graph.fold(
            batch_of(
                Record(dst="negotiator@v1"),
                Record(ev=Happening.STARTED, dst="negotiator@v1"),
                *ask("negotiator@v1", "supplier@v1", Arm.BASELINE, 10),
                *ask("negotiator@v2", "supplier@v1", Arm.CANARY, 40),
                Record(ev=Happening.TIMED_OUT, src="negotiator@v2", arm=Arm.CANARY),
                Record(ev=Happening.FAILED, src="negotiator@v2", arm=Arm.CANARY, aux="offer"),
                Record(src="negotiator@v2", arm=Arm.CANARY, mirrored=True),
            ),
            now_s=3,
        )
        graph.note_usage("negotiator@v1", input_tokens=10, output_tokens=1, cost_usd=0.001)
        graph.note_usage("negotiator@v2", input_tokens=20, tool_calls=3, tool_errors=1)
        return graph

    def test_version_view(self):
        shown = self.graph().to_networkx()
        assert set(shown) == {"", "negotiator@v1", "negotiator@v2", "supplier@v1"}
        assert shown.nodes["supplier@v1"]["started"] == 2
        assert [name for name, node in shown.nodes(data=True) if node["entry"]] == ["negotiator@v1"]
        assert shown.nodes["negotiator@v2"]["tool_errors"] == 1
        supplier = shown.nodes["supplier@v1"]
        assert supplier["busy_s"] == pytest.approx(0.050 - 2 * 0.004)
        assert supplier["queue_ms_p50"] == supplier["queue_ms_p99"] == pytest.approx(4, rel=0.1)
        assert supplier["queue_buckets"] == "7:2"
        edge = shown["negotiator@v2"]["supplier@v1"]["rfq", Arm.CANARY]
        assert edge == {
            "kind": "rfq", "arm": "canary", "n": 1, "started": 1, "replied": 1, "failed": 1,
            "timed_out": 1, "cancelled": 0, "dropped": 0, "failures": 2, "rate": 0.1,
            "bytes": 100, "bytes_sq": 10_000.0, "bytes_mean": 100.0, "bytes_sd": 0.0,
            "latency_ms_sum": 40.0, "first_seen_s": 0.0, "last_seen_s": 7.0, "max_hop": 0,
            "tasks": 1, "unanswered": -1, "error_unknown": 1, "error_offer": 1,
            "latency_buckets": "21:1",
            "latency_ms_p50": pytest.approx(40, rel=0.1),
            "latency_ms_p95": pytest.approx(40, rel=0.1),
            "latency_ms_p99": pytest.approx(40, rel=0.1),
        }  # fmt: skip

    def test_role_view_counts_versions_together_and_keeps_arms_apart(self):
        shown = self.graph().to_networkx(view="role")
        assert set(shown) == {"", "negotiator", "supplier"}
        assert set(shown["negotiator"]["supplier"]) == {
            ("rfq", Arm.BASELINE),
            ("rfq", Arm.CANARY),
        }
        negotiator = shown.nodes["negotiator"]
        assert (negotiator["tokens"], negotiator["cost_usd"]) == (31, 0.001)

    def test_requests_without_an_end_are_in_flight_at_whoever_was_asked(self):
        graph = InteractionWindows()
        sent = [Record(awaited=True, arm=arm) for arm in (Arm.BASELINE, Arm.CANARY, Arm.CANARY)]
        ended = Record(ev=Happening.REPLIED, awaited=True, arm=Arm.CANARY)
        graph.fold(batch_of(*sent, ended, Record()), now_s=3)
        assert graph.to_networkx().nodes["supplier@v1"]["in_flight"] == 2

    def test_edges_say_the_schema_that_their_sender_declares(self):
        speaks = {"negotiator@v1": ("rfq@1",), "negotiator@v2": ("rfq@2", "offer@1")}
        versions = self.graph().to_networkx(speaks=speaks)
        assert versions["negotiator@v1"]["supplier@v1"]["rfq", Arm.BASELINE]["schema"] == "rfq@1"
        assert versions["negotiator@v2"]["supplier@v1"]["rfq", Arm.CANARY]["schema"] == "rfq@2"
        assert "schema" not in versions[""]["negotiator@v1"]["rfq", Arm.NONE]
        roles = self.graph().to_networkx(view="role", speaks=speaks)
        assert roles["negotiator"]["supplier"]["rfq", Arm.CANARY]["schema"] == "rfq@1, rfq@2"

    def test_mirrored_messages_are_a_graph_of_their_own(self):
        live, mirrored = (self.graph().to_networkx(mirrored=flag) for flag in (False, True))
        assert live["negotiator@v2"]["supplier@v1"]["rfq", Arm.CANARY]["n"] == 1
        assert mirrored.number_of_edges() == 1

    def test_usage_adds_up(self):
        assert self.graph().usage()["negotiator@v1"] == Usage(
            input_tokens=10, output_tokens=1, cost_nano_usd=1_000_000
        )
