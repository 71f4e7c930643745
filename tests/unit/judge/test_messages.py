"""Message latencies: the task is the unit, and its share of slow messages is what counts."""

import json
import random
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.judge.messages import MessageSeries
from tests.unit.judge.stopping import Step, add_to_series, best_stopped_mean, harm, safe


def a_series(*, quantile=0.9, tolerate=0.25, **fields):
    return MessageSeries(quantile=quantile, tolerate=tolerate, **fields)


def fed(count, *, slow=1.0, draw=None, seed=1, weight=0.5, **fields):
    """A series of tasks with one to six messages; those of one task are slow together."""
    rng = random.Random(seed)
    series = a_series(**fields)
    for _ in range(count):
        canary = rng.random() < weight
        mood = rng.lognormvariate(0.0, 0.6)
        seconds = tuple(
            (draw(rng) if draw else mood * rng.expovariate(1.0)) * (slow if canary else 1.0)
            for _ in range(rng.randrange(1, 7))
        )
        series.add(canary=canary, weight=weight, value=seconds)
    return series


@pytest.mark.parametrize("read", [harm, safe])
def test_messages_are_valid_whenever_one_stops(monkeypatch, read):
    """The mark is drawn from the same tasks, on the way, and anew at another weight."""
    monkeypatch.setattr("rolewise.coordinator.judge.messages.least_units", lambda _: 4)
    monkeypatch.setattr("rolewise.coordinator.judge.messages.MOST_BLOCK", 2)
    values = [(0.4, (1.0,)), (0.3, (1.0, 3.0)), (0.3, (2.0, 2.0, 2.0))]
    slower = values
    if read is safe:  # on the border: the canary at its limit, exactly
        slower = [(chance, tuple(1.5 * one for one in value)) for chance, value in values]
    steps = [Step(weight, values, slower) for weight in (0.3, 0.3, 0.5, 0.5)]
    series = a_series(quantile=0.5, tolerate=0.5)
    series.add(canary=False, weight=0.3, value=(1.0, 2.0, 3.0))
    assert best_stopped_mean(series, steps, add=add_to_series, log_e=read) <= 1.0 + 1e-9


def test_slow_messages_are_found_and_equal_ones_are_shown_safe():
    slow = fed(3000, slow=1.6).read()
    assert slow.log_harm > log(1000)
    low, high = slow.interval
    assert 0.0 < low < 0.6 < high
    equal = fed(6000, tolerate=0.4).read()
    assert equal.log_safe > log(20)
    assert equal.log_harm < log(20)
    low, high = equal.interval
    assert low < 0.0 < high


@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.1])
def test_constant_messages_are_no_harm_and_are_safe(seconds):
    reading = fed(1500, draw=lambda _: seconds).read()
    assert reading.log_harm <= 0.0
    assert reading.log_safe > log(100)
    assert fed(1500, draw=lambda _: seconds, slow=1.5).read().log_harm > log(100)


def test_one_long_task_is_one_unit():
    """A canary task with a thousand slow messages is no more evidence than one with ten."""
    few, many = fed(600, seed=4), fed(600, seed=4)
    few.add(canary=True, weight=0.5, value=(50.0,) * 10)
    many.add(canary=True, weight=0.5, value=(50.0,) * 1000)
    assert few.levels() == many.levels()


def test_the_mark_waits_for_enough_messages_and_says_so():
    series = a_series(quantile=0.95)
    series.add(canary=True, weight=0.5, value=(9.0,) * 300)
    series.add(canary=False, weight=0.5, value=(1.0,) * 150)
    assert series.read().note == "200 messages of the baseline set the mark, 150 are in"
    assert series.levels() == pytest.approx((0.0, 0.0))


tasks = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0.0, 0.25, 0.5, 1.0]),
        st.lists(st.sampled_from([0.0, 0.3, 0.9, 1.1, 7.0]), max_size=4).map(tuple),
    ),
    max_size=120,
)


@settings(max_examples=30, deadline=None)
@given(tasks=tasks, cut=st.integers(0, 120), first=st.integers(0, 80))
def test_a_resumed_series_equals_an_uninterrupted_one(tasks, cut, first):
    whole, part = a_series(), a_series()
    for series in (whole, part):
        for number in range(first):
            series.add(canary=False, weight=0.25, value=(number % 7 / 7.0, 0.1 * number))
    for number, (canary, weight, value) in enumerate(tasks):
        if number == cut:
            part.read()
            stored = json.loads(json.dumps(part.to_json(), allow_nan=False))
            part = a_series()
            part.load(stored)
        for series in (whole, part):
            series.add(canary=canary, weight=weight, value=value)
    assert part.to_json() == whole.to_json()
    assert (part.levels(), part.read()) == (whole.levels(), whole.read())
