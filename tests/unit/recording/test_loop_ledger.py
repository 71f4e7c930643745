"""Loops of open tasks, told from telemetry as it comes: in parts, out of order, with bad clocks."""

from __future__ import annotations

import numpy as np
import pytest

from rolewise.agents.message import Address, Message, Nature
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.notes import Noted
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.task import TaskRecord, task_key
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interactions import Arm, Happening

GATEWAY = Address(role="")
PLANNER = Address(role="planner", version="v1", replica=1)
TOOL = Address(role="tool", version="v1", replica=2)


class Fleet:
    """Recorders with one clock, in seconds, and a collector."""

    def __init__(self):
        self.now = 0.0
        self.ahead = 0.0
        self.ids = 0
        self.collector = Collector()
        self.recorders = {
            "": Recorder("gateway", "", now=lambda: self.now, clock_ns=lambda: int(self.now * 1e9)),
            "planner": Recorder(
                "planner@v1#1.0",
                "planner@v1",
                now=lambda: self.now,
                clock_ns=lambda: int((self.now + self.ahead) * 1e9),
            ),
        }

    def note(self, happening, source, target, digest, task="t", parent=1, arm=Arm.NONE):
        self.ids += 1
        message = Message(
            id=self.ids,
            nature=Nature.REQUEST,
            kind="ask",
            sender=source,
            to=target.role,
            body=None,
            task=task,
            task_key=task_key(task),
            conversation=task,
            parent=parent,
            arm=int(arm),
        )
        self.recorders[source.role].happened(
            happening, message, target, self.now, self.now, digest=digest
        )
        self.now += 0.01

    def begin(self, task="t", arm=Arm.NONE):
        self.note(Happening.SENT, GATEWAY, PLANNER, 1, task, parent=0, arm=arm)

    def end(self, task="t"):
        self.note(Happening.REPLIED, GATEWAY, PLANNER, 2, task, parent=0)

    def call(self, digest, answer, task="t"):
        self.note(Happening.SENT, PLANNER, TOOL, digest, task)
        self.note(Happening.REPLIED, PLANNER, TOOL, answer, task)

    def ship(self, *roles):
        for role in roles or self.recorders:
            delivery = self.recorders[role].take()
            if delivery is not None:
                self.collector.take(delivery, now_s=self.now)

    def flags(self, task="t"):
        self.ship()
        return self.collector.complete([TaskRecord(task=task, number=1, table=1)])[0].flags


def test_the_same_call_with_the_same_answer_is_flagged():
    fleet = Fleet()
    fleet.begin()
    for _ in range(4):
        fleet.call(7, 8)
        fleet.ship()
    fleet.end()

    assert fleet.flags() == ("repeat",)


@pytest.mark.parametrize("answers", [range(100, 140), [0] * 40])
def test_answers_that_are_news_or_unknown_raise_no_flag(answers):
    fleet = Fleet()
    fleet.begin()
    for answer in answers:
        fleet.call(7, answer)
    fleet.end()

    assert "repeat" not in fleet.flags()
    assert "stalled" not in fleet.flags()


def test_marks_and_new_memory_keys_are_progress_old_keys_are_not():
    marked, fresh, old = Fleet(), Fleet(), Fleet()
    for number in range(40):
        for fleet, figure in ((marked, 0.0), (fresh, 1.0 + number), (old, 5.0)):
            fleet.call(100 + number, 8)
            fleet.recorders["planner"].note(Noted.PROGRESS, task_key("t"), a=figure)

    assert "stalled" not in marked.flags()
    assert "stalled" not in fresh.flags()
    assert "stalled" in old.flags()


def test_parts_that_come_late_or_out_of_order_make_no_difference():
    one, other = Fleet(), Fleet()
    for fleet, ship_each in ((one, True), (other, False)):
        fleet.begin()
        for number in range(10):
            fleet.call(7 if number > 4 else 20 + number, 8)
            if ship_each:
                fleet.ship("planner")
        fleet.end()
        fleet.ship("planner")

    assert one.flags() == other.flags() == ("repeat",)


def test_a_delivery_that_comes_twice_counts_once():
    fleet = Fleet()
    fleet.begin()
    fleet.call(7, 8)
    fleet.call(7, 8)
    delivery = fleet.recorders["planner"].take()
    fleet.collector.take(delivery, now_s=fleet.now)
    fleet.collector.take(delivery, now_s=fleet.now)
    fleet.end()

    assert fleet.flags() == ()


def test_what_comes_well_after_the_end_is_told_though_the_task_was_looked_at_before():
    fleet = Fleet()
    fleet.begin()
    fleet.end()
    assert fleet.flags() == ()
    fleet.now += 5
    fleet.note(Happening.SENT, PLANNER, TOOL, 9)
    assert fleet.flags() == (), "a closing message is forgiven"
    fleet.now += 6
    fleet.note(Happening.SENT, PLANNER, TOOL, 10)

    assert fleet.flags() == ("after_the_end",)


def test_a_clock_that_is_ahead_makes_nothing_late():
    fleet = Fleet()
    fleet.ahead = 300.0
    fleet.begin()
    fleet.call(7, 8)
    fleet.end()
    fleet.ship("")
    fleet.call(9, 8)

    assert fleet.flags() == ()
    assert fleet.collector.windows.task_rows().late_sends.tolist() == [0]


def test_hard_limits_are_told_once_and_only_when_broken():
    fleet = Fleet()
    limits = GuardLimits(hops=0, messages=50, stalled=0)
    fleet.begin()
    for number in range(49):
        fleet.call(number, 100 + number)
    fleet.ship()
    assert fleet.collector.breaches(limits) == {}
    fleet.call(99, 99)
    fleet.ship()

    assert fleet.collector.breaches(limits) == {task_key("t"): "51 messages, the limit is 50"}
    assert fleet.collector.breaches(limits) == {}


def test_progress_keeps_a_long_task_alive():
    fleet = Fleet()
    fleet.begin()
    for number in range(300):
        fleet.call(7, number)
    fleet.ship()

    assert fleet.collector.breaches(GuardLimits()) == {}


def test_limits_follow_what_tasks_of_the_type_do_on_stable_versions():
    """When every task asks the same thing six times, doing so is no livelock."""
    usual, canary = Fleet(), Fleet()
    for fleet, arm in ((usual, Arm.BASELINE), (canary, Arm.CANARY)):
        for number in range(250):
            fleet.begin(f"t{number}", arm)
            for _ in range(6):
                fleet.call(7, 8, f"t{number}")
            fleet.end(f"t{number}")
            fleet.flags(f"t{number}")

    assert usual.flags("t0") == ()
    assert canary.flags("t0") == ("repeat",), "the canary teaches nothing"


def test_figures_of_many_tasks_do_not_mix():
    fleet = Fleet()
    for task in ("a", "b"):
        fleet.begin(task)
    for number in range(6):
        fleet.call(7, 8, "a")
        fleet.call(50 + number, 60 + number, "b")
    fleet.ship()
    records = [TaskRecord(task=name, number=1, table=1) for name in ("b", "a", "unknown")]

    done = fleet.collector.complete(records)

    assert [record.flags for record in done] == [(), ("repeat",), ()]
    assert np.array_equal([record.messages for record in done], [7, 7, 0])
