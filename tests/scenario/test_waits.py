"""Every injected failure of waiting is told by its name, and its look-alike by none."""

from __future__ import annotations

import pytest

from rolewise.coordinator.controller import TICK_S
from rolewise.coordinator.waits import ROUND_S
from tests.scenario.phantoms import count_reports
from tests.scenario.wait_fleets import Case, play
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
