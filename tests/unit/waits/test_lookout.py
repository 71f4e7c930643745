"""The lookout asks in rounds, and a third time where a core stands, before it says anything."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from rolewise.coordinator.waits import WaitsLookout
from rolewise.graphs.interactions import Arm
from rolewise.graphs.rounds import join_rounds
from rolewise.graphs.snapshot_columns import read_round
from rolewise.graphs.snapshots import Ending
from tests.unit.graphs.waits import mutual_ask, replica, running


class Fleet:
    """Answers each round with the next of some snapshots, the last one again and again."""

    def __init__(self, *rounds, blind=()):
        self.rounds = list(rounds)
        self.blind = blind
        self.asked = []

    async def waits(self, replicas=None, *, recent=False):
        self.asked.append((replicas, recent))
        snapshots = self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]
        snapshots = snapshots if recent else [replace(one, recent=()) for one in snapshots]
        whole = join_rounds([read_round(snapshots)], blind=self.blind)
        return whole if replicas is None else whole.only(replicas)

    async def graph(self):
        raise AssertionError("nothing is held long enough to ask")


async def look(fleet, *, times=2, every_s=1.0):
    lookout = WaitsLookout("play", fleet)
    for number in range(times):
        await lookout.look(number * every_s, canary=("supplier", "v3"))
    return lookout


async def test_one_round_says_nothing():
    assert (await look(Fleet(mutual_ask()), times=1)).deadlocks == ()


async def test_two_rounds_and_a_third_where_the_core_stands():
    fleet = Fleet([*mutual_ask(), replica("carrier@v1#5")])
    lookout = await look(fleet)
    (deadlock,) = lookout.deadlocks
    assert deadlock.nodes == ("negotiator@v3", "supplier@v3")
    assert fleet.asked == [
        (None, False),
        (None, False),
        ({"negotiator@v3#1", "supplier@v3#1"}, False),
    ]


async def test_what_has_ended_at_the_third_look_is_not_told():
    ended = [replica("negotiator@v3#1", running(1, epoch=2)), mutual_ask()[1]]
    assert (await look(Fleet(mutual_ask(), mutual_ask(), ended))).deadlocks == ()


async def test_it_asks_once_a_second():
    fleet = Fleet([])
    await look(fleet, times=9, every_s=0.25)
    assert len(fleet.asked) == 3


async def test_suspects_are_asked_what_they_have_finished():
    waits = running(1, 2, since=9.0, sent_to=("supplier@v1#2",))
    asker = replica("negotiator@v1#1", waits)
    done = replica("supplier@v1#2", up_s=99.0, recent=((2, Ending.REPLIED),))
    fleet = Fleet([asker, done])
    (orphan,) = (await look(fleet)).stalls
    assert orphan.how == "reply_lost"
    assert fleet.asked[-1] == ({"supplier@v1#2"}, True)


async def test_each_thing_is_logged_once_while_it_lasts(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    blocked = [replica("a@v1#1", running(1), loop_lag_s=5.0)]
    fleet = Fleet(blocked, blocked, blocked, [replica("a@v1#1")], blocked)
    lookout = await look(fleet, times=6)
    told = [record.message for record in caplog.records]
    assert len(told) == 2, "again after it was over"
    assert told[0].startswith("fleet play: blocked loop: the event loop of a@v1#1")
    assert lookout.alerts == (told[-1].removeprefix("fleet play: "),)


async def test_many_of_one_kind_are_one_alert():
    asks = [
        running(id_, 100 + id_, since=9.0, sent_to=("supplier@v1#2",), task=f"t-{id_}")
        for id_ in range(1, 6)
    ]
    lookout = await look(Fleet([replica("a@v1#1", *asks, slots=8)]))
    assert len(lookout.stalls) == 5
    alert, counted = lookout.alerts
    assert alert.startswith("orphan: task t-1: a@v1#1 has waited 9.0 s")
    assert alert.endswith("(4 more like this)")
    assert counted.startswith("orphan: waits lost since the trial began: ")


async def test_lost_waits_are_counted_once_for_their_tasks_and_arms():
    asks = [
        running(id_, 100 + id_, since=9.0, sent_to=("supplier@v1#2",), task=task, arm=arm)
        for id_, task, arm in (
            (1, "t-1", Arm.CANARY),
            (2, "t-1", Arm.CANARY),
            (3, "t-2", Arm.BASELINE),
        )
    ]
    lookout = await look(Fleet([replica("a@v1#1", *asks, slots=8)]), times=4)
    assert lookout.orphans == {"t-1": 2, "t-2": 1}
    assert lookout.alerts[-1] == (
        "orphan: waits lost since the trial began: 2 of canary tasks, 1 of baseline tasks"
    )
    lookout.forget()
    assert (lookout.orphans, lookout.orphans_by_arm) == ({}, {})


async def test_silent_replicas_are_told_after_three_rounds():
    fleet = Fleet([], blind=["a@v1#1"])
    assert (await look(fleet, times=3)).stalls == ()
    (stall,) = (await look(fleet, times=4)).stalls
    assert stall.replica == "a@v1#1"


async def test_a_new_trial_begins_anew():
    fleet = Fleet(mutual_ask())
    lookout = await look(fleet)
    lookout.forget()
    assert (lookout.deadlocks, lookout.alerts) == ((), ())
    await lookout.look(5.0, canary=("supplier", "v3"))
    assert lookout.deadlocks == ()
