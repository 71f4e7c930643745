"""Restarts: late harm is found, and evidence stays valid whenever one stops looking."""

import itertools
import json
import random
from math import exp, log

import pytest

from rolewise.coordinator.judge import restarts
from rolewise.coordinator.judge.bernoulli import harm_bet
from rolewise.coordinator.judge.label_bet import LabelBet
from rolewise.coordinator.judge.means import MeanSeries
from rolewise.coordinator.judge.restarts import Restarts
from tests.unit.judge.stopping import Step, add_to_series, best_stopped_mean, harm

EVEN = [(0.5, False), (0.5, True)]


def add_bad(bet, canary, weight, bad):
    bet.add(canary=canary, weight=weight, bad=bad)


def log_e(bet):
    return bet.log_e


def test_a_coin_is_never_spent_before_it_is_bet():
    kept = [restarts.kept_share(starts) for starts in range(10_000)]
    assert restarts.FIRST_SHARE + kept[0] == pytest.approx(1.0)
    assert all(one > more > 0.0 for one, more in itertools.pairwise(kept))
    assert Restarts(2).log_e([0.0, 0.0], (0.5, 0.5)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("changes", [(0.2, 0.2, 0.5, 0.5, 0.5), (0.5, 0.2, 0.5, 0.2)])
def test_a_label_bet_with_restarts_is_valid_whenever_one_stops(changes):
    steps = [Step(weight, EVEN, EVEN) for weight in changes]
    best = best_stopped_mean(LabelBet(harm_bet(restarts=True)), steps, add=add_bad, log_e=log_e)
    assert best <= 1.0 + 1e-9


def test_restarts_that_no_weight_calls_for_are_valid_whenever_one_stops(monkeypatch):
    monkeypatch.setattr(restarts, "LEAST_UNITS", 2)
    monkeypatch.setattr("rolewise.coordinator.judge.label_bet.REFRESH_TASKS", 1)
    bet = LabelBet(harm_bet(restarts=True))
    best = best_stopped_mean(bet, [Step(0.4, EVEN, EVEN)] * 5, add=add_bad, log_e=log_e)
    assert best <= 1.0 + 1e-9


def test_a_linear_bet_with_restarts_is_valid_whenever_one_stops(monkeypatch):
    monkeypatch.setattr("rolewise.coordinator.judge.means.LEAST_BLOCK", 2)
    values = [(0.25, 0.0), (0.75, 0.6)]
    steps = [Step(weight, values, values) for weight in (0.2, 0.2, 0.5, 0.5, 0.2)]
    series = MeanSeries(is_relative=False, tolerate=0.1)
    assert best_stopped_mean(series, steps, add=add_to_series, log_e=harm) <= 1.0 + 1e-9


def test_the_evidence_is_the_sum_over_all_starts():
    parts, shares = Restarts(2), (0.5, 0.5)
    starts = [(0.0, 0.0), (-4.0, -2.0), (-6.0, -1.0)]
    for units, logs in enumerate(starts[1:], 50):
        parts.note(logs, units=units, changed=True)
    now = (-3.0, 2.0)
    kept = [restarts.kept_share(count) for count in range(3)]
    coins = [restarts.FIRST_SHARE, kept[0] - kept[1], kept[1] - kept[2]]
    wanted = kept[2] + sum(
        coin * sum(0.5 * exp(one - before) for one, before in zip(now, start, strict=True))
        for coin, start in zip(coins, starts, strict=True)
    )
    assert parts.log_e(now, shares) == pytest.approx(log(wanted), abs=1e-12)


def test_evidence_of_any_size_is_summed_and_the_state_does_not_grow():
    parts = Restarts(1)
    parts.note([-5000.0], units=10, changed=True)
    assert parts.log_e([-9000.0], (1.0,)) == pytest.approx(log(restarts.kept_share(1)))
    assert parts.log_e([90_000.0], (1.0,)) > 90_000.0
    for units in range(1, 500):
        parts.note([0.0], units=units, changed=True)
    assert len(json.dumps(parts.to_json())) < 100


def test_late_harm_is_found_sooner_than_without_restarts():
    delays = {True: 0, False: 0}
    for seed in range(6):
        for is_kept in (True, False):
            draw = random.Random(seed).random
            bet = LabelBet(harm_bet(restarts=is_kept))
            for number in range(12_000):
                canary = draw() < 0.25
                rate = 0.2 if canary and number >= 6000 else 0.05
                bet.add(canary=canary, weight=0.25, bad=draw() < rate)
                if number >= 6000 and number % 10 == 0 and bet.log_e >= log(20.0):
                    break
            delays[is_kept] += number - 6000
    assert 0 < delays[True] < 0.85 * delays[False]
