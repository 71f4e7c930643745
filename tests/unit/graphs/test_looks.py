"""Looks: what they may spend, what they say, when they say nothing."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from rolewise.graphs.patterns import (
    alpha_at,
    look,
    look_due,
    next_look_at,
)
from tests.support.pattern_fleet import ASK, NEW, compare, usual
from tests.support.task_rows import rows_of


def test_looks_share_alpha_for_ever():
    assert [next_look_at(looks) for looks in range(4)] == [25, 50, 100, 200]
    assert [look_due(n) for n in (0, 24, 25, 49, 50, 99, 100, 1600)] == [
        *(None, None, 0, 0, 1, 1, 2, 6)
    ]
    assert sum(alpha_at(number, 0.01) for number in range(10_000)) == pytest.approx(0.01, rel=1e-3)
    assert alpha_at(None, 0.01) == 0.01


def test_silence_says_what_it_could_have_seen():
    report = compare(number=2)

    assert report.state == "quiet"
    assert report.look == 2
    assert "with 100 canary and 200 baseline tasks a change by x" in report.could_see
    assert "planner -> supplier: rfq" in report.could_see


def test_more_tasks_see_smaller_changes():
    def ratio(report):
        return float(report.could_see.split("by x")[1].split()[0])

    assert ratio(compare(canary=400, baseline=800)) < ratio(compare(canary=25, baseline=50))


def lost(share_canary, share_baseline):
    rng = np.random.default_rng(11)
    tasks = [usual(rng) for _ in range(600)]
    for row, task in enumerate(tasks):
        task.partial = rng.random() < (share_canary if row >= 400 else share_baseline)
    return look(
        rows_of(tasks),
        canary=np.arange(600) >= 400,
        stratum=np.zeros(600, np.int32),
        flagged=np.zeros(600, bool),
        rng=rng,
    )


def test_gaps_in_the_telemetry_are_inconclusive_and_no_finding():
    report = lost(0.3, 0.0)

    assert report.state == "inconclusive"
    assert report.findings == ()
    assert "canary tasks has gaps" in report.reason


def test_few_gaps_alike_in_both_arms_are_left_out():
    report = lost(0.01, 0.01)

    assert report.state == "quiet"
    assert report.tasks_canary < 200


def test_gaps_in_one_arm_only_are_inconclusive_below_two_percent_too():
    rng = np.random.default_rng(12)
    tasks = [usual(rng) for _ in range(2000)]
    for task in tasks[1500:1510]:
        task.partial = True

    report = look(
        rows_of(tasks),
        canary=np.arange(2000) >= 1500,
        stratum=np.zeros(2000, np.int32),
        flagged=np.zeros(2000, bool),
        rng=rng,
    )

    assert report.state == "inconclusive"
    assert "more in one arm than chance gives" in report.reason


def test_without_both_arms_nothing_is_said():
    report = compare(baseline=0, canary=30)

    assert report.state == "inconclusive"
    assert report.reason == "no stratum has closed tasks of both arms"


def test_equal_seeds_give_equal_reports():
    def change(task, rng):
        task.sends[ASK] *= 2

    assert compare(change) == compare(change)


def test_the_graphs_distance_comes_with_what_chance_gives():
    alike = compare().distance
    apart = compare(lambda t, rng: t.sends.update({NEW: 9})).distance

    assert alike.p > 0.01
    assert 0 <= alike.value < apart.value <= 1
    assert apart.value > apart.null_95
    assert apart.p < 0.01


# How often they cry wolf.


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).parents[3] / "benchmarks" / "patterns.py"
    spec = importlib.util.spec_from_file_location("patterns_bench", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_over_repeated_looks_false_alarms_stay_within_alpha(bench):
    alarms = bench.false_alarms(40, edges=12, looks=2, share=0.3, alpha=0.2, seed=5)

    # Beyond these counts a chance of at most alpha (and its shares) would come once in 1000 runs.
    assert alarms["any"] <= 16
    assert alarms["features"] <= 10
    assert alarms["transitions"] <= 7
    assert alarms["edges"] <= 7
