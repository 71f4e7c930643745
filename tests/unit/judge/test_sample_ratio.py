"""The draw of the arms: the worked example, validity, and what is found."""

import json
import random
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.sample_ratio import BROKEN_AT, SampleRatio, log_evidence
from tests.unit.judge.stopping import Step, best_stopped_mean

ANY = [(1.0, None)]


def add(ratio, canary, weight, _):
    ratio.add(canary=canary, weight=weight)


def log_e(ratio):
    return ratio.log_e


def test_w15_eighty_of_a_thousand_at_five_percent():
    evidence = log_evidence(0.05, 80, 920, 1000.0)
    assert evidence == pytest.approx(3.874628, abs=5e-7)
    assert exp(evidence) == pytest.approx(48.164771, abs=5e-6)


@pytest.mark.parametrize("weights", [(0.05,) * 8, (0.01, 0.05, 0.25, 0.5, 0.5, 0.05, 0.25)])
def test_it_is_valid_whenever_one_stops(weights):
    steps = [Step(weight, ANY, ANY) for weight in weights]
    assert best_stopped_mean(SampleRatio(), steps, add=add, log_e=log_e) <= 1.0 + 1e-9


def test_a_fair_draw_is_seldom_called_broken_and_a_wrong_one_is_found():
    alarms = {0.05: 0, 0.08: 0}
    for share in alarms:
        for seed in range(40):
            draw = random.Random(seed).random
            ratio = SampleRatio()
            for number in range(6000):
                ratio.add(canary=draw() < share, weight=0.05)
                if number % 100 == 99 and ratio.log_e >= log(BROKEN_AT):
                    alarms[share] += 1
                    break
    assert alarms[0.05] == 0
    assert alarms[0.08] == 40


def test_no_canary_at_all_is_a_broken_draw():
    ratio = SampleRatio()
    needed = 0
    while ratio.log_e < log(BROKEN_AT):
        ratio.add(canary=False, weight=0.05)
        needed += 1
    assert 100 < needed < 400
    assert ratio.sentence().startswith("0.0 % of ")


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0]))))
def test_a_resumed_count_equals_an_uninterrupted_one_in_any_order(tasks):
    whole, part = SampleRatio(), SampleRatio()
    for number, (canary, weight) in enumerate(tasks):
        if number == len(tasks) // 2:
            stored = json.loads(json.dumps(part.to_json()))
            part = SampleRatio()
            part.load(stored)
        whole.add(canary=canary, weight=weight)
        part.add(canary=canary, weight=weight)
    assert part.to_json() == whole.to_json()
    assert part.log_e == whole.log_e
    drawn = [one for one in tasks if 0.0 < one[1] < 1.0]
    assert sum(sum(row[1:]) for row in whole.to_json()) == len(drawn)


@pytest.mark.parametrize(("canary", "baseline"), [(500_000, 9_500_000), (10**7, 0), (0, 10**7)])
def test_ten_million_tasks_are_no_trouble(canary, baseline):
    ratio = SampleRatio()
    ratio.load([[0.05, baseline, canary]])
    is_fair = canary == 500_000
    assert (ratio.log_e < 0.0) is is_fair
    assert (ratio.log_e > log(BROKEN_AT)) is not is_fair
