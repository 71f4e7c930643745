"""Seconds are counted as a loop over the records would, however they are delivered."""

from __future__ import annotations

from collections import Counter
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs.interactions import Arm, Happening
from rolewise.graphs.pulse import HEAVY, LAG_S, OPEN_S, Beat, EdgeArm, Pulse, merge_beats
from tests.unit.graphs.builders import Record, batch_of

NANO = 1_000_000_000
RFQ = EdgeArm(("negotiator", "supplier", "rfq"), Arm.CANARY)


def sent(task: int, t_s: float, **fields) -> Record:
    usual = {"src": "negotiator@v1", "arm": Arm.CANARY}
    return Record(task=task, t=int(t_s * NANO), **(usual | fields))


def read_all(pulse: Pulse, now_s: float) -> list[Beat]:
    return list(pulse.read(now_s=now_s + 10).beats)


records = st.builds(
    sent,
    task=st.integers(1, 2),
    t_s=st.integers(0, 40).map(lambda tenths: 100.05 + tenths / 10),
    ev=st.sampled_from([Happening.SENT, Happening.SENT, Happening.REPLIED]),
    src=st.sampled_from(["", "negotiator@v1", "negotiator@v2"]),
    kind=st.sampled_from(["rfq", "offer"]),
    arm=st.sampled_from(Arm),
    mirrored=st.booleans(),
    attempt=st.integers(0, 2),
)


@given(st.lists(records, min_size=1, max_size=40), st.integers(0, 3), st.integers(0, 40))
def test_a_second_is_what_a_loop_over_its_records_counts(seen, shift, cut):
    """Each task's arm is its own; deliveries come when their newest record happens."""
    seen = sorted(seen, key=lambda one: one.t)
    pulse = Pulse()
    messages, again = Counter(), Counter()
    by_task: dict[tuple, Counter] = {}
    for part in (seen[:cut], seen[cut:]):
        if not part:
            continue
        now_s = part[-1].t / NANO
        pulse.take(batch_of(*part, shift=shift), now_s=now_s)
        for one in part:
            if one.ev is not Happening.SENT or one.mirrored:
                continue
            where = (
                floor(one.t / NANO),
                EdgeArm((one.src.partition("@")[0], "supplier", one.kind), one.arm),
            )
            messages[where] += 1
            again[where] += one.attempt > 0
            by_task.setdefault(where, Counter())[one.task] += 1

    beats = read_all(pulse, 105)
    found = {(beat.at, where): each for beat in beats for where, each in beat.sent.items()}
    assert {where: each.messages for where, each in found.items()} == dict(messages)
    assert {where: each.again for where, each in found.items()} == {w: again[w] for w in messages}
    for where, tasks in by_task.items():
        assert found[where].tasks == len(tasks)
        heavy = {task: count for task, count in tasks.items() if count >= HEAVY}
        assert dict(found[where].heavy) == heavy
    assert [beat.at for beat in beats] == sorted({at for at, _ in messages})


def test_a_second_is_given_out_once_it_has_closed_and_only_once():
    pulse = Pulse()
    pulse.take(batch_of(sent(1, 100.5)), now_s=100.5)

    assert pulse.read(now_s=101 + LAG_S - 0.1).beats == ()
    read = pulse.read(now_s=101 + LAG_S)
    assert [(beat.at, beat.sent[RFQ].messages) for beat in read.beats] == [(100, 1)]
    assert read.until == 101
    assert pulse.read(read.until - 1, now_s=103).beats == ()


def test_what_comes_late_counts_in_the_oldest_second_that_is_open():
    pulse = Pulse()
    assert pulse.read(now_s=103 + LAG_S).until == 103
    pulse.take(batch_of(sent(1, 100.5), sent(1, 104.6)), now_s=104.6)
    assert [beat.at for beat in read_all(pulse, 105)] == [103, 104]

    unread = Pulse()
    unread.take(batch_of(sent(1, 100.5)), now_s=100.5)
    unread.take(batch_of(sent(1, 200.5)), now_s=200.5)
    unread.take(batch_of(sent(1, 100.5), sent(1, 200.6)), now_s=200.6)
    first_open = floor(200.6 - LAG_S) - OPEN_S
    assert [beat.at for beat in read_all(unread, 200)] == [100, first_open, 200]


def test_a_clock_that_is_far_off_changes_nothing():
    ahead, behind = Pulse(), Pulse()
    for pulse, off_s in ((ahead, 300), (behind, -300)):
        pulse.take(batch_of(sent(1, 99.6 + off_s), sent(2, 100.4 + off_s)), now_s=100.5)

    assert read_all(ahead, 100) == read_all(behind, 100)
    assert [beat.at for beat in read_all(ahead, 100)] == [99, 100]


def test_tasks_that_send_much_are_named():
    pulse = Pulse()
    many = [sent(1, 100.0) for _ in range(50)] + [sent(4, 100.0) for _ in range(HEAVY)]
    pulse.take(batch_of(*many, sent(2, 100.1), sent(3, 100.1, kind="offer")), now_s=100.2)

    (beat,) = read_all(pulse, 100)
    assert beat.sent[RFQ].heavy == ((1, 50), (4, HEAVY))
    assert [beat.sent[RFQ].tasks_from(many) for many in (1, 20, 51)] == [{1, 4}, {1}, set()]
    assert beat.sent[RFQ].tasks == 3
    assert beat.tasks == {Arm.CANARY: 4}


def test_the_same_message_once_more_after_it_failed_is_a_retry():
    pulse = Pulse()
    failed = Happening.FAILED
    batch = batch_of(
        sent(1, 100.0),
        sent(1, 100.1, ev=failed),
        sent(1, 100.2),
        sent(2, 100.2),  # another task's
        sent(3, 100.3),  # nobody looked into it
        sent(3, 100.4, ev=failed),
        sent(3, 100.5),
    )
    batch.records["dig"] = [7, 7, 7, 7, 0, 0, 0]
    pulse.take(batch, now_s=100.5)
    later = batch_of(sent(1, 101.0), sent(1, 101.1), first_seq=7)
    later.records["dig"] = [7, 8]
    pulse.take(later, now_s=101.1)

    first, second = read_all(pulse, 101)
    assert (first.sent[RFQ].messages, first.sent[RFQ].again) == (5, 1)
    assert (second.sent[RFQ].messages, second.sent[RFQ].again) == (2, 1)


def test_collectors_add_up_to_what_one_would_have_seen():
    one, first, second = Pulse(), Pulse(), Pulse()
    parts = [[sent(1, 100.0 + k / 10) for k in range(7)], [sent(2, 100.5), sent(2, 101.5)]]
    for pulse, part in zip((first, second), parts, strict=True):
        one.take(batch_of(*part), now_s=part[-1].t / NANO)
        pulse.take(batch_of(*part), now_s=part[-1].t / NANO)

    behind = merge_beats([first.read(now_s=110), second.read(now_s=102.6)])
    assert behind.until == 101
    assert [beat.at for beat in behind.beats] == [100]
    merged = merge_beats([first.read(now_s=110), second.read(now_s=110)])
    assert merged == one.read(now_s=110)
