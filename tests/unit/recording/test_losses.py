"""What recorders lost is counted once each, however many there were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.fleet.recording import losses
from rolewise.fleet.recording.losses import Losses


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99))))
def test_the_last_figure_of_each_recorder_counts(told: list[tuple[int, int]]) -> None:
    counted = Losses()
    for source, lost in told:
        counted.note(f"a@v1#{source}.0", lost)
    assert counted.total == sum(dict(told).values())


def test_of_recorders_that_are_silent_for_long_only_the_sum_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(losses, "RECORDERS_KEPT", 3)
    counted = Losses()
    counted.note("speaks on", 1)
    for number in range(100):
        counted.note(f"ends {number}", 2)
        counted.note("speaks on", 1)
    assert counted.total == 201
    assert (counted.of("speaks on"), counted.of("ends 99"), counted.of("ends 9")) == (1, 2, None)
