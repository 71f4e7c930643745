"""Columnar sums agree with counting record by record, in any split and both ways of counting."""

import pickle
from collections import Counter, defaultdict
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs import grouping
from rolewise.graphs.edge_table import LATENCY_BUCKETS, Edge, EdgeTable, latency_bucket, tally
from rolewise.graphs.interactions import Arm, Batch, Happening
from tests.unit.graphs.builders import KINDS, NODES, Record, batch_of

records = st.builds(
    Record,
    ev=st.sampled_from(Happening),
    src=st.sampled_from(NODES),
    dst=st.sampled_from(NODES),
    kind=st.sampled_from(KINDS),
    arm=st.sampled_from(Arm),
    mirrored=st.booleans(),
    size=st.integers(0, 2**32 - 1),
    dur=st.integers(0, 2**42),
    t=st.integers(-(2**40), 2**62),
    task=st.integers(0, 4),
    hop=st.integers(0, 255),
    aux=st.sampled_from(KINDS),
    awaited=st.booleans(),
)
ENDS = {Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT, Happening.CANCELLED}
many_records = st.lists(records, max_size=40)


def reference(happened: list[Record]) -> dict[Edge, tuple]:
    """Count record by record, in plain Python."""
    counts: dict[Edge, list[int]] = defaultdict(lambda: [0] * 7)
    size: dict[Edge, list[int]] = defaultdict(lambda: [0, 0])
    latency: dict[Edge, list[int]] = defaultdict(lambda: [0] * LATENCY_BUCKETS)
    queue: dict[Edge, list[int]] = defaultdict(lambda: [0] * LATENCY_BUCKETS)
    times: dict[Edge, list[int]] = defaultdict(lambda: [0, 0])
    span: dict[Edge, tuple[int, int]] = {}
    hop: dict[Edge, int] = defaultdict(int)
    unanswered: dict[Edge, int] = defaultdict(int)
    errors: dict[Edge, Counter] = defaultdict(Counter)
    for record in happened:
        edge = Edge(record.src, record.dst, record.kind, record.arm, record.mirrored)
        counts[edge][record.ev] += 1
        first, last = span.get(edge, (record.t, record.t))
        span[edge] = min(first, record.t), max(last, record.t)
        hop[edge] = max(hop[edge], record.hop)
        if record.awaited and record.ev is Happening.SENT:
            unanswered[edge] += 1
        if record.awaited and record.ev in ENDS:
            unanswered[edge] -= 1
        if record.ev in {Happening.FAILED, Happening.TIMED_OUT}:
            errors[edge][record.aux] += 1
        if record.ev is Happening.SENT:
            size[edge][0] += record.size
            size[edge][1] += record.size**2
        if record.ev is Happening.REPLIED:
            latency[edge][exact_bucket(record.dur)] += 1
            times[edge][0] += record.dur
        if record.ev is Happening.STARTED:
            queue[edge][exact_bucket(record.dur)] += 1
            times[edge][1] += record.dur
    return {
        edge: (
            counts[edge], size[edge], latency[edge], queue[edge], times[edge], span[edge],
            hop[edge], unanswered[edge], errors[edge],
        )
        for edge in counts
    }  # fmt: skip


def exact_bucket(dur: int) -> int:
    """Find the bucket in whole numbers: b holds 2^((80+b)/4) <= dur < 2^((81+b)/4)."""
    return next((b for b in range(79) if dur**4 < 2 ** (81 + b)), 79)


def content(table: EdgeTable) -> dict[Edge, tuple]:
    return {
        edge: (
            sums.counts.tolist(), [sums.size, sums.size_squared], sums.latency.tolist(),
            sums.queue.tolist(), [sums.latency_ns, sums.queue_ns],
            (sums.first_ns, sums.last_ns), sums.max_hop, sums.unanswered, sums.errors,
        )
        for edge in table
        for sums in [table.sums(edge)]
    }  # fmt: skip


@given(many_records, st.integers(0, 3))
def test_tally_counts_like_the_reference(happened, shift):
    assert content(tally(batch_of(*happened, shift=shift))) == reference(happened)


@given(many_records, st.sampled_from([0, 1 << 20]))
def test_both_ways_of_numbering_edges_give_the_same_table(happened, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_FEW", few)
        assert content(tally(batch_of(*happened))) == reference(happened)


@given(st.lists(many_records, max_size=5))
def test_tables_add_up_whatever_the_split(parts):
    table = EdgeTable()
    for shift, part in enumerate(parts):
        table.add(tally(batch_of(*part, shift=shift)))
    assert content(table) == reference([record for part in parts for record in part])


@given(many_records)
def test_a_table_pickles(happened):
    table = EdgeTable()
    table.add(tally(batch_of(*happened)))
    copy = pickle.loads(pickle.dumps(table))  # noqa: S301
    assert content(copy) == content(table)
    copy.add(table)
    assert content(copy) == reference(happened * 2)


def test_buckets_meet_at_their_edges():
    for bucket in range(1, LATENCY_BUCKETS):
        first = isqrt(isqrt(2 ** (80 + bucket) - 1)) + 1  # least n with n^4 >= 2^(80 + bucket)
        around = latency_bucket(np.array([first - 1, first], np.uint64))
        assert around.tolist() == [bucket - 1, bucket]


@pytest.mark.parametrize(
    ("durations_ms", "quantile", "expected_ms"),
    [([100], 0.5, 100), ([10] * 99 + [1000], 0.5, 10), ([10] * 98 + [1000] * 2, 0.99, 1000)],
)
def test_quantiles_are_within_nine_percent(durations_ms, quantile, expected_ms):
    replies = [Record(ev=Happening.REPLIED, dur=ms * 1_000_000) for ms in durations_ms]
    table = tally(batch_of(*replies))
    (edge,) = table
    assert table.sums(edge).latency_ms(quantile) == pytest.approx(expected_ms, rel=0.1)


def test_no_reply_no_quantile():
    table = tally(batch_of(Record()))
    (edge,) = table
    assert table.sums(edge).latency_ms(0.5) is None


def test_a_number_without_a_name_is_refused():
    batch = batch_of(Record())
    nameless = Batch(source=batch.source, first_seq=0, records=batch.records, nodes={1: ""})
    with pytest.raises(ValueError, match="node 4, which its table does not name"):
        tally(nameless)


@pytest.mark.parametrize(("column", "value"), [("ev", 7), ("arm", 3)])
def test_an_unknown_code_is_refused(column, value):
    batch = batch_of(Record())
    batch.records[column] = value
    with pytest.raises(ValueError, match="unknown happening or arm"):
        tally(batch)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9))
def test_the_deviation_of_sizes_is_that_of_the_messages(sizes):
    table = tally(batch_of(*(Record(size=size) for size in sizes)))
    (edge,) = table
    assert table.sums(edge).size_deviation == pytest.approx(np.std(sizes), rel=1e-6, abs=1e-3)


def test_time_spent_is_what_replies_took_less_their_time_in_the_queue():
    def sums(*happened):
        table = tally(batch_of(*happened))
        (edge,) = table
        return table.sums(edge)

    replied = [Record(ev=Happening.REPLIED, dur=100), Record(ev=Happening.REPLIED, dur=60)]
    waited = [Record(ev=Happening.STARTED, dur=dur) for dur in (10, 20, 60)]
    assert sums(*replied).busy_ns == 160
    assert sums(*replied, *waited).busy_ns == 160 - 2 * 30, "one of the three is still at work"
    assert sums(*waited).busy_ns == 0
