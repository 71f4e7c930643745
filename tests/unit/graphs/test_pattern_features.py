"""Figures of the tasks: what is found, in which direction, and what stays silent."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from rolewise.graphs.patterns import (
    look,
)
from rolewise.graphs.patterns.columns import build_columns
from rolewise.graphs.patterns.features import compare_features, find_features
from rolewise.graphs.patterns.strata import Strata
from tests.support.pattern_fleet import ASK, compare, found, usual
from tests.support.task_rows import rows_of


def test_a_flood_on_one_edge_is_found_and_does_no_harm_by_itself():
    def change(task, rng):
        task.sends[ASK] *= 4
        task.sizes[ASK] *= 4

    report = compare(change)

    finding = found(report)["sends planner -> supplier: rfq"]
    assert report.state == "alarm"
    assert finding.direction == "neutral"
    assert finding.effect == pytest.approx(4, rel=0.2)
    assert finding.interval[0] < finding.effect < finding.interval[1]
    assert not report.is_harm
    assert report.affected == ("planner",)
    assert "per canary task" in report.reason


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda t, rng: t.failed.update({ASK: 1}), "unanswered or failed planner -> supplier: rfq"),
        (
            lambda t, rng: t.unanswered.update({ASK: int(rng.random() < 0.5)}),
            "unanswered or failed planner -> supplier: rfq",
        ),
        (lambda t, rng: setattr(t, "retries", 5), "retries"),
        (lambda t, rng: setattr(t, "late_sends", 1), "sends after the end"),
    ],
)
def test_what_is_worse_is_harm(change, what):
    report = compare(change)

    assert found(report)[what].direction == "harm"
    assert report.is_harm


def test_more_livelocks_are_harm():
    report = compare(flagged=lambda arm, rng: arm & (rng.random(len(arm)) < 0.3))

    finding = found(report)["livelock"]
    assert finding.direction == "harm"
    assert finding.effect_unit == "share"
    assert 0.2 < finding.effect < 0.4


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            lambda t, rng: t.latency_ms.update({ASK: [1.8 * ms for ms in t.latency_ms[ASK]]}),
            "latency planner -> supplier: rfq",
        ),
        (
            lambda t, rng: t.sizes.update({ASK: [3 * size for size in t.sizes[ASK]]}),
            "size planner -> supplier: rfq",
        ),
        (lambda t, rng: setattr(t, "max_hop", t.max_hop + 5), "longest chain"),
        (lambda t, rng: setattr(t, "fan_out", t.fan_out * 3), "fan-out"),
    ],
)
def test_what_is_only_different_is_neutral(change, what):
    report = compare(change)

    assert list(found(report)) == [what]
    assert found(report)[what].direction == "neutral"


@pytest.mark.parametrize(
    "change",
    [
        None,
        lambda t, rng: t.latency_ms.update({ASK: [0.3 * ms for ms in t.latency_ms[ASK]]}),
        lambda t, rng: t.latency_ms.update({ASK: [1.1 * ms for ms in t.latency_ms[ASK]]}),
        lambda t, rng: t.latency_ms[ASK].append(20_000.0) if rng.random() < 0.01 else None,
    ],
)
def test_nothing_faster_or_slightly_slower_is_no_alarm(change):
    assert compare(change).state == "quiet"


def test_a_huge_message_now_and_then_is_no_alarm():
    report = compare(lambda t, rng: t.sizes.update({ASK: [10**9]}) if rng.random() < 0.01 else None)

    assert report.state == "quiet"


def test_p_is_that_of_all_relabellings():
    rng = np.random.default_rng(0)
    tasks = [usual(rng) for _ in range(12)]
    for task in tasks[8:]:
        task.sends[ASK] += 4
    rows, canary = rows_of(tasks), np.arange(12) >= 8
    strata = Strata(canary, np.zeros(12, np.int32))
    columns = build_columns(rows, np.zeros(12, bool), strata)

    test = compare_features(columns, strata, alpha=0.0005, rng=rng)

    centred = np.column_stack(
        [
            strata.centre(c.tested[:, None], None if c.users is None else c.users[:, None])[:, 0]
            for c in columns
        ]
    )
    deviation = np.sqrt(strata.variance(centred))
    varies = deviation > 1e-12
    sided = np.array([c.is_one_sided for c in columns])

    def largest(chosen):
        t = centred[list(chosen)].sum(axis=0)[varies] / deviation[varies]
        return np.where(sided[varies], t, np.abs(t))

    seen = largest(np.flatnonzero(canary))
    tops = [largest(chosen).max() for chosen in combinations(range(12), 4)]
    exact = np.mean([top >= seen.max() - 1e-9 for top in tops])
    assert len(tops) == comb(12, 4)
    assert test.p[varies][seen.argmax()] == pytest.approx(
        exact, abs=4 * (exact / test.drawn) ** 0.5
    )


def test_a_search_that_finds_nothing_ends_early_and_one_that_finds_goes_on():
    rng = np.random.default_rng(1)
    tasks = [usual(rng) for _ in range(80)]
    strata = Strata(np.arange(80) >= 60, np.zeros(80, np.int32))
    calm = build_columns(rows_of(tasks), np.zeros(80, bool), strata)
    for task in tasks[60:]:
        task.sends[ASK] *= 9
    wild = build_columns(rows_of(tasks), np.zeros(80, bool), strata)

    assert compare_features(calm, strata, alpha=0.0005, rng=rng).drawn <= 1024
    assert compare_features(wild, strata, alpha=0.0005, rng=rng).drawn == 10_000


def test_arms_that_change_names_have_the_same_two_sided_p():
    rng = np.random.default_rng(2)
    tasks = [usual(rng) for _ in range(60)]
    for task in tasks[40:]:
        task.sends[ASK] += 3
    rows, canary = rows_of(tasks), np.arange(60) >= 40

    def p(arm):
        strata = Strata(arm, np.zeros(60, np.int32))
        columns = [c for c in build_columns(rows, np.zeros(60, bool), strata) if not c.is_one_sided]
        return compare_features(columns, strata, alpha=0.01, rng=np.random.default_rng(5)).p

    np.testing.assert_allclose(p(canary), p(~canary), atol=0.02)


def test_a_shift_of_the_task_mix_is_no_alarm():
    rng = np.random.default_rng(4)
    tasks, kinds, arms = [], [], []
    for arm, shares in ((False, 0.2), (True, 0.7)):  # the canary happened to get other tasks
        for _ in range(150):
            long = rng.random() < shares
            tasks.append(usual(rng, asks=9.0 if long else 1.0))
            kinds.append(int(long))
            arms.append(arm)
    options = {
        "canary": np.array(arms),
        "flagged": np.zeros(300, bool),
        "rng": np.random.default_rng(1),
    }

    assert look(rows_of(tasks), stratum=np.array(kinds), **options).state == "quiet"
    blind = look(rows_of(tasks), stratum=np.zeros(300, np.int32), **options)
    assert blind.state == "alarm", "the strata are what keeps it quiet"


def test_p_of_equal_arms_is_no_smaller_than_uniform():
    rng = np.random.default_rng(14)
    least = []
    for _ in range(150):
        tasks = [usual(rng) for _ in range(40)]
        strata = Strata(rng.random(40) < 0.4, np.zeros(40, np.int32))
        columns = build_columns(rows_of(tasks), np.zeros(40, bool), strata)
        least.append(compare_features(columns, strata, alpha=0.05, rng=rng).p.min())

    for level, most in ((0.05, 17), (0.2, 46), (0.5, 94)):  # once in 1000 runs beyond
        assert (np.array(least) <= level).sum() <= most


def test_findings_come_most_certain_first():
    rng = np.random.default_rng(15)
    tasks = [usual(rng) for _ in range(200)]
    for task in tasks[150:]:
        task.sends[ASK] *= 9
        task.max_hop += 2
    strata = Strata(np.arange(200) >= 150, np.zeros(200, np.int32))
    columns = build_columns(rows_of(tasks), np.zeros(200, bool), strata)

    findings, _ = find_features(columns, strata, alpha=0.005, rng=rng)

    assert len(findings) > 1
    assert [f.p for f in findings] == sorted(f.p for f in findings)
