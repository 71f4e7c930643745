"""Deadlocks by hand: found with their words, confirmed by epochs, and the look-alikes silent."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rolewise.graphs.deadlock import find_deadlock, find_deadlocks
from rolewise.graphs.snapshots import QueuedMessage, ReplicaSnapshot, RunningInvocation


def running(id_, *waits, need=None, task="t-81", epoch=1, deadline=None, since=2.4):
    return RunningInvocation(
        id=id_,
        epoch=epoch,
        task=task,
        state="wait" if waits else "active",
        waits=waits,
        need=len(waits) if need is None else need,
        deadline=deadline,
        since=since,
    )


def queued(id_, caller, *, task="t-81", epoch=1, since=2.0):
    return QueuedMessage(id=id_, epoch=epoch, task=task, caller=caller, since=since)


def replica(name, *entries, slots=1, capacity_epoch=0):
    role, rest = name.split("@")
    return ReplicaSnapshot(
        replica=name,
        role=role,
        version=rest.split("#")[0],
        slots=slots,
        capacity_epoch=capacity_epoch,
        running=tuple(entry for entry in entries if isinstance(entry, RunningInvocation)),
        queue=tuple(entry for entry in entries if isinstance(entry, QueuedMessage)),
    )


def mutual_ask(slots=1, deadline=None):
    """Negotiator asks the supplier, which asks the negotiator back."""
    return [
        replica(
            "negotiator@v3#1", running(1, 2, deadline=deadline), queued(3, caller=2), slots=slots
        ),
        replica("supplier@v3#1", running(2, 3, since=2.1, deadline=deadline)),
    ]


def both(snapshots: Sequence[ReplicaSnapshot]):
    return find_deadlock(snapshots, snapshots)


def test_a_mutual_ask_with_one_slot_is_found_and_told():
    deadlock = both(mutual_ask())
    assert deadlock is not None
    assert deadlock.kind == "hard"
    assert deadlock.core == deadlock.stuck == (1, 2, 3)
    assert deadlock.tasks == ("t-81",)
    assert deadlock.nodes == ("negotiator@v3", "supplier@v3")
    assert (deadlock.victims, deadlock.others, deadlock.age_s) == (0, 0, 2.4)
    assert deadlock.ends_in_s is None
    assert [(wait.id, wait.waits_for) for wait in deadlock.cycle] == [(1, 2), (2, 3), (3, 1)]
    assert [wait.in_words for wait in deadlock.cycle] == [
        "task t-81: negotiator@v3#1 has waited 2.4 s for the reply of supplier@v3#1",
        "task t-81: supplier@v3#1 has waited 2.1 s for the reply of negotiator@v3#1",
        (
            "task t-81: a message has waited 2.0 s for a slot of negotiator@v3#1 "
            "(1 of 1 held by task t-81)"
        ),
    ]
    assert deadlock.sentence == (
        "task t-81: negotiator@v3#1 has waited 2.4 s for the reply of supplier@v3#1, which waits "
        "for a slot of negotiator@v3#1 (1 of 1 held by task t-81)"
    )


def test_the_order_in_which_replicas_answer_does_not_matter():
    assert both(mutual_ask()) == both(mutual_ask()[::-1])


def test_with_a_second_slot_the_same_asks_go_through():
    assert both(mutual_ask(slots=2)) is None


def test_who_computes_is_slow_not_stuck():
    chain = [
        replica("a@v1#1", running(1, 2), queued(9, caller=0)),
        replica("b@v1#1", running(2, 3)),
        replica("c@v1#1", running(3)),
    ]
    assert both(chain) is None


class TestTimeouts:
    def test_waits_that_all_have_deadlines_are_a_soft_deadlock(self):
        deadlock = both(mutual_ask(deadline=17.6))
        assert deadlock is not None
        assert (deadlock.kind, deadlock.ends_in_s) == ("soft", 17.6)
        assert deadlock.sentence.endswith("; the first of these waits times out in 17.6 s")

    def test_one_deadline_in_the_circle_is_enough_to_be_soft(self):
        first, second = mutual_ask()
        timed = replace(second, running=(running(2, 3, deadline=5.0),))
        deadlock = both([first, timed])
        assert deadlock is not None
        assert deadlock.kind == "soft"

    def test_hard_when_a_timeout_frees_only_a_part(self):
        snapshots = [*mutual_ask(), replica("x@v1#1", running(20, 1, deadline=1.0, task="t-9"))]
        deadlock = both(snapshots)
        assert deadlock is not None
        assert (deadlock.kind, deadlock.victims) == ("hard", 1)


class TestOneOfSeveral:
    def test_first_of_two_is_silent_while_one_is_open(self):
        snapshots = [
            replica("a@v1#1", running(1, 2, 4, need=1), queued(3, caller=2)),
            replica("b@v1#1", running(2, 3)),
            replica("c@v1#1", running(4)),
        ]
        assert both(snapshots) is None

    def test_first_of_two_is_stuck_when_both_are(self):
        snapshots = [
            replica("a@v1#1", running(1, 2, 4, need=1), queued(3, caller=2), queued(5, caller=4)),
            replica("b@v1#1", running(2, 3)),
            replica("c@v1#1", running(4, 5)),
        ]
        deadlock = both(snapshots)
        assert deadlock is not None
        assert deadlock.core == (1, 2, 3, 4, 5)
        assert deadlock.cycle[0].in_words.endswith("or of 1 more, which are stuck too")

    def test_all_of_three_does_not_accuse_the_healthy_branches(self):
        snapshots = [
            replica("a@v1#1", running(1, 2, 6, 7), queued(3, caller=2)),
            replica("b@v1#1", running(2, 3)),
            replica("c@v1#1", running(6), running(7), slots=2),
        ]
        deadlock = both(snapshots)
        assert deadlock is not None
        assert deadlock.nodes == ("a@v1", "b@v1")

    def test_a_slot_is_any_slot_of_the_replica(self):
        held, free = running(1, 2), running(9, task="t-2")
        queue, other = queued(3, caller=2), replica("b@v1#1", running(2, 3))
        assert both([replica("a@v1#1", held, free, queue, slots=2), other]) is None
        full = running(9, 2, task="t-2")
        deadlock = both([replica("a@v1#1", held, full, queue, slots=2), other])
        assert deadlock is not None
        assert "(2 of 2 held by tasks t-2, t-81)" in deadlock.sentence


class TestOptimism:
    """What was not seen counts as going on."""

    @pytest.mark.parametrize(
        "snapshots",
        [
            pytest.param([replica("a@v1#1", running(1, 99))], id="request in transit or lost"),
            pytest.param(mutual_ask()[:1], id="a replica that did not answer"),
            pytest.param(
                [replica("a@v1#1", running(1, 1, need=1)), replica("b@v1#1", running(1))],
                id="one id in two places",
            ),
            pytest.param([replica("a@v1#1", queued(1, caller=0), slots=0)], id="no slot yet"),
            pytest.param([], id="no replica"),
        ],
    )
    def test_no_deadlock(self, snapshots):
        assert both(snapshots) is None

    def test_needs_beyond_what_is_awaited_mean_all_of_it(self):
        assert both([replica("a@v1#1", running(1, 2, need=5)), replica("b@v1#1", running(2))]) is (
            None
        )


class TestConfirmation:
    """Only waits with the same epoch in both rounds count."""

    def test_one_round_alone_is_unconfirmed_and_says_so_by_its_call(self):
        assert find_deadlock(mutual_ask(), None) == find_deadlock(None, mutual_ask())
        assert find_deadlock(mutual_ask(), None) is not None
        assert find_deadlock(None, None) is None

    @pytest.mark.parametrize("which", [0, 1], ids=["negotiator", "supplier"])
    def test_a_wait_that_began_again_is_not_confirmed(self, which):
        first, second = mutual_ask(), mutual_ask()
        snapshot = second[which]
        anew = tuple(replace(one, epoch=2) for one in snapshot.running)
        second[which] = replace(snapshot, running=anew)
        assert find_deadlock(first, second) is None
        assert find_deadlock(second, second) is not None

    def test_a_message_queued_again_is_not_confirmed(self):
        first, second = mutual_ask(), mutual_ask()
        second[0] = replace(second[0], queue=(queued(3, caller=2, epoch=2),))
        assert find_deadlock(first, second) is None

    @pytest.mark.parametrize("change", [{"capacity_epoch": 1}, {"slots": 1, "capacity_epoch": 7}])
    def test_slots_that_changed_between_the_rounds_are_not_confirmed(self, change):
        first, second = mutual_ask(), mutual_ask()
        second[0] = replace(second[0], **change)
        assert find_deadlock(first, second) is None

    def test_a_message_that_got_its_slot_between_the_rounds_is_not_confirmed(self):
        first = mutual_ask()
        second = [
            replica("negotiator@v3#1", running(3, 1, epoch=1)),
            replica("supplier@v3#1", running(2, 3), running(1, 2)),
        ]
        assert find_deadlock(first, second) is None

    def test_waits_withdrawn_while_replicas_were_asked_are_a_phantom(self):
        """A gave up (epoch 2) and B then began to wait: the circle never stood at one instant."""
        early_a = replica("a@v1#1", running(1, 2, epoch=1), queued(3, caller=2))
        late_b = replica("b@v1#1", running(2, 3, epoch=5))
        round_one = [early_a, late_b]
        round_two = [replica("a@v1#1", running(1, epoch=2), queued(3, caller=2)), late_b]
        assert find_deadlock(None, round_one) is not None
        assert find_deadlock(round_one, round_two) is None


class TestSeveral:
    def ring(self, names, start, task):
        """Each asks the next and the last asks the first's replica, all with one slot."""
        snapshots = []
        for place, name in enumerate(names):
            entries = [running(start + place, start + place + 1, task=f"{task}{place}")]
            if place == 0:
                entries.append(queued(start + len(names), caller=start + len(names) - 1))
            snapshots.append(replica(name, *entries))
        return snapshots

    def test_a_ring_of_four_is_told_in_order(self):
        deadlock = both(self.ring(["a@v1#1", "b@v1#1", "c@v2#1", "d@v1#1"], 10, "t-"))
        assert deadlock is not None
        assert deadlock.sentence == (
            "task t-0: a@v1#1 has waited 2.4 s for the reply of b@v1#1, which waits for the reply "
            "of c@v2#1, which waits for the reply of d@v1#1, which waits for a slot of a@v1#1 "
            "(1 of 1 held by task t-0)"
        )

    def test_long_rings_are_told_in_short(self):
        names = [f"{letter}@v1#1" for letter in "abcdefghij"]
        deadlock = both(self.ring(names, 10, "t-"))
        assert deadlock is not None
        assert len(deadlock.cycle) == 11
        assert deadlock.sentence.endswith(", and so on for 4 more waits")

    def test_the_core_with_most_tasks_comes_first(self):
        small = self.ring(["a@v1#1", "b@v1#1"], 10, "s-")
        large = self.ring(["x@v1#1", "y@v2#1", "z@v1#1"], 20, "l-")
        found = find_deadlocks(small + large, small + large)
        assert [(one.nodes, one.others) for one in found] == [
            (("x@v1", "y@v2", "z@v1"), 1),
            (("a@v1", "b@v1"), 1),
        ]
        assert both(small + large) == found[0]

    def test_two_slots_that_wait_for_each_others_role(self):
        snapshots = [
            replica("a@v1#1", running(1, 11, task="t-1"), queued(12, caller=2, task="t-2")),
            replica("b@v1#1", running(2, 12, task="t-2"), queued(11, caller=1, task="t-1")),
        ]
        deadlock = both(snapshots)
        assert deadlock is not None
        assert deadlock.sentence == (
            "task t-1: a@v1#1 has waited 2.4 s for a slot of b@v1#1 (1 of 1 held by task t-2); "
            "task t-2 in b@v1#1 waits for a slot of a@v1#1 (1 of 1 held by task t-1)"
        )

    def test_who_only_waits_behind_is_a_victim_and_not_involved(self):
        behind = replica("orchestrator@v2#1", running(50, 1, task="t-81"), running(51, 50), slots=4)
        deadlock = both([*mutual_ask(), behind])
        assert deadlock is not None
        assert deadlock.victims == 2
        assert deadlock.stuck == (1, 2, 3, 50, 51)
        assert deadlock.core == (1, 2, 3)
        assert deadlock.involves([("supplier", "v3")])
        assert not deadlock.involves({("orchestrator", "v2"), ("supplier", "v2")})
