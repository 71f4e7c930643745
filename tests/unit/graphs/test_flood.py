"""The flood guard: three seconds of far too many messages, and nothing less."""

from __future__ import annotations

import numpy as np
import pytest

from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.flood import SPLIT_P, FloodGuard, Split, _Past, _surprise
from rolewise.graphs.pulse import HEAVY, Beat, EdgeArm, Sent

ASK = ("planner", "robot", "pick")
CANARY, BASELINE = EdgeArm(ASK, Arm.CANARY), EdgeArm(ASK, Arm.BASELINE)


class Seconds:
    """A guard, and seconds made of counts: each arm's messages come evenly from all its tasks."""

    def __init__(self):
        self.guard = FloodGuard()
        self.at = 0

    def tick(self, messages, tasks):
        self.at += 1
        return self.guard.tick(
            Beat(
                at=self.at,
                sent={where: self.sent(where, many, tasks) for where, many in messages.items()},
                tasks=tasks,
            )
        )

    def sent(self, where, messages, tasks):
        """Tasks live for a second, so each is another one."""
        many = tasks[where.arm]
        each, more = divmod(messages, many)
        heavy = tuple(
            (self.at * 1000 + 100 * where.arm + task, each + (task < more))
            for task in range(many)
            if each + (task < more) >= HEAVY
        )
        return Sent(messages=messages, tasks=min(messages, many), heavy=heavy)


def quiet(guard, *, seconds=60, rate=1.0, tasks=20, seed=0):
    rng = np.random.default_rng(seed)
    told = []
    for _ in range(seconds):
        told += guard.tick({BASELINE: int(rng.poisson(rate * tasks))}, {Arm.BASELINE: tasks})
    return told


def ticks_until(guard, sent, tasks, most=10):
    for tick in range(1, most + 1):
        floods = guard.tick(sent, tasks)
        if floods:
            return tick, floods
    return None, ()


def test_a_flood_is_told_in_the_third_second():
    guard = Seconds()
    assert quiet(guard) == []

    tick, floods = ticks_until(
        guard, {CANARY: 250, BASELINE: 20}, {Arm.CANARY: 5, Arm.BASELINE: 20}
    )

    assert tick == 3
    (flood,) = floods
    assert (flood.edge, flood.arm) == (ASK, Arm.CANARY)
    assert (
        "flood on planner -> robot: pick of canary tasks: 250 messages in a second"
        in flood.sentence
    )
    assert flood.is_own
    assert flood.finding.direction == "harm"
    rates, whose = flood.details
    assert rates == (
        "planner -> robot: pick: canary tasks send 50.0 messages a second each, "
        "baseline tasks 1.00; usual is 1.05"
    )
    assert whose == (
        "15 canary and 0 baseline tasks flood, while 20% of both were the canary's (p 3.3e-11): "
        "the canary's own"
    )


@pytest.mark.parametrize(
    ("sent", "tasks"),
    [
        ({BASELINE: 80}, {Arm.BASELINE: 80}),  # four times the load
        ({CANARY: 60, BASELINE: 20}, {Arm.CANARY: 60, Arm.BASELINE: 20}),  # the weight rose
        ({BASELINE: 60}, {Arm.BASELINE: 20}),  # three times as chatty
        ({CANARY: 4}, {Arm.CANARY: 1}),
    ],
)
def test_more_work_is_no_flood(sent, tasks):
    guard = Seconds()
    quiet(guard)

    assert ticks_until(guard, sent, tasks)[0] is None


def test_a_burst_of_two_seconds_is_none():
    guard = Seconds()
    quiet(guard)

    for _ in range(5):
        assert guard.tick({CANARY: 300}, {Arm.CANARY: 5}) == ()
        assert guard.tick({CANARY: 300}, {Arm.CANARY: 5}) == ()
        assert guard.tick({CANARY: 5}, {Arm.CANARY: 5}) == ()


def test_a_flood_does_not_become_usual():
    guard = Seconds()
    quiet(guard)

    told = [guard.tick({CANARY: 300}, {Arm.CANARY: 5}) for _ in range(200)]

    assert all(told[2:])
    assert told[-1][0].ticks == 200


def test_a_loop_that_sends_some_times_as_much_is_not_rolled_back_as_a_flood():
    guard = Seconds()
    quiet(guard)

    _, (flood,) = ticks_until(guard, {CANARY: 50, BASELINE: 20}, {Arm.CANARY: 5, Arm.BASELINE: 20})

    assert flood.split.p < SPLIT_P
    assert not flood.is_own


def test_a_flood_in_both_arms_is_not_the_canarys():
    guard = Seconds()
    quiet(guard)

    _, floods = ticks_until(guard, {CANARY: 250, BASELINE: 1000}, {Arm.CANARY: 5, Arm.BASELINE: 20})

    assert [flood.arm for flood in floods] == [Arm.BASELINE, Arm.CANARY]
    assert all(flood.is_common for flood in floods)
    assert not any(flood.is_own for flood in floods)


def test_without_a_baseline_nobody_can_say_whose_it_is():
    guard = Seconds()
    quiet(guard)

    _, (flood,) = ticks_until(guard, {CANARY: 250}, {Arm.CANARY: 5})

    assert (flood.is_own, flood.other) == (False, None)


def test_two_tasks_that_send_very_much_are_left_to_their_own_guard():
    guard = Seconds()
    quiet(guard)
    one = Sent(messages=90, tasks=1, heavy=((77, 90),))

    for at in range(100, 103):
        floods = guard.guard.tick(Beat(at=at, sent={CANARY: one}, tasks={Arm.CANARY: 1}))

    assert [flood.is_common for flood in floods] == [False]


def test_the_split_is_a_binomial_tail():
    """Of 6 flooding tasks 5 or more the canary's, at 3 of 10 of all tasks."""
    split = Split(canary=5, baseline=1, share=0.3)
    drawn = np.random.default_rng(1).binomial(6, 0.3, 400_000)

    assert split.p == pytest.approx(float((drawn >= 5).mean()), rel=0.05)
    assert Split().p == 1.0


def test_seconds_without_a_canary_task_do_not_end_its_flood_but_many_do():
    seconds = {Arm.CANARY: 5, Arm.BASELINE: 20}, {Arm.BASELINE: 20}

    def floods_after(gap):
        guard = Seconds()
        quiet(guard)
        for _ in range(2):
            assert guard.tick({CANARY: 250, BASELINE: 20}, seconds[0]) == ()
            for _ in range(gap):
                assert guard.tick({BASELINE: 20}, seconds[1]) == ()
        return guard.tick({CANARY: 250, BASELINE: 20}, seconds[0])

    assert [flood.ticks for flood in floods_after(3)] == [3]
    assert floods_after(11) == ()


def test_an_edge_without_a_past_is_left_to_the_other_tests():
    tasks = {Arm.CANARY: 5, Arm.BASELINE: 20}
    assert ticks_until(Seconds(), {CANARY: 500}, tasks, most=50)[0] is None


def test_bursty_traffic_alarms_seldom():
    rng = np.random.default_rng(5)
    guard = Seconds()
    told = 0
    for _ in range(20_000):
        rate = 20 * rng.gamma(1.0)
        told += bool(guard.tick({BASELINE: int(rng.poisson(rate))}, {Arm.BASELINE: 20}))

    # 5 times the mean comes once in 150 seconds here, and three running once in 3 million.
    assert told <= 1


def test_with_equal_exposure_it_is_midas():
    ticks, messages, before = 9, 40, 90
    total, t = messages + before, ticks + 1
    midas = (messages - total / t) ** 2 * t**2 / (total * (t - 1))

    assert _surprise(messages, 1.0, _Past(before, ticks, ticks)) == pytest.approx(midas)
