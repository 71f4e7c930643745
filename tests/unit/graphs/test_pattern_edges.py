"""Choices and edges: which role changed, which edges only one arm uses."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest

from rolewise.graphs.patterns import (
    Expectations,
    look,
)
from rolewise.graphs.patterns.divergence import root_js
from rolewise.graphs.patterns.edges import find_edges, tasks_to_miss
from rolewise.graphs.patterns.exact import fisher
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.patterns.transitions import find_transitions
from tests.support.pattern_fleet import NEW, compare, found, usual
from tests.support.task_rows import rows_of


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
