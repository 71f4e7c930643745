"""Ranks among older values: the worked example, validity, ties, endless values."""

import json
import random
from math import exp, inf, log

import numpy as np
import pytest

from rolewise.coordinator.judge.latency import LatencySeries
from rolewise.coordinator.judge.packing import unpack_single
from rolewise.coordinator.judge.rank_bet import SHARES, SLOWDOWNS, RankBet, rank_of
from tests.unit.judge.stopping import Step, add_to_series, best_stopped_mean, harm, safe

REFERENCE = [3.0, 5.0, 7.0, 8.0, 9.0, 11.0, 12.0, 15.0, 20.0, 40.0]
VALUES = (13.0, 6.0, 50.0, 9.0, 4.0, 30.0)
ARMS = (1, 0, 1, 0, 0, 1)


def a_rank_bet(reference=REFERENCE, weight=0.25):
    bet = RankBet()
    bet.freeze(reference, weight)
    return bet


def log_e(bet):
    return bet.log_e


def test_w11_ranks_and_evidence():
    ranks = [rank_of(REFERENCE, value) for value in VALUES]
    wanted = [0.681818, 0.227273, 0.954545, 0.454545, 0.136364, 0.863636]
    assert ranks == pytest.approx(wanted, abs=5e-7)
    bet = a_rank_bet()
    for arm, value in zip(ARMS, VALUES, strict=True):
        bet.add(value, canary=bool(arm))
    each = [exp(one) for one in bet.to_json()["logs"]]
    assert each == pytest.approx([1.288470, 1.687877, 2.212165, 2.745463, 2.712647], abs=5e-7)
    assert exp(bet.log_e) == pytest.approx(2.129324, abs=5e-7)


def test_every_factor_is_the_label_bet_of_its_rank():
    """The table of a frozen sample against the formula, for a value in each place."""
    for value in (1.0, 3.0, 6.0, 40.0, 41.0, inf):
        for canary in (False, True):
            bet = a_rank_bet()
            bet.add(value, canary=canary)
            rank = rank_of(REFERENCE, value)
            mean = 0.0
            for share, slowdown in zip(SHARES, SLOWDOWNS, strict=True):
                ratio = (1.0 / slowdown) * (1.0 - rank) ** (1.0 / slowdown - 1.0)
                mean += share * (ratio if canary else 1.0) / (0.25 * ratio + 0.75)
            assert exp(bet.log_e) == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize(
    "canary",
    [
        [(0.5, 2.0), (0.3, 10.0), (0.2, inf)],  # like the baseline
        [(0.7, 2.0), (0.2, 10.0), (0.1, inf)],  # never larger
    ],
)
def test_ranks_are_valid_whenever_one_stops(canary):
    def add(bet, is_canary, weight, value):
        bet.add(value, canary=is_canary)

    baseline = [(0.5, 2.0), (0.3, 10.0), (0.2, inf)]
    steps = [Step(0.25, baseline, canary)] * 4
    bet = a_rank_bet([1.0, 2.0, 2.0, 9.0])
    assert best_stopped_mean(bet, steps, add=add, log_e=log_e) <= 1.0 + 1e-9


@pytest.mark.parametrize("read", [harm, safe])
@pytest.mark.parametrize("quantile", [None, 0.5])
def test_latencies_are_valid_whenever_one_stops(monkeypatch, read, quantile):
    """The mark is drawn from the same tasks, on the way, and anew at another weight."""
    monkeypatch.setattr("rolewise.coordinator.judge.latency.least_units", lambda _: 3)
    values = [(0.6, 1.0), (0.4, 3.0)]
    slower = values if read is harm else [(chance, 1.5 * value) for chance, value in values]
    steps = [Step(weight, values, slower) for weight in (0.3, 0.3, 0.5, 0.5)]
    series = LatencySeries(quantile=quantile, tolerate=0.5)
    for value in (1.0, 3.0):
        series.add(canary=False, weight=0.3, value=value)
    assert best_stopped_mean(series, steps, add=add_to_series, log_e=read) <= 1.0 + 1e-9


def test_a_slow_canary_is_found_by_ranks_alone():
    rng = random.Random(4)
    bet = a_rank_bet(sorted(rng.expovariate(1.0) for _ in range(200)), weight=0.5)
    for number in range(400):
        canary = number % 2 == 0
        bet.add(rng.expovariate(1.0) * (1.6 if canary else 1.0), canary=canary)
    assert bet.log_e > log(100)


def test_equal_values_accuse_nobody():
    bet = a_rank_bet([2.0] * 50, weight=0.5)
    for number in range(2000):
        bet.add(2.0, canary=number % 2 == 0)
    assert bet.log_e <= 0.0


def test_nothing_is_counted_before_there_is_a_sample():
    bet = RankBet()
    bet.add(inf, canary=True)
    assert bet.log_e == pytest.approx(0.0)
    assert np.isfinite(bet.log_e)


def test_values_above_the_sample_are_one_whether_they_end_or_not():
    reference = [1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, inf]
    logs = []
    for value in (4.5, 1000.0, inf):
        bet = a_rank_bet(reference)
        assert bet.top == 4.0
        bet.add(value, canary=True)
        logs.append(bet.log_e)
    assert logs[0] == logs[1] == logs[2] > 0.0


def test_a_large_sample_is_thinned_to_what_the_state_can_carry():
    rng = random.Random(8)
    values = sorted(rng.lognormvariate(0.0, 0.8) for _ in range(1000))
    bet = a_rank_bet(values)
    assert len(json.dumps(bet.to_json())) < 1600
    thin = unpack_single(bet.to_json()["ordered"])
    for level in (0.1, 0.5, 0.9, 0.99):
        value = values[int(1000 * level)]
        assert rank_of(thin, value) == pytest.approx(rank_of(values, value), abs=0.004)


@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.1])
def test_constant_latencies_are_equal_to_their_mark_whatever_their_last_bit(seconds):
    series = LatencySeries(quantile=0.95, tolerate=0.25)
    for number in range(1500):
        series.add(canary=number % 2 == 0, weight=0.5, value=seconds)
    log_harm, log_safe = series.levels()
    assert log_harm <= 0.0
    assert log_safe > log(1000)
