"""Absolute limits, exceedance, intervals, planning."""

import json
import random
from math import exp, inf, log

import numpy as np
import pytest

from rolewise.coordinator.judge.absolute import AbsoluteSeries, log_higher, log_lower
from rolewise.coordinator.judge.analysis import Analysis, Signal, harm_threshold, safe_threshold
from rolewise.coordinator.judge.bernoulli import BernoulliSeries
from rolewise.coordinator.judge.interval import rate_interval, standard_rates
from rolewise.coordinator.judge.latency import LatencySeries
from rolewise.coordinator.judge.planning import tasks_needed
from rolewise.coordinator.judge.quantities import about, seconds

COMPLETION = Signal(name="completion", metric="task.completed", tolerate=0.02)
TOOLS = Signal(name="tools", metric="tool.error")
P95 = Signal(name="p95", metric="task.latency", tolerate=0.25, quantile=0.95)


def test_w16_absolute_limit():
    each = [log_higher_alone(9, 20, 0.2, rate) for rate in (0.3, 0.5, 0.8)]
    assert [exp(one) for one in each] == pytest.approx([8.849320, 21.684043, 0.0625], abs=1e-6)
    assert exp(log_higher(9, 20, 0.2)) == pytest.approx(10.198621, abs=1e-6)


def log_higher_alone(bad, count, limit, rate):
    return bad * log(rate / limit) + (count - bad) * log((1 - rate) / (1 - limit))


@pytest.mark.parametrize("evidence", [log_higher, log_lower])
def test_absolute_evidence_has_mean_one_at_the_limit(evidence):
    def chance(bad, count, rate):
        return (
            float(np.prod([(count - k) / (k + 1) for k in range(bad)]))
            * rate**bad
            * (1 - rate) ** (count - bad)
        )

    mean = sum(chance(bad, 12, 0.2) * exp(evidence(bad, 12, 0.2)) for bad in range(13))
    assert mean == pytest.approx(1.0, abs=1e-9)


def test_an_absolute_series_counts_the_canary_alone():
    series = AbsoluteSeries(
        Signal(name="slo", metric="task.latency", compare="absolute", limit=2.0, quantile=0.9)
    )
    for number in range(200):
        late = number % 3 == 0
        assert series.add(canary=True, weight=0.1, value=inf if late else 1.0) is late
        assert series.add(canary=False, weight=0.1, value=inf) is False
    reading = series.read()
    assert (reading.tasks_canary, reading.tasks_baseline) == (200, 0)
    assert reading.canary is None
    assert reading.log_harm > log(1000)
    assert reading.log_safe < 0
    assert series.tasks_to_safe(3.0) is None


def a_latency_series(count, *, slow=1.0, seed=3, draw=None, tolerate=0.25, quantile=0.95):
    rng = random.Random(seed)
    series = LatencySeries(quantile=quantile, tolerate=tolerate)
    for _ in range(count):
        canary = rng.random() < 0.5
        value = (draw or (lambda r: r.lognormvariate(0.0, 0.8)))(rng) * (slow if canary else 1.0)
        series.add(canary=canary, weight=0.5, value=value)
    return series


def test_a_slow_canary_is_found_and_its_interval_holds_the_truth():
    reading = a_latency_series(4000, slow=1.6).read()
    assert reading.log_harm > log(1000)
    low, high = reading.interval
    assert 0.0 < low < 0.6 < high
    assert reading.difference == pytest.approx(0.6, abs=0.25)


def test_an_equally_fast_canary_is_seldom_accused_or_promoted_without_room():
    alarms, runs = [0, 0], 60
    for seed in range(runs):
        rng = random.Random(seed)
        series = LatencySeries(quantile=0.9, tolerate=0.0)
        tops = [0.0, 0.0]
        for number in range(1500):
            canary = rng.random() < 0.3
            series.add(canary=canary, weight=0.3, value=rng.expovariate(1.0))
            if number % 100 == 99:
                reading = series.read()
                tops = [max(tops[0], reading.log_harm), max(tops[1], reading.log_safe)]
        alarms = [count + (top >= log(20)) for count, top in zip(alarms, tops, strict=True)]
    assert max(alarms) / runs <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5


def test_an_equal_canary_is_shown_safe_at_the_median():
    reading = a_latency_series(3000, quantile=0.5).read()
    assert reading.log_safe > log(20)
    assert reading.log_harm < log(20)
    low, high = reading.interval
    assert low < 0.0 < high < 0.5


def test_equal_latencies_are_safe_and_a_slower_constant_is_harm():
    constant = lambda _: 1.0  # noqa: E731 - a distribution
    assert a_latency_series(2000, draw=constant).read().log_safe > log(20)
    assert a_latency_series(2000, draw=constant, slow=1.5).read().log_harm > log(1000)


def test_a_baseline_that_never_ends_is_said_not_guessed():
    reading = a_latency_series(1000, draw=lambda rng: inf if rng.random() < 0.2 else 1.0).read()
    assert (reading.log_harm, reading.log_safe) == pytest.approx((0.0, 0.0))
    assert reading.interval is None
    assert "no p95 to compare" in reading.note


def test_the_mark_waits_for_enough_of_the_baseline():
    series = a_latency_series(150)
    reading = series.read()
    assert (reading.log_harm, reading.log_safe) == pytest.approx((0.0, 0.0))
    assert "200 tasks of the baseline" in reading.note
    assert series.tasks_to_safe(log(20)) > 100


def test_latency_state_with_endless_values_is_strict_json():
    series = a_latency_series(700, draw=lambda rng: inf if rng.random() < 0.02 else rng.random())
    stored = json.loads(json.dumps(series.to_json(), allow_nan=False))
    again = LatencySeries(quantile=0.95, tolerate=0.25)
    again.load(stored)
    assert again.read() == series.read()
    assert again.to_json() == stored


@pytest.mark.parametrize("rates", [(0.05, 0.05), (0.07, 0.25), (0.0, 0.0), (1.0, 1.0), (0.6, 0.1)])
def test_difference_intervals_hold_the_truth_and_shrink(rates):
    misses = 0
    for seed in range(20):
        rng = random.Random(seed)
        series = BernoulliSeries(tolerate=0.02)
        widths = []
        for number in range(1, 2001):
            canary = rng.random() < 0.3
            series.add(canary=canary, weight=0.3, value=float(rng.random() < rates[canary]))
            if number in (500, 2000):
                low, high = series.read().interval
                misses += not low <= rates[1] - rates[0] <= high
                widths.append(high - low)
        assert widths[1] < widths[0]
        assert widths[1] < 0.25
    assert misses <= 2


def test_rates_are_compared_within_weights():
    """Failures drift from 2 to 20 % while the weight rises: pooled shares would differ."""
    weights = np.array([0.05, 0.5])
    cells = np.array([[931.0, 19.0, 49.0, 1.0], [400.0, 100.0, 400.0, 100.0]])
    baseline, canary = standard_rates(weights, cells)
    assert canary - baseline == pytest.approx(0.0, abs=1e-9)
    assert standard_rates(weights[:1], np.array([[5.0, 1.0, 0.0, 0.0]])) is None


@pytest.mark.parametrize(("bad", "count"), [(0, 50), (50, 50), (7, 100)])
def test_a_rate_interval_holds_its_rate(bad, count):
    low, high = rate_interval(bad, count)
    assert low <= max(1e-6, bad / count)
    assert high >= min(1 - 1e-6, bad / count)
    assert high - low < 0.25
    assert rate_interval(0, 0) is None


def test_thresholds_share_alpha_between_deciding_signals():
    dry = Signal(name="dry", metric="tool.error", dry_run=True)
    analysis = Analysis(alpha=0.05, signals=(COMPLETION, TOOLS, P95, dry))
    parts = [1 / (0.05 * harm_threshold(analysis, one)) for one in analysis.deciding]
    assert sum(parts) == pytest.approx(1.0)
    assert parts[0] == pytest.approx(0.4 / 0.7)
    assert harm_threshold(analysis, dry) > harm_threshold(analysis, TOOLS)
    assert (safe_threshold(analysis, "full"), safe_threshold(analysis, "gate")) == (20.0, 2.0)


def test_planning_follows_the_bound():
    analysis = Analysis(signals=(COMPLETION,))
    # 2.4 times the table's 4301 and 2892 tasks
    assert tasks_needed(analysis, weight=25).tasks == pytest.approx(2.4 * 4301, rel=1e-3)
    assert tasks_needed(analysis, weight=50).tasks == pytest.approx(2.4 * 2892, rel=1e-3)
    assert tasks_needed(analysis, weight=50, evidence="gate").tasks < 2000
    with_latency = Analysis(signals=(COMPLETION, P95))
    assert tasks_needed(with_latency, weight=50).tasks >= tasks_needed(analysis, weight=50).tasks
    slo = Signal(name="slo", metric="tool.error", compare="absolute", limit=0.2)
    assert 0 < tasks_needed(Analysis(signals=(slo,)), weight=50).tasks < 500


def test_planning_says_when_no_number_is_enough():
    never = Signal(name="completion", metric="task.completed", tolerate=0.0)
    assert tasks_needed(Analysis(signals=(never,)), weight=50).tasks is None
    optional = Signal(name="c", metric="task.completed", tolerate=0.0, required=False)
    assert tasks_needed(Analysis(signals=(optional,), min_tasks=100), weight=50).tasks == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "task.completed", "compare": "absolute"}, "needs a limit"),
        ({"metric": "task.completed", "compare": "absolute", "limit": 95.0}, "limit is 95"),
        ({"metric": "task.completed", "tolerate": 2.0}, "tolerate is 2"),
        ({"metric": "task.latency", "quantile": 95.0}, "quantile is 95"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Signal(name="x", **arguments)


def test_two_signals_of_one_name_are_refused():
    with pytest.raises(ValueError, match="2 signals are called completion"):
        Analysis(signals=(COMPLETION, COMPLETION))


@pytest.mark.parametrize(
    ("tasks", "words"), [(0.2, "1"), (7.4, "7"), (183, "180"), (12345, "12 000")]
)
def test_forecasts_are_round(tasks, words):
    assert about(tasks) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.0123, "12.3 ms"), (2.306, "2.31 s"), (1234.5, "1234 s")]
)
def test_seconds_have_three_digits(value, words):
    assert seconds(value) == words
