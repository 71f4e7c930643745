"""Events of tasks: each once, in the order of arrival, however and whenever one asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.fleet.recording.loop_events import LoopEvents
from rolewise.fleet.recording.notes import NOTE_DTYPE
from rolewise.graphs.interactions import Happening
from rolewise.graphs.loop_batch import Step
from tests.unit.graphs.builders import NODES, Record, batch_of

NO_NOTES = np.zeros(0, NOTE_DTYPE)
STEPS = {
    Happening.SENT: Step.SENT,
    Happening.REPLIED: Step.REPLIED,
    Happening.FAILED: Step.FAILED,
    Happening.TIMED_OUT: Step.FAILED,
}
ENDS = {Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT, Happening.CANCELLED}

records = st.builds(
    Record,
    ev=st.sampled_from(Happening),
    src=st.sampled_from(NODES),
    task=st.integers(1, 5),
    size=st.integers(0, 2**31),
    mirrored=st.booleans(),
)
# A delivery; or somebody asks for tasks, and drops what was said of some.
moves = st.lists(
    st.one_of(
        st.lists(records, max_size=12),
        st.tuples(st.sets(st.integers(1, 7)), st.sets(st.integers(1, 7))),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(moves)
def test_each_event_is_told_in_the_order_of_arrival_until_it_is_forgotten(happened):
    store = LoopEvents()
    expected: dict[int, list[tuple[int, int]]] = {task: [] for task in range(1, 8)}
    for place, move in enumerate(happened):
        if isinstance(move, list):
            batch = batch_of(*move, first_seq=place, shift=place)
            store.take(batch, NO_NOTES, now_s=1.0)
            # The end of a task comes behind all else of its delivery.
            for r in move:
                if r.ev in STEPS and not r.mirrored:
                    expected[r.task].append((STEPS[r.ev], r.size))
            for r in move:
                if r.ev in ENDS and r.src == "" and not r.mirrored:
                    expected[r.task].append((Step.ENDED, r.size))
            continue
        asked, dropped = sorted(move[0]), sorted(move[0] & move[1])
        events, owner = store.of(asked)
        told = {key: [] for key in asked}
        for event, place_of in zip(events.tolist(), owner.tolist(), strict=True):
            assert event[0] == asked[place_of]
            told[asked[place_of]].append((event[7], event[3]))
        assert told == {key: expected[key] for key in asked}
        store.forget(dropped)
        for key in dropped:
            expected[key].clear()


def test_the_oldest_are_forgotten_when_nobody_asks():
    store = LoopEvents(records_kept=10)
    for number in range(20):
        store.take(batch_of(Record(task=number), Record(task=99)), NO_NOTES, now_s=0.0)

    events, owner = store.of([3, 18, 99])

    assert np.bincount(owner, minlength=3).tolist() == [0, 1, 5]
    assert len(events) == 6


def test_the_oldest_are_forgotten_when_everybody_asks():
    store = LoopEvents(records_kept=32)
    for number in range(200):
        store.take(batch_of(Record(task=number)), NO_NOTES, now_s=0.0)
        assert len(store.of([number])[0]) == 1

    assert len(store.of(list(range(200)))[0]) <= 128
    assert len(store.of([0])[0]) == 0


def test_of_a_task_without_end_no_more_than_its_end_is_kept():
    store = LoopEvents()
    end = Record(task=1, ev=Happening.REPLIED, src="")
    store.take(batch_of(Record(task=1), Record(task=2), end), NO_NOTES, now_s=0.0)

    events, owner = store.of([1, 2], closed={1})

    assert events["step"].tolist() == [Step.ENDED, Step.SENT]
    assert owner.tolist() == [0, 1]


@pytest.mark.parametrize("ahead_s", [0, 300])
def test_no_event_is_later_than_it_arrived(ahead_s):
    store = LoopEvents()
    sent = Record(task=1, t=(5 + ahead_s) * 10**9)
    store.take(batch_of(sent), NO_NOTES, now_s=6.0)

    assert store.of([1])[0]["at"].tolist() == [min(5 + ahead_s, 6) * 10**9]
