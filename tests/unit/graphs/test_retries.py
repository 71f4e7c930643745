"""Many tasks that retry once or twice each: a storm of the canary's, or an outage for all."""

from __future__ import annotations

import pytest

from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.retries import WINDOW_S, RetryWatch
from rolewise.graphs.pulse import Beat, EdgeArm, Sent

ASK = ("planner", "supplier", "rfq")


def beat(at, canary, baseline=(10, 0)):
    arms = zip((Arm.CANARY, Arm.BASELINE), (canary, baseline), strict=True)
    sent = {
        EdgeArm(ASK, arm): Sent(messages=messages, again=again, tasks=messages)
        for arm, (messages, again) in arms
        if messages
    }
    return Beat(at=at, sent=sent, tasks={Arm.CANARY: 5, Arm.BASELINE: 5})


def last(watch, *beats):
    return [watch.tick(one) for one in beats][-1]


def test_a_storm_is_told_with_both_shares():
    (storm,) = last(RetryWatch(), *(beat(at, (10, 3)) for at in range(5)))

    assert storm.sentence == (
        "retry storm on planner -> supplier: rfq: 30% of 50 messages of canary tasks in 10 s are "
        "retries, 0% of baseline tasks'"
    )


@pytest.mark.parametrize(
    ("canary", "baseline", "seconds"),
    [
        ((10, 2), (10, 0), 5),  # a fifth, and no more
        ((10, 4), (10, 3), 5),  # an outage
        ((3, 3), (10, 0), 5),  # too few to say
        ((10, 0), (10, 8), 5),
    ],
)
def test_what_is_no_storm_of_the_canarys(canary, baseline, seconds):
    assert last(RetryWatch(), *(beat(at, canary, baseline) for at in range(seconds))) == ()


def test_it_is_over_when_its_window_is():
    watch = RetryWatch()
    storms = [bool(watch.tick(beat(at, (10, 8 if at < 3 else 0)))) for at in range(20)]

    # 24 of n messages in the window are more than a fifth until 120 were sent.
    assert storms.index(True) == 1
    assert storms[WINDOW_S - 1 : WINDOW_S + 3] == [True, False, False, False]
