"""Deadlocks through locks, and through slots of several replicas; and what only looks like them."""

import pytest

from tests.unit.graphs.waits import both, found_in, lock, queued, replica, running


class TestLocks:
    """Two invocations of one replica that take two locks."""

    def opposite(self, **more):
        return replica(
            "a@v1#1",
            running(1, locks=(21,), task="t-1"),
            running(2, locks=(20,), task="t-2"),
            lock(20, 1, name="stock", **more),
            lock(21, 2, name="till", **more),
            slots=2,
        )

    def test_in_opposite_order_is_a_hard_deadlock(self):
        deadlock = both([self.opposite()])
        assert deadlock is not None
        assert (deadlock.kind, deadlock.core) == ("hard", (1, 2))
        assert deadlock.sentence == (
            "task t-1: a@v1#1 has waited 2.4 s for lock till of a@v1#1 (held by t-2); "
            "task t-2 in a@v1#1 waits for lock stock of a@v1#1 (held by t-1)"
        )
        assert [(wait.id, wait.waits_for) for wait in deadlock.cycle] == [(1, 2), (2, 1)]

    def test_a_lock_that_changed_hands_between_the_rounds_is_not_confirmed(self):
        assert found_in([self.opposite(epoch=1)], [self.opposite(epoch=2)]) is None

    @pytest.mark.parametrize(
        "entries",
        [
            pytest.param([running(1, locks=(20,)), lock(20, 9)], id="holder not seen"),
            pytest.param([running(1, locks=(20,)), lock(20)], id="free"),
            pytest.param([running(1, locks=(20,))], id="lock not seen"),
            pytest.param([running(1, locks=(20,)), running(2), lock(20, 2)], id="long hold"),
            pytest.param(
                [running(1, locks=(20,)), lock(20, 1, mode="semaphore", permits=2)],
                id="a permit is free",
            ),
            pytest.param(
                [running(1, locks=(20,)), running(2), lock(20, 1, 2, mode="semaphore", permits=2)],
                id="one of two permits comes back",
            ),
        ],
    )
    def test_look_alikes(self, entries):
        assert both([replica("a@v1#1", *entries, slots=4)]) is None

    def test_a_shared_lock_needs_all_readers_to_let_go(self):
        reader, writer = running(2), running(1, locks=(20,))
        stuck = running(3, locks=(21,))
        waits = [writer, reader, stuck, lock(20, 2, 3, mode="shared"), lock(21, 1)]
        assert both([replica("a@v1#1", *waits, slots=4)]) is not None
        waits[3] = lock(20, 2, 3, mode="semaphore", permits=2)
        assert both([replica("a@v1#1", *waits, slots=4)]) is None

    def test_a_lock_and_a_message_may_have_one_id(self):
        waits = [running(1, 2, locks=(2,)), running(2), lock(2, 1)]
        deadlock = both([replica("a@v1#1", *waits, slots=4)])
        assert deadlock is not None
        assert deadlock.core == (1,)


class TestSharedPools:
    """A message that a router may still give to one of several replicas."""

    def fleet(self, *other, pool=("b@v1#1", "b@v1#2"), **more):
        return [
            replica("a@v1#1", running(1, 3), slots=1),
            replica("b@v1#1", running(2, 1), queued(3, 1, pool=pool), slots=1),
            replica("b@v1#2", *other, slots=1, **more),
        ]

    def test_another_replica_with_a_free_slot_is_a_way_out(self):
        assert both(self.fleet()) is None

    def test_bound_to_the_stuck_one_it_is_stuck(self):
        deadlock = both(self.fleet(pool=()))
        assert deadlock is not None
        assert deadlock.core == (1, 2, 3)

    def test_another_that_is_busy_but_moves_is_a_way_out(self):
        assert both(self.fleet(running(9, task="t-2"))) is None

    def test_all_of_them_stuck_is_a_deadlock(self):
        deadlock = both(self.fleet(running(9, 1, task="t-2")))
        assert deadlock is not None
        assert deadlock.core == (1, 2, 3, 9)
        slot = "a slot of b@v1#1 or b@v1#2 (2 of 2 held by tasks t-2, t-81)"
        assert slot in deadlock.cycle[1].in_words or slot in deadlock.sentence

    def test_one_that_did_not_answer_may_have_room(self):
        assert both(self.fleet(running(9, 1))[:2]) is None

    def test_when_the_routes_changed_the_pool_may_have(self):
        stuck = running(9, 1, task="t-2")
        first, second = self.fleet(stuck, table=1), self.fleet(stuck, table=2)
        assert found_in(first, second) is None
