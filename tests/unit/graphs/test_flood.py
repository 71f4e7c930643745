"""The flood guard: three seconds of far too many messages, and nothing less."""

from __future__ import annotations

import numpy as np
import pytest

from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.flood import EdgeArm, FloodGuard, _Past, _surprise

ASK = ("planner", "robot", "pick")
CANARY, BASELINE = EdgeArm(ASK, Arm.CANARY), EdgeArm(ASK, Arm.BASELINE)


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
    guard = FloodGuard()
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
    assert flood.finding.direction == "neutral"


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
    guard = FloodGuard()
    quiet(guard)

    assert ticks_until(guard, sent, tasks)[0] is None


def test_a_burst_of_two_seconds_is_none():
    guard = FloodGuard()
    quiet(guard)

    for _ in range(5):
        assert guard.tick({CANARY: 300}, {Arm.CANARY: 5}) == ()
        assert guard.tick({CANARY: 300}, {Arm.CANARY: 5}) == ()
        assert guard.tick({CANARY: 5}, {Arm.CANARY: 5}) == ()


def test_a_flood_does_not_become_usual():
    guard = FloodGuard()
    quiet(guard)

    told = [guard.tick({CANARY: 300}, {Arm.CANARY: 5}) for _ in range(200)]

    assert all(told[2:])
    assert told[-1][0].ticks == 200


def test_an_edge_without_a_past_is_left_to_the_other_tests():
    assert ticks_until(FloodGuard(), {CANARY: 500}, {Arm.CANARY: 5}, most=50)[0] is None


def test_bursty_traffic_alarms_seldom():
    rng = np.random.default_rng(5)
    guard = FloodGuard()
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
