"""Which signals are named: the worked examples, and an oracle that looks at every set."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.naming import closed_averages, discoveries
from rolewise.coordinator.judge.verdict import Ruling
from tests.unit.judge.records import ROLE, SALT, some_records

W14 = (400.0, 90.0, 30.0, 5.0, 1.0, 0.5, 0.2, 0.1)


def test_w13_an_average_and_a_weighted_largest():
    evidence, shares = (3.0, 40.0, 0.2, 1.5, 0.01), (0.4, 0.15, 0.15, 0.15, 0.15)
    both = list(zip(evidence, shares, strict=True))
    assert sum(e * share for e, share in both) == pytest.approx(7.4565)
    assert max(e * share for e, share in both) == pytest.approx(6.0)


def test_w14_discoveries_and_names():
    assert discoveries(W14, 0.05) == [0, 1]
    wanted = [62.4, 16.133333, 6.133333, 1.36, 0.433333, 0.266667, 0.15, 0.1]
    assert closed_averages(W14) == pytest.approx(wanted, abs=1e-6)


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=7))
def test_a_signal_is_worth_what_its_weakest_set_is(evidence):
    places = range(len(evidence))
    for place, adjusted in zip(places, closed_averages(evidence), strict=True):
        rest = [other for other in places if other != place]
        sets = (
            (place, *more) for size in range(len(evidence)) for more in combinations(rest, size)
        )
        assert adjusted == pytest.approx(
            min(sum(evidence[i] for i in chosen) / len(chosen) for chosen in sets)
        )


def test_a_verdict_of_harm_names_all_that_are_worse():
    signals = (
        Signal(name="completion", metric="task.completed"),
        Signal(name="tools", metric="tool.error"),
        Signal(name="p50", metric="task.latency", quantile=0.5),
    )
    records = list(some_records(1500, completes=(0.95, 0.6), errs=(0.02, 0.4)))
    judge = Judge(Analysis(signals=signals), role=ROLE, salt=SALT)
    judge.feed(records)
    verdict = judge.verdict()
    assert verdict.ruling is Ruling.HARM
    assert set(verdict.named) == {"completion", "tools"}
    innocent = Judge(Analysis(signals=signals), role=ROLE, salt=SALT)
    innocent.feed([replace(one, tool_errors=0) for one in some_records(1500)])
    assert innocent.verdict().named == ()
