"""Every injected loop and pattern is told by its name, and its look-alike by none."""

from __future__ import annotations

import pytest

from rolewise.graphs.crossings import find_leaks
from tests.scenario.pattern_rows import CASES, FORBIDDEN, Case, bench, mirrored_batch
from tests.scenario.pattern_stage import Trial

INJECTED = [pytest.param(case, id=f"{number} injected") for number, case in CASES.items()]
ALIKE = [
    pytest.param(case.alike[1], id=f"{number} look-alike")
    for number, case in CASES.items()
    if case.alike is not None
]


@pytest.mark.parametrize("case", INJECTED)
def test_injected(case: Case) -> None:
    seen = case.trial.play()

    report = seen.alarm
    told = "\n".join((report.reason, *(finding.sentence for finding in report.findings)))
    alarms = {finding.what for finding in report.findings if finding.is_alarm}
    assert report.state == case.state, told
    follows = "rollback" if report.is_harm else "pause" if alarms else "nothing"
    assert follows == case.follows, told
    assert set(case.found) <= alarms, told
    if case.only:
        assert alarms == set(case.found), told
    if case.changed is not None:
        assert report.changed == case.changed, told
    assert case.flags <= seen.flags.keys()
    assert not seen.baseline_flags, "the baseline does nothing wrong"
    if not case.flags:
        assert not seen.flags
    if case.floods_by is not None:
        assert min(seen.floods) < case.floods_by
    assert bool(seen.storms) is ("retry_storm" in case.flags)
    if case.error:
        assert set(seen.errors) == {case.error}


@pytest.mark.parametrize("trial", ALIKE)
def test_look_alike_is_silent(trial: Trial) -> None:
    seen = trial.play()

    assert [report.state for report in seen.reports] == ["quiet"] * len(seen.reports), (
        seen.alarm.reason
    )
    assert (seen.flags, seen.baseline_flags, seen.floods, seen.crossings) == ({}, {}, {}, ())
    assert not seen.storms


def test_row_25_one_use_of_a_forbidden_edge_is_harm() -> None:
    report = FORBIDDEN.play().alarm

    assert report.is_harm
    assert report.findings[0].what == "forbidden edge planner -> helper: help"


def test_row_27_what_the_graph_cannot_see_the_score_can() -> None:
    baseline, canary = CASES[27].trial.play().quality

    assert canary < baseline - 0.5


def test_row_33_a_version_against_itself_seldom_alarms() -> None:
    alarms = bench().false_alarms(30, edges=12, looks=3, share=0.3, alpha=0.01, seed=3)

    assert alarms["any"] <= 2  # at a chance of 1 % each, 3 of 30 come once in 300 runs


def test_row_34_a_broken_lane_is_told() -> None:
    crossings = CASES[34].trial.play().crossings

    assert crossings
    assert {crossing.kind for crossing in crossings} == {"mixed"}
    assert crossings[0].sentence == (
        "one task met supplier in versions v1 and v2: its lane is broken"
    )


def test_row_35_mirrored_work_that_sends_to_the_live_fleet_is_told() -> None:
    (leak,) = find_leaks([mirrored_batch(leaks=True)])

    assert leak.sentence == (
        "supplier@v2 sent 'reserve' to the live warehouse@v1 while it handled mirrored work"
    )
    assert list(find_leaks([mirrored_batch(leaks=False)])) == []
