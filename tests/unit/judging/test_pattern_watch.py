"""When the watch over patterns looks, at which tasks, and what follows."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.pattern_watch import PatternWatch
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.scoring import at_once
from rolewise.fleet.task import Assignment, Outcome, TaskRecord, task_key
from rolewise.graphs.interactions import Arm
from rolewise.graphs.task_rows import TaskRows, in_order, select
from tests.support.task_rows import Sketch, rows_of

TRIAL = Trial(role="supplier", version="v2", salt="pepper")
RFQ, REJECT = ("planner", "supplier", "rfq"), ("supplier", "planner", "reject")


def a_task(number: int, *, canary: bool, weight: float = 50.0, **fields) -> TaskRecord:
    arm = Arm.CANARY if canary else Arm.BASELINE
    draw = Assignment(role="supplier", salt="pepper", arm=arm, weight=weight)
    return TaskRecord(
        task=f"t{number}",
        number=number,
        table=1,
        assignments=(draw,),
        **{"outcome": Outcome.COMPLETED, **fields},
    )


class Fleet:
    """A runtime of which only the rows of tasks are asked."""

    def __init__(self, tasks: list[TaskRecord], sketch) -> None:
        rows = rows_of(Sketch(sends=sketch(one.assignments[0].arm is Arm.CANARY)) for one in tasks)
        keys = np.array([task_key(one.task) for one in tasks], np.uint64)
        self.rows = in_order(replace(rows, task=keys))
        self.asked = 0

    async def task_rows(self) -> TaskRows:
        self.asked += 1
        return self.rows


def some_tasks(count: int) -> list[TaskRecord]:
    return [a_task(number, canary=number % 2 == 0) for number in range(1, count + 1)]


def rejecting(canary: bool) -> dict:
    return {RFQ: 1, REJECT: 1} if canary else {RFQ: 1}


async def a_watch(tasks, sketch, analysis: Analysis | None = None) -> tuple[PatternWatch, Fleet]:
    fleet = Fleet(tasks, sketch)
    watch = PatternWatch(fleet, aside=at_once)
    for one in tasks:
        await watch.look(TRIAL, analysis or Analysis(on_pattern_different="pause"), [one])
        await asyncio.sleep(0)
    await watch.look(TRIAL, analysis or Analysis(on_pattern_different="pause"), [])
    return watch, fleet


async def test_it_looks_at_25_canary_tasks_and_whenever_they_have_doubled() -> None:
    _, fleet = await a_watch(some_tasks(48), rejecting)
    assert fleet.asked == 0
    _, fleet = await a_watch(some_tasks(50), rejecting)
    assert fleet.asked == 1
    _, fleet = await a_watch(some_tasks(398), rejecting)
    assert fleet.asked == 3  # at 25, 50 and 100


async def test_what_is_different_pauses_where_the_plan_says_so() -> None:
    watch, _ = await a_watch(some_tasks(60), rejecting)
    (fact,) = watch.facts
    assert (fact.kind, fact.reaction) == ("pattern", "pause")
    assert "supplier -> planner: reject" in fact.sentence
    assert any("supplier -> planner: reject" in alert for alert in watch.alerts)
    watch.forget()
    assert (watch.facts, watch.alerts) == ((), ())


async def test_by_default_a_difference_is_only_told() -> None:
    watch, _ = await a_watch(some_tasks(60), rejecting, Analysis())
    assert watch.facts == ()
    assert watch.alerts


async def test_equal_arms_say_nothing() -> None:
    watch, fleet = await a_watch(some_tasks(120), lambda _: {RFQ: 1})
    assert fleet.asked == 2
    assert (watch.facts, watch.alerts) == ((), ())


def crowding(number: int) -> TaskRecord:
    """Tasks 1 to 60 are from before the trial."""
    if number > 60:
        return a_task(number, canary=number % 2 == 0)
    return replace(a_task(number, canary=False), assignments=())


class Crowded(Fleet):
    """The supplier is slower since the trial began, for all; canary tasks send it more."""

    def __init__(self, tasks: list[TaskRecord], *, messages: int) -> None:
        def sketch(one: TaskRecord) -> Sketch:
            slow_ms = 120.0 if one.assignments else 40.0
            is_canary = any(draw.arm is Arm.CANARY for draw in one.assignments)
            return Sketch(
                sends={RFQ: messages if is_canary else 1},
                latency_ms={RFQ: [slow_ms + one.number % 7]},
            )

        keys = np.array([task_key(one.task) for one in tasks], np.uint64)
        self.rows = in_order(replace(rows_of(map(sketch, tasks)), task=keys))
        self.asked = 0


@pytest.mark.parametrize(
    ("messages", "options", "follows", "told"),
    [(3, {}, ["pause"], 1), (3, {"on_interference": "hold"}, [], 1), (1, {}, [], 0)],
)
async def test_a_canary_that_crowds_what_both_share_pauses(
    messages: int, options: dict, follows: list[str], told: int
) -> None:
    tasks = [crowding(number) for number in range(1, 121)]
    watch = PatternWatch(Crowded(tasks, messages=messages), aside=at_once)
    for one in [*tasks, tasks[-1]]:
        await watch.look(TRIAL, Analysis(**options), [one])
        await asyncio.sleep(0)
    facts = [fact for fact in watch.facts if fact.kind == "interference"]
    assert [fact.reaction for fact in facts] == follows
    assert len([one for one in watch.alerts if one.startswith("interference: ")]) == told
    for fact in facts:
        assert "latency on planner -> supplier: rfq: 123 ms, 42.9 ms before" in fact.sentence
        assert "canary tasks send supplier 3.0 messages each, baseline tasks 1.0" in fact.sentence
        assert fact.key == "interference supplier"
    watch.forget()
    assert watch.alerts == ()


async def test_where_nothing_follows_nothing_is_asked() -> None:
    quiet = Analysis(on_pattern_harm="hold", on_pattern_different="hold", on_interference="hold")
    _, fleet = await a_watch(some_tasks(120), rejecting, quiet)
    assert fleet.asked == 0


@pytest.mark.parametrize(
    "stranger",
    [
        a_task(0, canary=True, outcome=Outcome.RUNNING),
        a_task(0, canary=True, weight=100.0),
        replace(a_task(0, canary=True), assignments=()),
    ],
)
async def test_tasks_that_were_not_drawn_or_run_still_do_not_count(stranger: TaskRecord) -> None:
    watch = PatternWatch(Fleet([a_task(1, canary=True)], rejecting), aside=at_once)
    for number in range(100):
        await watch.look(TRIAL, Analysis(), [replace(stranger, task=f"s{number}", number=number)])
    assert watch.report is None


def test_chosen_rows_are_those_of_the_tasks_alone() -> None:
    tasks = some_tasks(9)
    rows = Fleet(tasks, rejecting).rows
    keep = np.arange(9) % 3 == 0
    chosen = select(rows, keep)
    assert chosen.task.tolist() == rows.task[keep].tolist()
    assert chosen.messages.tolist() == rows.messages[keep].tolist()
    sends = np.zeros((9, len(rows.edges)))
    sends[rows.edge_row, rows.edge_col] = rows.sends
    fewer = np.zeros((3, len(rows.edges)))
    fewer[chosen.edge_row, chosen.edge_col] = chosen.sends
    assert (fewer == sends[keep]).all()


async def test_a_fleet_that_cannot_be_asked_is_asked_at_the_next_look() -> None:
    class Away(Fleet):
        async def task_rows(self) -> TaskRows:
            if not self.asked:
                self.asked += 1
                raise ConnectionError("the collectors are away")
            return await super().task_rows()

    tasks = some_tasks(102)
    watch = PatternWatch(Away(tasks, rejecting), aside=at_once)
    for one in tasks:
        await watch.look(TRIAL, Analysis(), [one])
        await asyncio.sleep(0)
    assert watch.alerts
