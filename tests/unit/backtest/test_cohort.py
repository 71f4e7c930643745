"""Attempts become tasks, in start order; a deadline ends what would run for ever."""

from math import inf

from rolewise.coordinator.backtest.cohort import build_cohort
from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.task import Outcome


def a_row(task, started, ended, *, canary=False, outcome=Outcome.COMPLETED, **more):
    latency = None if ended == inf else ended - started
    return Row(
        task=task,
        canary=canary,
        weight=10.0,
        started_s=started,
        ended_s=ended,
        outcome=outcome,
        latency_s=latency,
        **more,
    )


def test_tasks_stand_in_start_order_and_equal_starts_as_they_came():
    rows = [a_row("c", 2.0, 3.0), a_row("a", 1.0, 9.0), a_row("b", 1.0, 2.0)]
    assert [row.task for row in build_cohort(rows).rows] == ["a", "b", "c"]


def test_attempts_are_one_task_of_the_first_ones_arm():
    first = a_row(
        "t", 10.0, 12.0, canary=True, outcome=Outcome.FAILED, input_tokens=100, cost_usd=0.5
    )
    last = a_row("t", 13.0, 20.0, input_tokens=50, tool_errors=2, scores={"helpful": 0.7})
    cohort = build_cohort([last, first])
    (row,) = cohort.rows
    assert (row.canary, row.started_s, row.ended_s) == (True, 10.0, 20.0)
    assert (row.outcome, row.latency_s) == (Outcome.COMPLETED, 10.0)
    assert (row.input_tokens, row.cost_usd, row.tool_errors) == (150, 0.5, 2)
    assert row.output_tokens is None
    assert row.scores == {"helpful": 0.7}
    assert (cohort.tried_again, cohort.changed_arm) == (1, 1)


def test_a_task_whose_last_attempt_runs_is_running():
    rows = [
        a_row("t", 1.0, 2.0, outcome=Outcome.FAILED),
        a_row("t", 3.0, inf, outcome=Outcome.RUNNING),
    ]
    cohort = build_cohort(rows)
    assert (cohort.rows[0].outcome, cohort.rows[0].ended_s) == (Outcome.RUNNING, inf)
    assert cohort.running == 1


def test_a_deadline_ends_what_is_older_and_leaves_what_may_still_end():
    rows = [
        a_row("hung", 0.0, inf, outcome=Outcome.RUNNING),
        a_row("late", 1.0, 50.0),
        a_row("fine", 2.0, 12.0),
        a_row("young", 95.0, inf, outcome=Outcome.RUNNING),
        a_row("last", 99.0, 100.0),
    ]
    cohort = build_cohort(rows, deadline_s=10.0)
    ends = {row.task: (row.outcome, row.ended_s) for row in cohort.rows}
    assert ends["hung"] == (Outcome.TIMED_OUT, 10.0)
    assert ends["late"] == (Outcome.TIMED_OUT, 11.0)
    assert ends["fine"] == (Outcome.COMPLETED, 12.0)
    assert ends["young"] == (Outcome.RUNNING, inf)
    assert (cohort.timed_out, cohort.running, cohort.ends_s) == (2, 1, 100.0)


def test_nothing_gives_nothing():
    assert build_cohort([], deadline_s=1.0).rows == []
