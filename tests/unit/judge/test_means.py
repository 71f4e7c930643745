"""Bets on means: the worked example, validity, caps, resume, extremes."""

import json
import random
import re
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.judge.absolute_mean import AbsoluteMeanSeries
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.linear_bet import STAKES, MeanBet
from rolewise.coordinator.judge.mean_grid import (
    DIFFERENCES,
    GridBet,
    Rows,
    grid_interval,
    log_factors,
)
from rolewise.coordinator.judge.means import MeanSeries
from rolewise.coordinator.judge.restarts import FIRST_SHARE
from rolewise.coordinator.judge.verdict import Ruling
from tests.unit.judge.records import ROLE, SALT, a_record
from tests.unit.judge.stopping import Step, add_to_series, best_stopped_mean, harm, safe

ARMS = (1, 0, 0, 1, 0, 1, 0, 0)
VALUES = (0.35, 0.1, 0.25, 0.5, 0.2, 0.4, 0.15, 0.3)


def scores(**fields):
    return MeanSeries(is_relative=False, tolerate=fields.pop("tolerate", 0.05), **fields)


def amounts(**fields):
    return MeanSeries(is_relative=True, tolerate=fields.pop("tolerate", 0.25), **fields)


@pytest.mark.parametrize(
    ("shift", "harm", "wanted"), [(0.0, True, 2.007877), (0.1, False, 0.855676)]
)
def test_w10_a_fixed_middle(shift, harm, wanted):
    bet = MeanBet(shift=shift, harm=harm)
    bet.set(weight=0.25, middle=0.2, top=1.0)
    for arm, value in zip(ARMS, VALUES, strict=True):
        bet.add(value, canary=bool(arm))
    assert exp(bet.log_e) == pytest.approx(wanted, abs=5e-7)
    sign = 1.0 if harm else -1.0
    rows = Rows(
        scale=np.ones(1), shift=np.array([shift]), sign=np.array([sign]), stakes=tuple(STAKES)
    )
    logs = log_factors(
        rows,
        values=np.array(VALUES),
        canary=np.array(ARMS, dtype=np.bool_),
        weight=0.25,
        middle=0.2,
        top=1.0,
    )
    assert exp(GridBet(rows).log_e(logs)[0]) == pytest.approx(wanted, abs=5e-7)


def test_w10_unit_by_unit_by_the_formula():
    mean = 0.0
    for stake in (0.9, 0.5, 0.25, 0.12, 0.06, 0.03, 0.015):
        product = 1.0
        for arm, value in zip(ARMS, VALUES, strict=True):
            difference = (arm - 0.25) / (0.25 * 0.75) * (value - 0.2)
            product *= 1.0 + stake / max(0.2 / 0.25, 0.8 / 0.75) * difference
        mean += product / 7.0
    assert mean == pytest.approx(2.007877, abs=5e-7)


SPREAD = [(0.25, 0.0), (0.5, 0.25), (0.25, 1.0)]
WORSE = [(0.25, 0.2), (0.5, 0.35), (0.25, 1.0)]  # 0.1 above on the mean: 0.375 | 0.475
HALF = [(0.5, 0.3), (0.5, 0.9)]


@pytest.mark.parametrize(
    ("read", "baseline", "canary", "series"),
    [
        (harm, SPREAD, SPREAD, scores()),
        (harm, SPREAD, [(1.0, 0.375)], scores()),  # equal means, nothing else
        (harm, HALF, [(0.5, 0.4), (0.5, 1.0)], scores(harm_margin=0.1)),
        (safe, SPREAD, WORSE, scores(tolerate=0.1)),
        (safe, HALF, [(1.0, 0.7)], scores(tolerate=0.1)),
        (harm, SPREAD, SPREAD, amounts(cap=0.8)),
        (harm, [(1.0, 0.4)], [(0.5, 0.2), (0.5, 0.8)], amounts(harm_margin=0.25, cap=0.8)),
        (safe, [(1.0, 0.4)], [(0.5, 0.2), (0.5, 0.8)], amounts(cap=0.8)),
    ],
)
def test_means_are_valid_whenever_one_stops(monkeypatch, read, baseline, canary, series):
    """On the border of the null; the middle moves on after every second unit."""
    monkeypatch.setattr("rolewise.coordinator.judge.means.LEAST_BLOCK", 2)
    steps = [Step(weight, baseline, canary) for weight in (0.25, 0.25, 0.5, 0.5)]
    assert best_stopped_mean(series, steps, add=add_to_series, log_e=read) <= 1.0 + 1e-9


def test_a_cap_from_the_same_tasks_is_valid_whenever_one_stops(monkeypatch):
    """It is set on the way and anew at another weight; failed tasks count for the mean at least."""
    monkeypatch.setattr("rolewise.coordinator.judge.means.LEAST_UNITS", 3)
    monkeypatch.setattr("rolewise.coordinator.judge.means.LEAST_BLOCK", 1)

    def add(series, canary, weight, outcome):
        series.add(canary=canary, weight=weight, value=outcome[0], failed=outcome[1])

    values = [(0.4, (1.0, False)), (0.3, (4.0, False)), (0.3, (0.0, True))]
    series = amounts()
    for value in (2.0, 3.0):
        series.add(canary=False, weight=0.25, value=value)
    steps = [Step(weight, values, values) for weight in (0.25, 0.25, 0.5, 0.5)]
    assert best_stopped_mean(series, steps, add=add, log_e=harm) <= 1.0 + 1e-9


@pytest.mark.parametrize(("read", "canary"), [(harm, [(0.3, 1.0), (0.7, 0.0)]), (safe, HALF)])
def test_limits_on_means_are_valid_whenever_one_stops(read, canary):
    limit = sum(chance * value for chance, value in canary)
    steps = [Step(1.0, [(1.0, 0.0)], canary)] * 7
    series = AbsoluteMeanSeries(limit=limit, top=1.0)
    assert best_stopped_mean(series, steps, add=add_to_series, log_e=read) <= 1.0 + 1e-9


ENGINES = {
    "scores": scores,
    "amounts with a cap": lambda: amounts(cap=0.8),
    "amounts": amounts,
    "a limit": lambda: AbsoluteMeanSeries(limit=0.4, top=1.0),
}
units = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0]),
        st.sampled_from([0.0, 0.2, 0.35, 0.9, 1.0]),
        st.booleans(),
    ),
    max_size=150,
)


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=30)
@given(units=units, cut=st.integers(0, 150), first=st.integers(0, 120))
def test_a_resumed_series_equals_an_uninterrupted_one(name, units, cut, first):
    whole, part = ENGINES[name](), ENGINES[name]()
    for series in (whole, part):
        for number in range(first):
            series.add(canary=False, weight=0.25, value=number % 7 / 7.0)
    for number, (canary, weight, value, failed) in enumerate(units):
        if number == cut:
            part.read()
            stored = json.loads(json.dumps(part.to_json(), allow_nan=False))
            part = ENGINES[name]()
            part.load(stored)
        marks = [
            series.add(canary=canary, weight=weight, value=value, failed=failed)
            for series in (whole, part)
        ]
        assert marks[0] == marks[1]
    assert part.to_json() == whole.to_json()
    assert (part.levels(), part.read()) == (whole.levels(), whole.read())


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ENGINES)
def test_equal_values_are_no_harm(name, value):
    series = ENGINES[name]()
    for number in range(3000):
        series.add(canary=number % 3 == 0, weight=1.0 / 3.0, value=value)
    log_harm, log_safe = series.levels()
    if name == "a limit":
        assert (log_harm > 3.0, log_safe > 3.0) == (value > 0.4, value < 0.4)
    else:
        assert log_harm <= 0.0
        is_comparable = name == "scores" or value > 0.0
        assert (log_safe > 3.0) is is_comparable


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("arm", [True, False])
def test_one_empty_arm_says_nothing_wild(name, arm):
    series = ENGINES[name]()
    for number in range(500):
        series.add(canary=arm, weight=0.5, value=number % 10 / 10.0)
    reading = series.read()
    assert np.isfinite([reading.log_harm, reading.log_safe]).all()
    if name != "a limit":
        assert reading.difference is None


def test_an_amount_that_nobody_spends_is_said():
    series = amounts()
    for number in range(500):
        series.add(canary=number % 2 == 0, weight=0.5, value=0.0)
    assert series.read().note == "nothing was spent by the baseline"
    assert series.levels() == pytest.approx((0.0, 0.0))


def test_a_failed_task_counts_for_the_mean_but_never_as_above_the_cap():
    """Amounts fall to a tenth, then the weight changes and with it the cap, below the old mean."""
    series = amounts()
    for number in range(60):
        series.add(canary=False, weight=0.25, value=100.0 + number % 3)
    for _ in range(1000):
        series.add(canary=False, weight=0.25, value=10.0)
    assert series.to_json()["middle"] > 10.0
    series.add(canary=True, weight=0.5, value=0.0, failed=True)
    tail = series.to_json()["tail"]
    assert series.to_json()["top"] == pytest.approx(10.0)
    assert tail["cells"] == [0, 0, 1, 0]  # a canary, not above the cap


def test_a_cap_hides_no_blow_up():
    """Three of a hundred canary tasks cost twenty times as much: the cap is at the 99th."""
    rng = random.Random(3)
    series = amounts()
    for _ in range(16_000):
        canary = rng.random() < 0.25
        value = rng.lognormvariate(6.0, 0.5)
        times = 20 if canary and rng.random() < 0.03 else 1
        series.add(canary=canary, weight=0.25, value=times * value)
    assert series.levels()[0] > log(100)


def test_ten_million_units_are_no_trouble():
    series = scores()
    for number in range(30):
        series.add(canary=number % 3 == 0, weight=0.25, value=0.5 if number % 2 else 0.4)
    state = series.to_json()
    state["means"]["rows"] = [[0.25, 7_500_000, 2_500_000, 3_000_000.0, 1_000_000.0]]
    state["means"]["squares"] = 1_800_000.0
    state["total"] = [7_500_000.0, 3_000_000.0]
    series.load(state)
    for number in range(2000):
        series.add(canary=number % 4 == 0, weight=0.25, value=number % 5 / 10.0)
    reading = series.read()
    assert reading.tasks_canary == 2_500_500
    assert reading.baseline == pytest.approx(0.4, abs=1e-3)
    assert np.isfinite([reading.log_harm, reading.log_safe]).all()


def test_an_interval_is_what_no_point_beyond_it_is_left_of():
    """A gap among the points that are ruled out is no end."""
    out, half = log(40.0), len(DIFFERENCES)
    logs = np.zeros(2 * half)
    logs[:3] = logs[-4:] = out
    low, high = grid_interval(logs, is_relative=False)
    assert (low, high) == (DIFFERENCES[2], DIFFERENCES[-4])
    logs[5] = logs[half + 7] = out  # with points before and behind that are not ruled out
    assert grid_interval(logs, is_relative=False) == (low, high)


def test_what_the_cap_hides_is_said_where_it_decides():
    """Equal capped means, but some of the canary's tasks cost ten times the cap."""
    rng = random.Random(5)
    tokens = Signal(name="tokens", metric="gen_ai.tokens", tolerate=0.25)
    judge = Judge(Analysis(signals=(tokens,)), role=ROLE, salt=SALT)
    records = []
    for number in range(1, 3001):
        canary = rng.random() < 0.5
        amount = 100_000 if canary and rng.random() < 0.08 else int(rng.uniform(900, 1100))
        record = a_record(number, canary=canary)
        records.append(replace(record, input_tokens=amount, output_tokens=0))
    judge.feed(records)
    verdict = judge.verdict()
    assert verdict.ruling is Ruling.HARM
    assert verdict.reason.startswith("harm: tokens ")
    assert re.search(
        r", 1\d\.\d % against [0-3]\.\d % of the tasks above 1 \d{3} tokens, the cap, limit \+25 %",
        verdict.reason,
    )


def test_the_largest_factors_there_are_stay_within_range():
    """A weight of a millionth, and many canaries in a row, all of them as bad as can be."""
    bet = MeanBet(harm=True, restarts=True)
    bet.set(weight=1e-6, middle=0.0, top=1.0)
    for _ in range(100):
        bet.add(1.0, canary=True)
    each = [sum(log(1.0 + stake * 1e6) for _ in range(100)) for stake in STAKES]
    assert bet.to_json()["logs"] == pytest.approx(
        [96 / 100 * one for one in each], rel=1e-6
    )  # the last four are in the products
    assert bet.log_e == pytest.approx(each[0] - log(7.0) + log(FIRST_SHARE), rel=1e-6)
