"""Patterns of the arms: what is found, what it is called, what follows, and what stays silent."""

from __future__ import annotations

import importlib.util
import sys
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest

from rolewise.graphs.patterns import (
    Expectations,
    alpha_at,
    look,
    look_due,
    look_for_interference,
    next_look_at,
)
from rolewise.graphs.patterns.columns import build_columns
from rolewise.graphs.patterns.edges import find_edges, tasks_to_miss
from rolewise.graphs.patterns.exact import fisher
from rolewise.graphs.patterns.features import compare_features, find_features
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.patterns.transitions import find_transitions, root_js
from tests.support.task_rows import Sketch, rows_of

ASK = ("planner", "supplier", "rfq")
TELL = ("planner", "warehouse", "note")
NEW = ("supplier", "planner", "nag")
QUOTE = ("supplier", "rfq", "reply", "quote")
REJECT = ("supplier", "rfq", "reply", "reject")
ORDER = ("planner", "quote", "supplier", "order")
SHOP = ("planner", "quote", "market", "ask")


def usual(rng, *, asks=3.0, reject=0.1, share=0.5):
    """One task of a fleet in which nothing is wrong; liveliness differs from task to task."""
    lively = rng.gamma(4.0, 0.25)
    asked = 1 + int(rng.poisson(asks * lively))
    rejected = int(rng.binomial(asked, reject))
    ordered = int(rng.binomial(asked - rejected, share))
    return Sketch(
        sends={ASK: asked, TELL: 1 + int(rng.poisson(lively))},
        latency_ms={ASK: list(rng.lognormal(3, 0.5, asked))},
        sizes={ASK: [100 + int(x) for x in rng.integers(0, 50, asked)]},
        moves={
            move: n
            for move, n in (
                (QUOTE, asked - rejected),
                (REJECT, rejected),
                (ORDER, ordered),
                (SHOP, asked - rejected - ordered),
            )
            if n
        },
        max_hop=2 + int(rng.poisson(lively)),
        fan_out=asked,
    )


def compare(change=None, *, baseline=200, canary=100, seed=3, flagged=None, **options):
    rng = np.random.default_rng(seed)
    tasks = [usual(rng) for _ in range(baseline)]
    for _ in range(canary):
        task = usual(rng)
        tasks.append(change(task, rng) or task if change else task)
    arm = np.arange(baseline + canary) >= baseline
    return look(
        rows_of(tasks),
        canary=arm,
        stratum=np.zeros(len(tasks), np.int32),
        flagged=np.zeros(len(tasks), bool) if flagged is None else flagged(arm, rng),
        rng=np.random.default_rng(seed),
        **options,
    )


def found(report):
    return {finding.what: finding for finding in report.findings}


# F1: figures of the tasks.


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


# F2: choices.


def test_a_role_that_chooses_otherwise_is_named_and_who_feels_it_is_not_called_changed():
    rng = np.random.default_rng(6)
    tasks = [usual(rng) for _ in range(300)] + [usual(rng, reject=0.4) for _ in range(100)]

    report = look(
        rows_of(tasks),
        canary=np.arange(400) >= 300,
        stratum=np.zeros(400, np.int32),
        flagged=np.zeros(400, bool),
        rng=rng,
    )

    finding = found(report)["choices of supplier after 'rfq'"]
    assert report.changed == ("supplier",), "the planner has fewer quotes, and chooses as before"
    assert finding.sentence.startswith("supplier answers reject after 'rfq' in 37% of cases (bas")
    assert finding.direction == "neutral"
    assert 0.1 < finding.effect < 0.5


def test_more_rejections_in_both_arms_are_no_alarm():
    rng = np.random.default_rng(7)
    tasks = [usual(rng, reject=0.5) for _ in range(300)]
    canary = rng.random(300) < 0.3
    strata = Strata(canary, np.zeros(300, np.int32))

    assert find_transitions(rows_of(tasks), strata, alpha=0.01, rng=rng) == []


def test_a_choice_found_within_pairs_of_one_task():
    rng = np.random.default_rng(8)
    tasks = [usual(rng, reject=r) for _ in range(60) for r in (0.1, 0.5)]
    strata = Strata(np.arange(120) % 2 == 1, np.arange(120) // 2)

    findings = find_transitions(rows_of(tasks), strata, alpha=0.005, rng=rng)

    assert [f.role for f in findings] == ["supplier"]


def test_distance_of_distributions():
    assert root_js(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
    assert root_js(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == pytest.approx(0.0)


# F3: edges.


def edges_of(new_in, *, baseline=200, canary=100, edge=NEW, gone=False, **options):
    rng = np.random.default_rng(9)
    tasks = [usual(rng) for _ in range(baseline + canary)]
    for row in range(new_in):
        tasks[row if gone else baseline + row].sends[edge] = 1
    strata = Strata(np.arange(len(tasks)) >= baseline, np.zeros(len(tasks), np.int32))
    return find_edges(rows_of(tasks), strata, alpha=0.0025, **options)


def test_a_new_edge_is_found_with_its_exact_p_and_a_bound_for_the_baseline():
    (finding,) = edges_of(8)

    assert finding.what == "new edge supplier -> planner: nag"
    assert finding.p == pytest.approx(comb(100, 8) / comb(300, 8))
    assert finding.direction == "neutral"
    assert "8 of 100 canary tasks, none of 200 baseline tasks" in finding.sentence
    assert "at most 1.5%" in finding.sentence


@pytest.mark.parametrize("new_in", [0, 1, 2, 4])
def test_too_few_tasks_make_no_edge_new(new_in):
    assert edges_of(new_in) == []


def test_two_tasks_are_never_enough_whatever_p_says():
    assert edges_of(2, baseline=5000, canary=20) == []
    assert len(edges_of(3, baseline=5000, canary=20)) == 1


def test_an_edge_that_stable_versions_have_used_is_rare_and_not_new():
    past = Expectations(seen_before={NEW: (40, 1000)})

    assert edges_of(8, expectations=past) == []
    assert len(edges_of(8, expectations=Expectations(seen_before={NEW: (1, 1000)}))) == 1


def test_a_vanished_edge_is_found_once_enough_tasks_lack_it():
    (finding,) = edges_of(60, gone=True)

    assert finding.what == "vanished edge supplier -> planner: nag"
    assert finding.p == pytest.approx(comb(200, 60) / comb(300, 60))
    assert tasks_to_miss(0.3, 0.001) == 20
    assert tasks_to_miss(0.05, 0.001) == 135


def test_a_declared_edge_is_expected_and_its_absence_is_told():
    declared = Expectations(declared=[NEW])

    (finding,) = edges_of(30, expectations=declared)
    assert finding.direction == "expected"
    assert not finding.is_alarm
    (missed,) = edges_of(0, expectations=declared)
    assert missed.sentence == (
        "declared edge supplier -> planner: nag was not used by any of 100 canary tasks"
    )
    assert edges_of(0, canary=19, expectations=declared) == []


def test_one_use_of_a_forbidden_edge_is_harm_even_with_gaps_in_the_telemetry():
    def change(task, rng):
        change.tasks += 1
        if change.tasks == 1:
            task.sends[NEW] = 1
        task.partial = True

    change.tasks = 0
    report = compare(change, expectations=Expectations(forbidden=[("*", "planner", "nag")]))

    assert report.is_harm
    assert report.findings[0].what == "forbidden edge supplier -> planner: nag"
    assert report.reason.startswith("forbidden edge")


def test_a_task_type_that_never_asks_becoming_commoner_is_no_vanished_edge():
    rng = np.random.default_rng(10)
    tasks, kinds, arms = [], [], []
    for arm, asking in ((False, 120), (True, 10)):
        for n in range(150):
            task = usual(rng)
            if n < asking:
                task.sends[NEW] = 1
            tasks.append(task)
            kinds.append(int(n < asking))
            arms.append(arm)
    rows, kind = rows_of(tasks), np.array(kinds)

    assert find_edges(rows, Strata(np.array(arms), kind), alpha=0.0025) == []


def test_fisher_is_the_share_of_all_choices():
    ways = list(combinations(range(9), 4))
    exact = np.mean([sum(task < 5 for task in way) >= 3 for way in ways])

    assert fisher(3, 5, 1, 4) == pytest.approx(exact)


# Looks.


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


def test_a_baseline_that_changed_since_the_canary_runs_is_told_and_no_harm():
    rng = np.random.default_rng(13)
    tasks = [usual(rng) for _ in range(300)]
    for task in tasks[150:]:
        task.latency_ms[ASK] = [3 * ms for ms in task.latency_ms[ASK]]
        task.failed[ASK] = 1
    options = {"stratum": np.zeros(300, np.int32), "flagged": np.zeros(300, bool), "rng": rng}

    report = look_for_interference(rows_of(tasks), during=np.arange(300) >= 150, **options)
    calm = look_for_interference(rows_of(tasks[:150] * 2), during=np.arange(300) >= 150, **options)

    assert report.state == "alarm"
    assert not report.is_harm
    assert "since the canary runs" in report.reason
    assert calm.state == "quiet"


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
