"""Two recorded versions as a trial: who is on which side, and what a trace says of its task."""

from collections import Counter
from dataclasses import replace

import pytest

from rolewise.coordinator.backtest.comparison import ComparisonError, compare
from rolewise.fleet.harness.traces import RoleUsage, Trace, TraceMessage
from rolewise.fleet.task import Outcome


def a_trace(task, version, *, rev="r1", completed=True, ended="user_stop", **more):
    return Trace(
        id=f"{version}/{task}/0",
        versions={"agent": version, "user": "person"},
        attributes={"task_id": task, "trial": 0, **({"task_rev": rev} if rev else {})},
        completed=completed,
        ended=ended,
        messages=(
            TraceMessage(index=0, sender="tools", to="agent", kind="tool_result", error=True),
            TraceMessage(index=1, sender="device", to="user", kind="tool_result", error=True),
            TraceMessage(index=2, sender="user", to="agent", kind="request", error=False),
        ),
        **more,
    )


def sides(count=6):
    tasks = [str(number) for number in range(count)]
    return [a_trace(task, "old") for task in tasks], [a_trace(task, "new") for task in tasks[::2]]


def test_every_task_of_a_side_is_drawn_with_the_sides_share():
    rows = compare(*sides()).shuffled(0)
    assert Counter(row.canary for row in rows) == {False: 6, True: 3}
    assert {row.weight for row in rows} == {100.0 * 3 / 9}
    assert [row.started_s for row in rows] == list(range(9))


def test_the_order_is_the_seeds():
    both = compare(*sides())
    orders = [[row.task for row in both.shuffled(seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2])


def test_a_trace_gives_its_figures_of_all_roles_or_of_one():
    trace = a_trace(
        "1",
        "new",
        duration_s=3.5,
        score=0.5,
        usage={
            "agent": RoleUsage(input_tokens=100, output_tokens=10, calls=2),
            "user": RoleUsage(input_tokens=50, output_tokens=5, calls=1),
        },
        cost_usd={"agent": 0.2, "user": 0.1},
    )
    old = [a_trace("1", "old")]
    everyone, agent = (
        next(row for row in compare(old, [trace], role=role).rows if row.canary)
        for role in ("", "agent")
    )
    assert (everyone.latency_s, everyone.scores) == (3.5, {"reward": 0.5})
    assert (everyone.tool_errors, everyone.input_tokens, everyone.output_tokens) == (2, 150, 15)
    assert everyone.cost_usd == pytest.approx(0.3)
    assert (agent.tool_errors, agent.input_tokens, agent.cost_usd) == (1, 100, 0.2)


def test_a_task_that_goes_round_in_circles_is_flagged_for_the_role_that_does():
    call = {"sender": "agent", "to": "tools", "kind": "tool_call", "name": "look", "digest": "1"}
    reply = {"sender": "tools", "to": "agent", "kind": "tool_result", "digest": "2"}
    messages = tuple(
        TraceMessage(index=index, **(reply if index % 2 else call)) for index in range(30)
    )
    round_and_round = replace(a_trace("1", "new"), messages=messages)
    for role, flags in (("", ("repeat",)), ("agent", ("repeat",)), ("user", ())):
        rows = compare([a_trace("1", "old")], [round_and_round], role=role).rows
        assert [row.flags for row in rows] == [(), flags]


@pytest.mark.parametrize("cost", [None, {}, {"agent": 0.2, "user": None}])
def test_an_unknown_part_makes_a_cost_unknown(cost):
    rows = compare([a_trace("1", "old")], [a_trace("1", "new", cost_usd=cost)]).rows
    assert [row.cost_usd for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("completed", "ended", "outcome"),
    [
        (True, "user_stop", Outcome.COMPLETED),
        (True, "max_steps", Outcome.FAILED),
        (False, "agent_stop", Outcome.FAILED),
        (False, "crash", Outcome.FAILED),
    ],
)
def test_only_a_task_that_ended_by_itself_and_well_is_completed(completed, ended, outcome):
    canary = [a_trace("1", "new", completed=completed, ended=ended)]
    rows = compare([a_trace("1", "old")], canary).rows
    assert next(row.outcome for row in rows if row.canary) is outcome


def test_tasks_that_are_defined_differently_are_named_and_left_out():
    old = [a_trace("1", "old"), a_trace("2", "old"), a_trace("3", "old", rev=None)]
    new = [a_trace("1", "new", rev="r2"), a_trace("2", "new"), a_trace("3", "new")]
    done = compare(old, new)
    assert done.changed == ("1",)
    assert sorted(row.task for row in done.rows) == ["new/2/0", "new/3/0", "old/2/0", "old/3/0"]
    kept = compare(old, new, keep_changed=True)
    assert (kept.changed, len(kept.rows)) == (("1",), 6)


def test_what_cannot_be_compared_is_told():
    old, new = sides()
    with pytest.raises(ComparisonError, match="meant by both selectors"):
        compare(old, [*new, old[0]])
    with pytest.raises(ComparisonError, match="want one of agent, user"):
        compare(old, new, role="agnet")
    with pytest.raises(ComparisonError, match="every task is left out"):
        compare(old[:1], [a_trace("0", "new", rev="r2")])
