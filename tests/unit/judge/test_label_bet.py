"""One e-process: worked paths, validity by enumeration, resume, error rates by simulation."""

import json
import random
from itertools import product
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.bernoulli import harm_bet, safe_bet
from rolewise.coordinator.judge.exceedance import fast_bet
from rolewise.coordinator.judge.label_bet import Bet, LabelBet, log_mean_exp
from rolewise.coordinator.judge.projection import Null, log_factors

ARMS = (0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0)
FAILURES = (0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0)


def logs_at(bet, weight, rate, *, canary, baseline):
    """Log products at a fixed baseline rate, for (bad, count) of each arm."""
    cells = (baseline[1] - baseline[0], baseline[0], canary[1] - canary[0], canary[0])
    return [
        sum(n * f for n, f in zip(cells, log_factors(weight, q, rate, bet.null), strict=True))
        for q in bet.alternatives(rate)
    ]


def test_w2_and_w6_single_alternative():
    bet = Bet(null=Null(claim="harmless"), alternatives=lambda _: (0.10,), shares=(1.0,))
    early = logs_at(bet, 0.05, 0.05, canary=(6, 50), baseline=(50, 950))
    late = logs_at(bet, 0.25, 0.05, canary=(12, 100), baseline=(15, 300))
    assert late == pytest.approx([2.475444], abs=5e-7)
    assert early == pytest.approx([1.535161], abs=5e-7)
    assert early[0] + late[0] == pytest.approx(4.010606, abs=1e-6)


ALIKE = (1 / 6,) * 6  # as in the note's examples


def test_w3_rollback_mixture():
    bet = harm_bet(shares=ALIKE)
    logs = logs_at(bet, 0.25, 0.05, canary=(12, 100), baseline=(15, 300))
    rates = [0.068627, 0.095238, 0.136364, 0.208333, 0.344828, 0.568182]
    assert bet.alternatives(0.05) == pytest.approx(rates, abs=5e-7)
    wanted = [1.485934, 2.400240, 2.535902, 1.210886, -3.860433, -20.053076]
    assert logs == pytest.approx(wanted, abs=5e-7)
    assert log_mean_exp(logs, bet.shares) == pytest.approx(1.656647, abs=5e-7)


def test_w4_path_with_a_refresh_before_every_task():
    bet = LabelBet(harm_bet(shares=ALIKE))
    for arm, failure in zip(ARMS, FAILURES, strict=True):
        bet.refresh(0.25)
        bet.add(canary=bool(arm), weight=0.25, bad=bool(failure))
    assert bet.log_e == pytest.approx(2.592078, abs=5e-7)
    assert exp(bet.log_e) == pytest.approx(13.357499, abs=5e-6)


def test_w4_path_with_the_own_schedule():
    bet = LabelBet(harm_bet(shares=ALIKE))
    for arm, failure in zip(ARMS, FAILURES, strict=True):
        bet.add(canary=bool(arm), weight=0.25, bad=bool(failure))
    assert bet.log_e == pytest.approx(2.795242, abs=1e-5)


def test_w8_promote_mixture():
    bet = safe_bet(0.02)
    logs = logs_at(bet, 0.25, 0.05, canary=(20, 500), baseline=(80, 1500))
    assert bet.alternatives(0.05) == pytest.approx([0.05, 0.058, 0.025], abs=1e-12)
    assert logs == pytest.approx([3.298734, 2.208315, 2.545728], abs=5e-7)
    assert log_mean_exp(logs, bet.shares) == pytest.approx(2.944565, abs=5e-7)


def test_w9_exceedance_promote():
    bet = fast_bet(0.95)
    logs = logs_at(bet, 0.25, 0.05, canary=(8, 500), baseline=(75, 1500))
    assert logs == pytest.approx([1.961344, 4.326483, 6.380531], abs=5e-7)
    assert log_mean_exp(logs, bet.shares) == pytest.approx(5.413174, abs=5e-7)


@pytest.mark.parametrize(
    ("bet", "canary", "baseline"),
    [
        (harm_bet(), 0.2, 0.2),
        (harm_bet(), 0.0, 0.0),
        (harm_bet(), 1.0, 1.0),
        (harm_bet(0.1), 0.4, 0.3),
        (safe_bet(0.1), 0.4, 0.3),
        (safe_bet(0.1), 0.1, 0.0),
        (fast_bet(0.5), 0.5, 0.5),
    ],
)
def test_the_mean_over_all_paths_is_at_most_one_on_the_border(bet, canary, baseline):
    """Every path of six tasks, the weight raised in the middle, a refresh before each task."""
    mean = 0.0
    for cells in product(range(4), repeat=6):
        chance, run = 1.0, LabelBet(bet)
        for number, cell in enumerate(cells):
            weight = 0.2 if number < 3 else 0.5
            arm, bad = divmod(cell, 2)
            rate = canary if arm else baseline
            chance *= (weight if arm else 1 - weight) * (rate if bad else 1 - rate)
            if not chance:
                break
            run.refresh(weight)
            run.add(canary=bool(arm), weight=weight, bad=bool(bad))
        mean += chance * exp(run.log_e) if chance else 0.0
    assert mean <= 1.0 + 1e-6


tasks = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.05, 0.25, 0.5]), st.booleans()), max_size=80
)


@given(tasks=tasks, cut=st.integers(0, 80))
def test_a_resumed_process_equals_an_uninterrupted_one(tasks, cut):
    whole = LabelBet(safe_bet(0.02))
    part = LabelBet(safe_bet(0.02))
    for number, (canary, weight, bad) in enumerate(tasks):
        if number == cut:
            stored = json.loads(json.dumps(part.to_json()))
            part = LabelBet(safe_bet(0.02))
            part.load(stored)
        whole.add(canary=canary, weight=weight, bad=bad)
        part.add(canary=canary, weight=weight, bad=bad)
    assert part.to_json() == whole.to_json()
    assert part.log_e == whole.log_e


def test_an_identical_canary_is_seldom_accused_however_often_one_looks():
    alarms, runs = 0, 200
    for seed in range(runs):
        draw = random.Random(seed).random
        bet = LabelBet(harm_bet())
        top = 0.0
        for number in range(2000):
            weight = 0.05 if number < 500 else 0.5
            # the failure rate drifts with the weight: a pooled test would see a difference
            rate = 0.02 if number < 500 else 0.15
            bet.add(canary=draw() < weight, weight=weight, bad=draw() < rate)
            if number % 20 == 19:
                top = max(top, bet.log_e)
        alarms += exp(top) >= 20.0
    assert alarms / runs <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5


def test_a_canary_at_the_margin_is_seldom_promoted():
    promoted, runs = 0, 100
    for seed in range(runs):
        draw = random.Random(seed).random
        bet = LabelBet(safe_bet(0.05))
        top = 0.0
        for number in range(2000):
            canary = draw() < 0.5
            bet.add(canary=canary, weight=0.5, bad=draw() < (0.10 if canary else 0.05))
            if number % 20 == 19:
                top = max(top, bet.log_e)
        promoted += exp(top) >= 20.0
    assert promoted / runs <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5


def test_a_forecast_falls_as_evidence_grows():
    bet = LabelBet(safe_bet(0.05))
    forecasts = []
    for number in range(1200):
        bet.add(canary=number % 2 == 0, weight=0.5, bad=number % 20 in (3, 8))
        if number in (99, 599):
            forecasts.append(bet.tasks_to(3.0))
    assert forecasts[0] > forecasts[1] > 0
    assert bet.tasks_to(3.0) == 0.0


def test_no_forecast_for_a_canary_that_looks_harmful():
    bet = LabelBet(safe_bet(0.05))
    for number in range(1000):
        bet.add(canary=number % 2 == 0, weight=0.5, bad=number % 4 == 0)
    assert bet.tasks_to(3.0) is None
