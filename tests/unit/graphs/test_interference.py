"""The baseline suffers from the canary, from more load, from nothing; and where it shows."""

from __future__ import annotations

import numpy as np
import pytest

from rolewise.graphs.patterns import find_interference
from tests.support.task_rows import Sketch, rows_of

ASK, SHELF, BELL = ("clerk", "store", "ask"), ("store", "shelf", "look"), ("clerk", "bell", "ring")
BEFORE, NOW = 200, 120


def find(*, slower=1.0, failing=0.0, asks=1, looks=1, before=BEFORE, seed=5, alpha=0.01):
    """Tasks before, baseline tasks now and canary tasks now, in this order."""
    rng = np.random.default_rng(seed)

    def task(factor, asks=1, looks=1, failing=0.0):
        more = int(rng.poisson(0.2))
        return Sketch(
            sends={ASK: asks + more, SHELF: looks, BELL: 1},
            latency_ms={ASK: [float(40 * factor * rng.lognormal(0, 0.3))]},
            failed={ASK: int(rng.random() < failing)},
        )

    tasks = [
        *(task(1.0) for _ in range(before)),
        *(task(slower, failing=failing) for _ in range(NOW)),
        *(task(slower, asks, looks, failing) for _ in range(NOW)),
    ]
    place = np.arange(len(tasks))
    return find_interference(
        rows_of(tasks),
        before=place < before,
        baseline=(place >= before) & (place < before + NOW),
        canary=place >= before + NOW,
        rng=rng,
        alpha=alpha,
    )


def test_a_canary_that_asks_more_of_a_role_that_has_become_slower_is_told():
    (found,) = find(slower=2.0, asks=4)

    assert (found.edge, found.role) == (ASK, "store")
    assert found.finding.effect == pytest.approx(2.0, rel=0.2)
    assert found.canary / found.baseline > 3
    assert "latency on clerk -> store: ask: 8" in found.worse
    assert found.more.startswith("canary tasks send store 4.2 messages each, baseline tasks 1.2")


def test_failures_count_as_slowness_does():
    (found,) = find(failing=0.4, asks=4)

    assert found.worse.startswith(
        "unanswered or failed on clerk -> store: ask: 37.5% of tasks, 0.0%"
    )


def test_the_cause_may_be_behind_the_role_that_is_slow():
    (found,) = find(slower=2.0, looks=3)

    assert (found.edge, found.role) == (ASK, "shelf")
    assert "canary tasks send shelf, behind store, 3.0 messages each" in found.more


@pytest.mark.parametrize(
    "options",
    [
        {"slower": 2.0},  # load: canary tasks ask for no more
        {"asks": 4},  # they do, and nobody is slower
        {"slower": 1.1, "asks": 4},  # hardly
        {"slower": 0.5, "asks": 4},
        {"slower": 2.0, "asks": 4, "before": 30},  # too little is known of before
    ],
)
def test_half_of_it_is_none(options):
    assert find(**options) == ()


def test_a_version_against_itself_seldom_alarms():
    told = sum(bool(find(asks=4, seed=seed, alpha=0.05)) for seed in range(40))

    assert told <= 6  # at 5 % each, 7 of 40 come once in 200 runs
