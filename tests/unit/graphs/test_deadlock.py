"""Deadlocks by hand: found with their words, confirmed by epochs, and the look-alikes silent."""

from dataclasses import replace

import pytest

from rolewise.graphs.deadlock import analyse_waits, find_deadlocks
from rolewise.graphs.snapshot_columns import read_round
from tests.unit.graphs.waits import both, found_in, mutual_ask, queued, replica, running


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
        assert deadlock.cycle[0].in_words.endswith(
            "and every alternative is stuck too: the reply of c@v1#1"
        )

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
        assert found_in(mutual_ask(), None) == found_in(None, mutual_ask())
        assert found_in(mutual_ask(), None) is not None
        assert found_in(None, None) is None

    @pytest.mark.parametrize("which", [0, 1], ids=["negotiator", "supplier"])
    def test_a_wait_that_began_again_is_not_confirmed(self, which):
        first, second = mutual_ask(), mutual_ask()
        snapshot = second[which]
        anew = tuple(replace(one, epoch=2) for one in snapshot.running)
        second[which] = replace(snapshot, running=anew)
        assert found_in(first, second) is None
        assert found_in(second, second) is not None

    def test_a_message_queued_again_is_not_confirmed(self):
        first, second = mutual_ask(), mutual_ask()
        second[0] = replace(second[0], queue=(queued(3, caller=2, epoch=2),))
        assert found_in(first, second) is None

    @pytest.mark.parametrize("change", [{"capacity_epoch": 1}, {"slots": 1, "capacity_epoch": 7}])
    def test_slots_that_changed_between_the_rounds_are_not_confirmed(self, change):
        first, second = mutual_ask(), mutual_ask()
        second[0] = replace(second[0], **change)
        assert found_in(first, second) is None

    def test_a_message_that_got_its_slot_between_the_rounds_is_not_confirmed(self):
        first = mutual_ask()
        second = [
            replica("negotiator@v3#1", running(3, 1, epoch=1)),
            replica("supplier@v3#1", running(2, 3), running(1, 2)),
        ]
        assert found_in(first, second) is None

    def test_waits_withdrawn_while_replicas_were_asked_are_a_phantom(self):
        """A gave up (epoch 2) and B then began to wait: the circle never stood at one instant."""
        early_a = replica("a@v1#1", running(1, 2, epoch=1), queued(3, caller=2))
        late_b = replica("b@v1#1", running(2, 3, epoch=5))
        round_one = [early_a, late_b]
        round_two = [replica("a@v1#1", running(1, epoch=2), queued(3, caller=2)), late_b]
        assert found_in(None, round_one) is not None
        assert found_in(round_one, round_two) is None


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
        fleet = read_round(small + large)
        found = find_deadlocks(fleet, fleet)
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
        assert deadlock.victim_tasks == ("t-81",)
        assert deadlock.victim_versions == {("orchestrator", "v2")}
        assert deadlock.versions == {("negotiator", "v3"), ("supplier", "v3")}


class TestParts:
    def test_hard_and_soft_cores_are_told_apart(self):
        hard = mutual_ask()
        soft = [
            replica("x@v1#1", running(11, 12, deadline=3.0, task="s"), queued(13, caller=12)),
            replica("y@v1#1", running(12, 13, deadline=4.0, task="s")),
        ]
        fleet = read_round([*hard, *soft])
        analysis = analyse_waits(fleet, fleet)
        assert analysis.confirmed
        assert analysis.hard.ids == (1, 2, 3)
        assert analysis.hard.cores == ((1, 2, 3),)
        assert analysis.soft.ids == (1, 2, 3, 11, 12, 13)
        assert analysis.soft.cores == ((1, 2, 3), (11, 12, 13))
        assert [one.kind for one in analysis.deadlocks] == ["hard", "soft"]

    def test_a_soft_core_that_also_waits_for_a_hard_one_is_shown(self):
        # 11 waits for its partner (until a timeout) and 12 for it and for the hard circle.
        soft = [
            replica("x@v1#1", running(11, 12, deadline=3.0, task="s"), queued(13, caller=12)),
            replica("y@v1#1", running(12, 13, 1, task="s")),
        ]
        fleet = read_round([*mutual_ask(), *soft])
        shown = [(one.kind, one.nodes) for one in find_deadlocks(fleet, fleet)]
        assert shown == [
            ("hard", ("negotiator@v3", "supplier@v3")),
            ("soft", ("x@v1", "y@v1")),
        ]

    def test_victims_are_counted_at_the_core_that_they_reach(self):
        other = [
            replica("x@v1#1", running(11, 12, task="s"), queued(13, caller=12)),
            replica("y@v1#1", running(12, 13, task="s")),
        ]
        behind = [
            replica("w@v1#1", running(31, 11, task="b"), running(32, 31, task="b"), slots=4),
            replica("w@v1#2", running(33, 1, task="c"), slots=4),
        ]
        fleet = read_round([*mutual_ask(), *other, *behind])
        found = {one.nodes[0]: one.victim_tasks for one in find_deadlocks(fleet, fleet)}
        assert found == {"negotiator@v3": ("c",), "x@v1": ("b",)}

    def test_one_circle_has_one_signature_whoever_is_in_it(self):
        first, again = both(mutual_ask(task="t-1")), both(mutual_ask(task="t-2"))
        assert first is not None
        assert again is not None
        assert first.signature == again.signature
        assert first.signature == (
            "negotiator@v3 queued; negotiator@v3 slots; negotiator@v3 waiting; supplier@v3 waiting"
        )

    def test_kinds_are_told(self):
        first, second = mutual_ask()
        ask = replace(second.running[0], kind="quote")
        deadlock = both([first, replace(second, running=(ask,))])
        assert deadlock is not None
        assert "for the reply to quote of supplier@v3#1" in deadlock.sentence

    def test_who_did_not_answer_is_named(self):
        fleet = read_round(mutual_ask(), blind=["carrier@v1#9"])
        (deadlock,) = find_deadlocks(fleet, fleet)
        assert deadlock.blind == ("carrier@v1#9",)

    def test_the_circle_through_the_canary_is_shown(self):
        # One core of two circles: 1-2 and the longer 1-4-5, which the canary is in.
        fleet = read_round(
            [
                replica("a@v1#1", running(1, 2, 4), queued(3, 2), queued(6, 5)),
                replica("b@v1#1", running(2, 3)),
                replica("c@v1#1", running(4, 5)),
                replica("d@v2#1", running(5, 6)),
            ]
        )
        for canary, shown in (((), {"a", "b"}), ([("d", "v2")], {"a", "c", "d"})):
            (deadlock,) = analyse_waits(fleet, fleet, canary=canary).deadlocks
            assert {wait.role for wait in deadlock.cycle} == shown
