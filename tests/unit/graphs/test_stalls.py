"""What does not move and is no deadlock: each told by its own name, and the look-alikes silent."""

from dataclasses import replace
from itertools import pairwise

import pytest

from rolewise.graphs.snapshot_columns import read_round
from rolewise.graphs.snapshots import Ending
from rolewise.graphs.stalls import (
    BlockedLoop,
    Orphan,
    StallWatch,
    Starvation,
    Unresponsive,
    find_blocked_loops,
    find_orphan_suspects,
    find_orphans,
)
from tests.unit.graphs.waits import both, mutual_ask, queued, replica, running

SUPPLIER = "supplier@v1#2"


def asker(*waits, need=None, since=9.0, **more):
    waits = waits or (2,)
    wait = running(1, *waits, need=need, since=since, sent_to=(SUPPLIER,) * len(waits), **more)
    return replica("negotiator@v1#1", wait, slots=4, incarnation="n.0")


def supplier(*entries, **more):
    return replica(SUPPLIER, *entries, **({"incarnation": "s.0", "up_s": 100.0, "slots": 4} | more))


def orphans(first, second, recent=(), *, grace_s=5.0) -> list[Orphan]:
    rounds = (read_round(one) for one in (first, second, recent))
    return list(find_orphans(*rounds, grace_s=grace_s))


def twice(*fleet, recent=()):
    return orphans(fleet, fleet, recent)


class TestOrphans:
    def test_the_request_was_lost(self):
        fleet = [asker(), supplier()]
        rounds = read_round(fleet), read_round(fleet)
        assert find_orphan_suspects(*rounds) == {SUPPLIER}
        (orphan,) = twice(*fleet, recent=[supplier()])
        assert (orphan.how, orphan.task, orphan.awaited) == ("request_lost", "t-81", 2)
        assert orphan.sentence == (
            "orphan: task t-81: negotiator@v1#1 has waited 9.0 s for the reply of supplier@v1#2, "
            "which never got the request: it was lost"
        )

    @pytest.mark.parametrize("ending", Ending)
    def test_the_reply_was_lost(self, ending):
        (orphan,) = twice(asker(), supplier(), recent=[supplier(recent=((2, ending),))])
        assert orphan.how == "reply_lost"

    @pytest.mark.parametrize(
        "fleet",
        [
            pytest.param([asker()], id="it is gone"),
            pytest.param([asker(), supplier(up_s=3.0, incarnation="s.1")], id="it is back"),
        ],
    )
    def test_the_replica_died(self, fleet):
        (orphan,) = twice(*fleet)
        assert orphan.how == "replica_died"
        assert "which has died since" in orphan.sentence

    def test_it_died_while_it_was_asked_for_what_it_had_finished(self):
        (orphan,) = twice(asker(), supplier(), recent=[supplier(incarnation="s.1", up_s=0.1)])
        assert orphan.how == "replica_died"

    def test_those_behind_are_counted(self):
        behind = replica("orchestrator@v1#3", running(7, 1), running(8, 7), slots=4)
        (orphan,) = twice(asker(), supplier(), behind, recent=[supplier()])
        assert orphan.behind == 2
        assert orphan.sentence.endswith("; 2 more wait behind it")

    def test_no_orphan_is_a_deadlock(self):
        assert both([asker(), supplier()]) is None

    @pytest.mark.parametrize(
        "fleet",
        [
            pytest.param([asker(since=4.0), supplier()], id="still within the grace"),
            pytest.param([asker(), supplier(queued(2, 1))], id="in the queue"),
            pytest.param([asker(), supplier(running(2))], id="in hand"),
            pytest.param([asker(2, 3, need=1), supplier(running(3))], id="one of two will do"),
        ],
    )
    def test_look_alikes(self, fleet):
        assert twice(*fleet, recent=[supplier()]) == []

    def test_a_replica_that_does_not_answer_may_have_it(self):
        rounds = [read_round([asker()], blind=[SUPPLIER])] * 2
        assert find_orphan_suspects(*rounds) == set()
        assert find_orphans(*rounds, read_round([])) == ()

    def test_a_wait_that_began_again_is_young(self):
        assert orphans([asker()], [asker(epoch=2), supplier()], [supplier()]) == []

    def test_a_message_that_was_seen_before_may_have_been_answered_just_now(self):
        done = [supplier(recent=((2, Ending.REPLIED),))]
        assert orphans([asker(), supplier(running(2))], [asker(), supplier()], done) == []

    def test_a_message_that_arrived_late_after_all(self):
        assert twice(asker(), supplier(), recent=[supplier(queued(2, 1))]) == []


class TestBlockedLoop:
    def test_it_is_named_and_no_deadlock(self):
        blocked = [replace(one, loop_lag_s=2.5) for one in mutual_ask()]
        assert both(blocked) is None
        found = find_blocked_loops(read_round(blocked))
        assert found[0] == BlockedLoop(replica="negotiator@v3#1", lag_s=2.5, running=1)
        assert "has not turned for 2.5 s" in found[0].sentence

    def test_a_moment_is_no_block(self):
        assert find_blocked_loops(read_round([replica("a@v1#1", loop_lag_s=1.9)])) == ()


class TestWatch:
    def full(self, *ids, queue=1):
        held = [running(id_, task=f"t-{id_}") for id_ in ids]
        waiting = [queued(100 + i, 0) for i in range(queue)]
        return replica("a@v1#1", *held, *waiting, slots=2)

    def looks(self, *fleets, every_s=10.0, watch=None):
        watch = watch or StallWatch()
        rounds = [read_round(fleet) for fleet in fleets]
        pairs = pairwise(rounds)
        return [watch.look(a, b, every_s * i) for i, (a, b) in enumerate(pairs)]

    def test_the_same_holders_for_long_are_starvation_with_the_leaves_named(self):
        a = replica(
            "a@v1#1",
            running(1, 11, task="t-1"),
            running(2, task="t-2"),
            queued(3, 0),
            queued(4, 0),
            slots=2,
        )
        b = replica("b@v1#2", running(11, task="t-1"), slots=4)
        found = self.looks(*[[a, b]] * 5)
        assert [len(one) for one in found] == [0, 0, 0, 1]
        (starved,) = found[-1]
        assert starved == Starvation(
            replica="a@v1#1", slots=2, queued=2, held_s=30.0, leaves=(("a@v1", 1), ("b@v1", 1))
        )
        assert starved.sentence == (
            "starvation: a@v1#1 is slow but alive: 2 of 2 slots held by the same invocations for "
            "30 s, 2 messages wait; at work for them: 1 in a@v1, 1 in b@v1"
        )

    @pytest.mark.parametrize(
        "fleets",
        [
            pytest.param([[1, 2], [1, 2], [1, 3], [1, 3], [1, 3]], id="a slot changed hands"),
            pytest.param([[1]] * 5, id="a slot is free"),
        ],
    )
    def test_turnover_is_none(self, fleets):
        assert not any(self.looks(*[[self.full(*ids)] for ids in fleets]))

    def test_an_empty_queue_is_none(self):
        assert not any(self.looks(*[[self.full(1, 2, queue=0)]] * 6))

    def test_what_is_usual_for_the_role_is_none(self):
        watch = StallWatch(service_s={"a": 20.0})
        found = self.looks(*[[self.full(1, 2)]] * 8, watch=watch)
        assert [len(one) for one in found] == [0] * 6 + [1]

    def test_a_deadlock_is_not_starvation(self):
        assert not any(self.looks(*[mutual_ask()] * 6))

    def test_silence_three_times_running_is_unresponsive(self):
        watch = StallWatch()
        heard, silent = read_round([]), read_round([], blind=["a@v1#1"])
        told = [watch.look(heard, one, 0.0) for one in (silent, silent, heard, *[silent] * 3)]
        assert [len(one) for one in told] == [0, 0, 0, 0, 0, 1]
        assert told[-1] == (Unresponsive(replica="a@v1#1", rounds=3),)
        assert "has not answered 3 times running" in told[-1][0].sentence
