"""Nothing at the edge breaks the judge: empty arms, equal values, noughts, ten million tasks."""

import json
from dataclasses import replace
from math import inf, isfinite

import pytest

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.bernoulli import BernoulliSeries
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.latency import LatencySeries
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.fleet.task import Outcome
from tests.unit.judge.records import ROLE, SALT, a_record
from tests.unit.judge.test_intake import ANALYSIS, GROUPED


def a_task(number, *, canary, figure, outcome=Outcome.COMPLETED):
    """A task whose every figure is the same number."""
    return replace(
        a_record(number, canary=canary, outcome=outcome, latency_s=figure, errors=int(figure > 0)),
        input_tokens=int(figure),
        output_tokens=0,
        cost_usd=figure,
        scores={"quality": min(1.0, figure)},
        message_latency_s={ROLE: (figure,) * 3},
        memory_bytes={ROLE: figure},
        started_s=float(number),
    )


def judged(tasks, analysis=ANALYSIS):
    judge = Judge(analysis, role=ROLE, salt=SALT)
    judge.feed(list(tasks))
    verdict = judge.verdict()
    json.dumps(judge.to_json(), allow_nan=False)
    for one in verdict.signals:
        assert isfinite(one.e_harm)
        assert isfinite(one.e_safe)
        assert one.sentence
    return verdict


@pytest.mark.parametrize("analysis", [ANALYSIS, GROUPED], ids=["tasks", "users"])
@pytest.mark.parametrize("canary", [True, False])
def test_one_empty_arm_proves_nothing_by_comparison(analysis, canary):
    tasks = [a_task(n, canary=canary, figure=n % 5 / 4.0) for n in range(1, 700)]
    for one, signal in zip(judged(tasks, analysis).signals, analysis.signals, strict=True):
        if signal.compare == "baseline":
            assert one.ruling in {Ruling.NO_DATA, Ruling.CONTINUE}, one.sentence


@pytest.mark.parametrize("figure", [0.0, 0.3, 1.0, 1e9])
@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT])
def test_equal_figures_accuse_nobody(figure, outcome):
    tasks = [a_task(n, canary=n % 2 == 0, figure=figure, outcome=outcome) for n in range(1, 900)]
    for one, signal in zip(judged(tasks).signals, ANALYSIS.signals, strict=True):
        if signal.compare == "baseline":
            assert one.ruling is not Ruling.HARM, one.sentence


def test_ten_million_tasks_of_yes_and_no():
    series = BernoulliSeries(tolerate=0.02)
    for number in range(40):
        series.add(canary=number % 2 == 0, weight=0.5, value=float(number % 4 == 0))
    state = series.to_json()
    for bet in ("harm", "safe"):
        state[bet]["folded"] = [4_750_000, 250_000, 4_740_000, 260_000]
    series.load(state)
    for number in range(1000):
        series.add(canary=number % 2 == 0, weight=0.5, value=0.0)
    assert all(isfinite(one) for one in series.levels())
    assert series.tasks_to_safe(1e6) > 0.0


def test_ten_million_latencies():
    series = LatencySeries(quantile=None, tolerate=0.25)
    for number in range(900):
        series.add(canary=number % 2 == 0, weight=0.5, value=inf if number % 90 == 0 else 1.0)
    state = series.to_json()
    state["tasks"] = [5_000_000, 5_000_000]
    for part in state["parts"]:
        for bet in ("harm", "safe"):
            part[bet]["folded"] = [10**7, 10**6, 10**7, 10**6]
            part[bet]["logs"] = [-1e6 for _ in part[bet]["logs"]]
    series.load(state)
    for number in range(1000):
        series.add(canary=number % 2 == 0, weight=0.5, value=inf if number % 90 == 0 else 1.0)
    reading = series.read()
    assert reading.tasks_baseline == 5_000_500
    assert isfinite(reading.log_harm)
    assert isfinite(reading.log_safe)


def test_evidence_beyond_all_numbers_is_harm_and_can_be_written():
    tasks = [
        a_task(n, canary=n % 2 == 0, figure=1.0 if n % 2 else 50.0, outcome=outcome)
        for n in range(1, 4000)
        for outcome in [Outcome.COMPLETED if n % 2 else Outcome.FAILED]
    ]
    verdict = judged(tasks, Analysis(signals=ANALYSIS.signals[:10]))
    assert verdict.ruling is Ruling.HARM
    assert max(one.e_harm for one in verdict.signals) == 1e12
