"""The benchmarks of the judge run, their rules do what they say, their bounds are exact."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import judge_peers as peers  # noqa: E402
from judge_report import bound_tasks, lower_bound, upper_bound  # noqa: E402
from judge_speed import SIGNALS, measure  # noqa: E402


def test_the_short_form_measures_every_rule_in_every_cell(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "judge_operating.py"), "--short"]
    done = subprocess.run(
        [*command, "--workers", "1", "--out", str(tmp_path)],
        cwd=BENCHMARKS.parent,
        env={"PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads((tmp_path / "judge_operating.json").read_text())
    assert (tmp_path / "judge_operating.txt").read_text() == done.stdout
    rules = {"rolewise", "mann-whitney", "z-test", "window, best valid", "bound"}
    assert {(one["rule"], one["weight"]) for one in report["curves"]} == {
        (rule, weight) for rule in rules for weight in (0.05, 0.25, 0.5)
    }
    for curve in report["curves"]:
        assert [one["canary_completion"] for one in curve["points"]] == [0.93, 0.9, 0.8, 0.5]
    kinds = {one["kind"] for one in report["false_rollback"]}
    assert len(kinds) == 13
    assert all(0.0 <= one["rate"] <= one["upper_95"] <= 1.0 for one in report["false_rollback"])
    assert {"latency", "tokens", "score"} < {one["kind"] for one in report["false_promotion"]}
    assert "WANTED" in done.stdout
    assert f"seed {report['seed']}" in done.stdout


def test_state_is_small_and_does_not_grow_with_the_tasks():
    few, many = (measure(count, 500, verdicts=1) for count in (5000, 15_000))
    assert few.signals == len(SIGNALS) == 8
    assert max(many.state_bytes.values()) < 20 * 1024
    assert many.judge_bytes < 1.25 * few.judge_bytes


def test_the_bound_is_that_of_the_design():
    wanted = {(0.05, 0.90): 3095, (0.25, 0.80): 132, (0.5, 0.50): 21, (0.25, 0.93): 4367}
    for (weight, completion), tasks in wanted.items():
        assert round(bound_tasks(weight, completion)) == tasks


@pytest.mark.parametrize(("hits", "runs"), [(0, 20), (3, 20), (20, 20), (17, 400)])
def test_rates_have_exact_bounds(hits, runs):
    exact = stats.binomtest(hits, runs).proportion_ci(confidence_level=0.9, method="exact")
    assert lower_bound(hits, runs, 0.05) == pytest.approx(exact.low, abs=1e-9)
    assert upper_bound(hits, runs, 0.05) == pytest.approx(exact.high, abs=1e-9)


def some_minutes(minutes, *, canary_bad, baseline_bad=0):
    """Minutes of 60 tasks, 30 an arm; so many of each arm's fail, the first ones."""
    canary = np.tile(np.arange(60) % 2 == 0, minutes)[None, :]
    place = np.tile(np.arange(60) // 2, minutes)[None, :]
    return canary, place < np.where(canary, canary_bad, baseline_bad)


def test_the_window_rule_counts_failed_checks():
    canary, failed = some_minutes(30, canary_bad=4)  # 86.7 % a minute
    alarms = dict(zip(peers.SETTINGS, peers.windows(canary, failed)[0], strict=True))
    assert alarms[0.90, 1] == 60
    assert alarms[0.88, 10] == 600
    assert alarms[0.85, 1] == np.inf
    assert alarms[0.90, 20] == 1200


def test_mann_whitney_looks_every_ten_minutes_and_is_that_of_scipy():
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 6, 40) / 30.0, rng.integers(0, 5, 35) / 30.0
    wanted = stats.mannwhitneyu(x, y, alternative="greater", method="asymptotic").pvalue
    assert stats.norm.sf(peers._rank_z(x, y)) == pytest.approx(wanted, abs=1e-12)
    assert peers.mann_whitney(*some_minutes(60, canary_bad=3), 0.5)[0] == 1200
    assert peers.mann_whitney(*some_minutes(60, canary_bad=3, baseline_bad=3), 0.5)[0] == np.inf


def test_the_repeated_z_test_starts_at_thirty_tasks_an_arm():
    canary, failed = some_minutes(5, canary_bad=30)
    assert peers.repeated_z(canary, failed)[0] == 60
    canary, failed = some_minutes(5, canary_bad=2, baseline_bad=2)
    assert peers.repeated_z(canary, failed)[0] == np.inf
