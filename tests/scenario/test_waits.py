"""Every injected failure of waiting is told by its name, and its look-alike by none."""

from __future__ import annotations

import json

import pytest

from rolewise.coordinator.controller import TICK_S
from rolewise.coordinator.rollout.state import Phase
from rolewise.coordinator.waits import ROUND_S
from rolewise.fleet.harness.workload import NOTHING_NEW
from tests.scenario.phantoms import count_reports
from tests.scenario.stage import Stage, given
from tests.scenario.wait_fleets import Case, Loses, Role, play
from tests.scenario.wait_rows import CASES

PLAYED = [
    pytest.param(case, id=f"{number} {name}")
    for number, pair in CASES.items()
    for name, case in zip(("injected", "look-alike"), pair, strict=True)
    if case is not None
]


@pytest.mark.parametrize("case", PLAYED)
def test_row(case: Case) -> None:
    seen = play(case)
    told = "\n".join((seen.reason, *seen.details, *(alert for _, alert in seen.alerts.values())))
    assert seen.reaction == case.reaction, told
    assert set(seen.alerts) == set(case.alerts), told
    for words in case.words:
        assert words in told
    if case.reaction != "goes on":
        assert 0 <= seen.after_s <= case.within_s
    if case.reaction == "rolled back":
        stood_s = seen.stood_s - case.settles_s
        assert stood_s <= 2 * ROUND_S + TICK_S, "two rounds after the circle was closed"
    for after_s, _ in seen.alerts.values():
        assert after_s <= case.within_s


def test_healthy_branches_of_a_gather_are_not_accused() -> None:
    seen = play(CASES[4][0])
    assert "c@v1" not in seen.reason
    assert "d@v1" not in seen.reason


def test_row_9_no_phantoms_under_skew() -> None:
    rounds, reports, unconfirmed = count_reports(rounds=1000)
    assert reports == 0
    assert rounds >= 1000
    assert unconfirmed > 0, "else there was nothing to be fooled by"


def test_lost_waits_of_one_arm_are_evidence_where_a_signal_asks_for_it() -> None:
    """They are counted while the tasks still wait: that is long before a timeout ends them."""
    roles = {
        "a": Role({"task": [{"ask": "b.work", "timeout": 60.0}]}, slots=64),
        "b": Role({}, v2={}, slots=64),
    }
    case = Case(says="", roles=roles, rate=6.0)
    text = json.loads(case.text())
    signal = {"name": "lost", "metric": "task.orphaned", "tolerate": "10%"}
    text["analysis_templates"]["waits-only"] = {"signals": [signal]}

    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        stage.runtime.network.faults = Loses("b")
        state = await stage.ends(rollout)
        assert state.phase is Phase.ROLLED_BACK
        assert state.reason.startswith("harm: lost "), state.reason
        assert state.rollback is not None
        counts = (await stage.runtime.observe(NOTHING_NEW)).counts
        assert counts.timed_out + counts.failed == 0

    given(json.dumps(text), story)
