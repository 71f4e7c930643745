"""What is noted comes out as records: each once, numbered without gaps, and losses counted."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.agents.message import OUTSIDE, Address, Message, Nature
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.notes import Delivery, Noted, split_by_task
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.recording.rows import number_rows
from rolewise.fleet.recording.work import Work
from rolewise.fleet.task import TaskRecord, task_key
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.interactions import Arm, Happening

NEGOTIATOR = Address(role="negotiator", version="v2", replica=3)
SUPPLIER = Address(role="supplier", version="v1", replica=7)
DAY_NS = 1_700_000_000 * 10**9


def message(number=1, *, task=5, sender=NEGOTIATOR, **fields) -> Message:
    return Message(
        id=number,
        sender=sender,
        to="supplier",
        body=None,
        task=f"t{task}",
        task_key=task,
        conversation="",
        **{"nature": Nature.REQUEST, "kind": "rfq", "arm": int(Arm.CANARY), **fields},
    )


def recorder(**options) -> Recorder:
    # This recorder's clock shows seconds since the day began; the time of day is read from DAY_NS.
    return Recorder(
        "negotiator@v2#3.0", "negotiator@v2", now=lambda: 0.0, clock_ns=lambda: DAY_NS, **options
    )


def in_words(delivery: Delivery) -> list[tuple]:
    batch = delivery.batch()
    return [
        (Happening(r["ev"]), int(r["msg"]), (int(r["t"]) - DAY_NS) / 1e9, int(r["dur"]) / 1e9)
        for r in batch.records
    ]


def test_an_ask_is_two_records_of_one_row():
    book = recorder()
    asked = message(9, parent=4, hop=300, attempt=9, awaited=2)
    row = book.happened(Happening.SENT, asked, SUPPLIER, 1.0, received="task")
    assert book.answered(row, Happening.FAILED, 3.5, "ask_failed")
    delivery = book.take()
    assert in_words(delivery) == [(Happening.SENT, 9, 1.0, 0.0), (Happening.FAILED, 9, 3.5, 2.5)]
    assert len(delivery.rows) == 1
    batch = delivery.batch()
    for record, aux in zip(batch.records, ("task", "ask_failed"), strict=True):
        assert (record["inv"], record["task"], record["arm"]) == (4, 5, Arm.CANARY)
        assert (batch.nodes[record["src"]], batch.nodes[record["dst"]]) == (
            "negotiator@v2",
            "supplier@v1",
        )
        assert (record["srep"], record["drep"]) == (3, 7)
        assert (batch.kinds[record["kind"]], batch.kinds[record["aux"]]) == ("rfq", aux)
        assert (record["hop"], record["flags"]) == (255, 2 | 7 << 5)
    assert book.take() is None


def test_the_replica_notes_the_time_in_the_queue():
    book = recorder()
    book.happened(Happening.STARTED, message(sender=OUTSIDE), SUPPLIER, 1.0, 1.25)
    (delivery,) = [book.take()]
    assert in_words(delivery) == [(Happening.STARTED, 1, 1.25, 0.25)]
    (record,) = delivery.batch().records
    assert delivery.nodes[record["src"]] == ""


def test_an_event_is_sent_and_nobody_waits():
    book = recorder()
    book.happened(Happening.SENT, message(nature=Nature.EVENT, awaited=0), SUPPLIER, 1.0)
    (record,) = book.take().batch().records
    assert (record["ev"], record["flags"]) == (Happening.SENT, 4)


def test_an_ask_without_an_answer_shows_as_sent_and_its_end_comes_later():
    book = recorder()
    row = book.happened(Happening.SENT, message(), SUPPLIER, 1.0)
    first = book.take()
    assert in_words(first) == [(Happening.SENT, 1, 1.0, 0.0)]
    assert not book.answered(row, Happening.REPLIED, 2.0)
    book.happened(Happening.REPLIED, message(), SUPPLIER, 1.0, 2.0)
    second = book.take()
    assert in_words(second) == [(Happening.REPLIED, 1, 2.0, 1.0)]
    assert second.first_seq == first.first_seq + 1


def test_a_full_buffer_drops_counts_and_leaves_a_gap():
    book = recorder(capacity=2)
    rows = [book.happened(Happening.SENT, message(n), SUPPLIER, 1.0) for n in range(4)]
    for row in rows[:3]:
        if not book.answered(row, Happening.REPLIED, 2.0):
            book.happened(Happening.REPLIED, message(), SUPPLIER, 1.0, 2.0)
    first = book.take()
    assert (len(first.batch().records), first.lost) == (4, 3)
    # The fourth is answered only now: its end is known, its sending is what was lost.
    assert not book.answered(rows[3], Happening.REPLIED, 2.0)
    book.happened(Happening.REPLIED, message(3), SUPPLIER, 1.0, 2.0)
    second = book.take()
    assert (second.first_seq, second.lost) == (7, 3)
    graph = InteractionWindows()
    for delivery in (second, first):
        graph.fold(delivery.batch(), now_s=0)
    assert (graph.records, graph.lost) == (5, 3)


def test_numbers_wrap_and_no_record_is_taken_for_lost():
    book = recorder()
    for number in range(3):
        row = book.happened(Happening.SENT, message(number), SUPPLIER, 1.0)
        book.answered(row, Happening.REPLIED, 2.0)
    delivery = book.take()
    behind = number_rows(delivery.rows, 2**32 - 3)
    assert behind == 2**32 + 3
    records = replace(delivery, first_seq=2**32 - 3).batch()
    assert records.records["seq"].tolist() == [2**32 - 3, 2**32 - 2, 2**32 - 1, 0, 1, 2]
    graph = InteractionWindows()
    graph.fold(records, now_s=0)
    assert graph.lost == 0


@dataclass
class Expected:
    """Plain bookkeeping beside the recorder's."""

    open: dict[int, int] = field(default_factory=dict)
    happened: list[tuple[Happening, int]] = field(default_factory=list)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 6)),
        st.tuples(st.just("end"), st.integers(0, 30)),
        st.tuples(st.just("start"), st.integers(0, 6)),
        st.tuples(st.just("take"), st.just(0)),
    ),
    max_size=60,
)


@given(steps, st.integers(1, 3))
def test_every_record_comes_out_once_whatever_the_order_and_the_shards(plan, shards):
    book, expected, deliveries = recorder(), Expected(), []
    for number, (step, figure) in enumerate(plan):
        if step == "ask":
            asked = message(number, task=figure)
            expected.open[number] = book.happened(Happening.SENT, asked, SUPPLIER, float(number))
            expected.happened.append((Happening.SENT, number))
        elif step == "end" and expected.open:
            which = sorted(expected.open)[figure % len(expected.open)]
            row, ended = expected.open.pop(which), float(number)
            if not book.answered(row, Happening.REPLIED, ended):
                book.happened(Happening.REPLIED, message(which), SUPPLIER, float(which), ended)
            expected.happened.append((Happening.REPLIED, which))
        elif step == "start":
            book.happened(Happening.STARTED, message(number, task=figure), SUPPLIER, 0.0, 0.5)
            expected.happened.append((Happening.STARTED, number))
        elif step == "take":
            deliveries.append(book.take())
    deliveries = [d for d in (*deliveries, book.take()) if d is not None]

    found = [(h, number) for d in deliveries for h, number, *_ in in_words(d)]
    assert sorted(found) == sorted(expected.happened)
    numbers = np.concatenate([d.batch().records["seq"] for d in deliveries] or [np.zeros(0)])
    assert numbers.tolist() == list(range(len(found)))

    shares = [InteractionWindows() for _ in range(shards)]
    for delivery in deliveries:
        for share, part in zip(shares, split_by_task(delivery, shards), strict=True):
            share.fold(part.batch(), now_s=0)
    assert {share.lost for share in shares} == {0}
    for other in shares[1:]:
        shares[0].merge(other)
    assert (shares[0].records, shares[0].lost) == (len(found), 0)


class TestCollector:
    def delivery(self) -> Delivery:
        book = recorder()
        for number in (1, 2):
            row = book.happened(Happening.SENT, message(number), SUPPLIER, 1.0)
            book.answered(row, Happening.REPLIED, 2.0)
        book.note(Noted.TOOL, 5, "search", ok=False, a=0.1)
        book.note(Noted.USAGE, 5, a=10, b=2, c=0.5)
        book.note(Noted.SCORE, 5, "politeness", a=0.75)
        return book.take()

    def test_a_delivery_that_comes_twice_counts_once(self):
        collector = Collector()
        for _ in range(2):
            collector.take(self.delivery(), now_s=0)
        assert collector.windows.records == 4
        usage = collector.windows.usage()["negotiator@v2"]
        assert (usage.tool_calls, usage.tool_errors, usage.input_tokens) == (1, 1, 10)

    def test_a_task_next_to_a_gap_is_partial(self):
        book, collector = recorder(capacity=1), Collector()
        for number, task in ((1, "before"), (2, "dropped"), (3, "before")):
            asked = message(number, task=task_key(task))
            if number == 3:
                collector.take(book.take(), now_s=0)
            book.happened(Happening.SENT, asked, SUPPLIER, 1.0)
        collector.take(book.take(), now_s=0)
        records = [TaskRecord(task=task, number=1, table=1) for task in ("before", "elsewhere")]
        before, elsewhere = collector.complete(records)
        assert (before.messages, before.partial) == (2, True)
        assert (elsewhere.messages, elsewhere.partial) == (0, False)

    @pytest.mark.parametrize("shards", [1, 2, 3])
    def test_work_is_shared_by_what_began_and_what_was_still_at_it(self, shards):
        begun, waiting = task_key("begun"), task_key("waiting")
        book, collectors = recorder(), [Collector() for _ in range(shards)]
        for work in (
            Work(cpu_s_per_message=0.1, carried=(waiting, begun), memory_bytes=70),
            Work(cpu_s_per_message=2.0, carried=(waiting,), memory_bytes=50),  # no message came
        ):
            if len(work.carried) == 2:
                book.happened(Happening.STARTED, message(1, task=begun), SUPPLIER, 0.0, 0.5)
            delivery = replace(book.take(also_empty=True), work=work)
            for collector, part in zip(collectors, split_by_task(delivery, shards), strict=True):
                collector.take(part, now_s=0)
        for task, cpu_s, memory in (("begun", 0.2, 70), ("waiting", 2.1, 70)):
            record = TaskRecord(task=task, number=1, table=1)
            (record,) = collectors[task_key(task) % shards].complete([record])
            assert record.cpu_s == pytest.approx(cpu_s)
            assert record.memory_bytes == {"negotiator": memory}
        assert {c.lost for c in collectors} == {0}

    @pytest.mark.parametrize("shards", [1, 2, 3])
    def test_notes_go_where_their_task_goes(self, shards):
        parts = split_by_task(self.delivery(), shards)
        assert [len(part.rows) for part in parts] == [
            2 * (shard == 5 % shards) for shard in range(shards)
        ]
        assert len(parts[5 % shards].notes) == 3
