"""Whose fault is it? All four answers, with their words; the test against scipy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from rolewise.graphs.involvement import Part, fisher_greater, judge_involvement
from tests.unit.graphs.waits import both, mutual_ask, replica, running

COUNTS = st.integers(0, 40)
STABLE = ("negotiator", "v2")


def judge(deadlock, canary, free_canary=45, free_baseline=450):
    return judge_involvement(
        deadlock, canary=canary, free_canary=free_canary, free_baseline=free_baseline
    )


def test_in_the_core_it_is_rolled_back_at_once():
    found = judge(both(mutual_ask()), ("supplier", "v3"), free_canary=0, free_baseline=0)
    assert (found.part, found.reaction, found.p) == (Part.CORE, "rollback", None)
    assert found.reason == "supplier@v3, which is on trial, is one of those that hold each other"


def circles(count, *, arm):
    """As many mutual asks, each of a task of its own and at replicas of its own."""
    snapshots = []
    for number in range(count):
        first, second = mutual_ask(task=f"t-{number}", arm=arm)
        for one, name in ((first, "negotiator"), (second, "supplier")):
            shift = 10 * number
            snapshots.append(
                replica(
                    f"{name}@v3#{number}",
                    *(
                        running(
                            entry.id + shift,
                            *(wait + shift for wait in entry.waits),
                            task=f"t-{number}",
                            arm=arm,
                        )
                        for entry in one.running
                    ),
                    *(
                        type(entry)(
                            id=entry.id + shift,
                            epoch=1,
                            task=f"t-{number}",
                            caller=0,
                            arm=arm,
                        )
                        for entry in one.queue
                    ),
                )
            )
    return snapshots


class TestCohort:
    def test_one_task_of_a_large_trial_is_not_enough(self):
        found = judge(both(circles(1, arm=2)), STABLE)
        assert (found.part, found.reaction) == (Part.COHORT, "pause")
        assert found.p == pytest.approx(46 / 496)
        assert "1 of 46 of the canary's, 0 of 450 of the baseline's" in found.reason

    def test_one_task_of_a_small_trial_is(self):
        found = judge(both(circles(1, arm=2)), STABLE, free_canary=2, free_baseline=900)
        assert (found.part, found.reaction) == (Part.COHORT, "rollback")
        assert found.p < 0.01

    def test_the_limit_is_one_in_a_hundred(self):
        deadlock = both(circles(1, arm=2))
        assert judge(deadlock, STABLE, free_canary=0, free_baseline=99).reaction == "pause"
        assert judge(deadlock, STABLE, free_canary=0, free_baseline=100).reaction == "rollback"

    def test_a_task_of_no_arm_in_it_makes_it_nobodys(self):
        assert judge(both(circles(1, arm=0)), STABLE).part is Part.NONE


def test_a_victim_is_not_at_fault():
    behind = replica("orchestrator@v2#1", running(50, 1), slots=4)
    found = judge(both([*mutual_ask(arm=1), behind]), ("orchestrator", "v2"))
    assert (found.part, found.reaction) == (Part.VICTIM, "pause")
    assert "only waits behind it: not its fault" in found.reason


def test_without_a_part_in_it_the_rollout_is_frozen():
    found = judge(both(mutual_ask(arm=1)), STABLE)
    assert (found.part, found.reaction) == (Part.NONE, "pause")
    assert "has no part in it" in found.reason


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_fishers_test_is_scipys(hit_a, free_a, hit_b, free_b):
    expected = fisher_exact([[hit_a, free_a], [hit_b, free_b]], alternative="greater").pvalue
    assert fisher_greater(hit_a, free_a, hit_b, free_b) == pytest.approx(expected, rel=1e-9)


def test_many_tasks_are_no_trouble():
    assert fisher_greater(500, 50_000, 0, 1_000_000) < 1e-300
