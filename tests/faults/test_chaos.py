"""A thousand random histories of one fleet and its coordinator, each checked for what must hold."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.chaos.history import play
from tests.faults.chaos.invariants import find_broken
from tests.faults.chaos.weather import CHANCES

BLOCKS, SEEDS = 25, 40


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of failures are logged here, as they should be; nobody would read them."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_what_must_hold_holds_in_every_history(block: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        history = play(seed)
        broken = find_broken(history)
        assert not broken, f"replay: python benchmarks/chaos.py --seed {seed}\n" + "\n".join(broken)
        counts += history.counts
    struck = [fault for fault in CHANCES if counts[fault]]
    assert len(struck) > len(CHANCES) / 2, "a calm shows nothing"
    assert sum(counts[fault] for fault in struck) > 2 * SEEDS


def test_a_seed_gives_the_same_history_again() -> None:
    first, second = play(5), play(5)
    assert first.logs == second.logs
    assert first.counts == second.counts
    assert first.records == second.records
