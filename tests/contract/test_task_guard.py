"""Tasks without end are ended on every runtime, and their account says by which limit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rolewise.fleet.runtime import Runtime
from rolewise.fleet.task import Outcome
from tests.contract.runtimes import RUNTIMES, Scenario, run_fleet
from tests.contract.test_runtime import end_of, launch, until


async def a_chain_without_end_is_cut_at_once(runtime: Runtime) -> None:
    await launch(runtime, slots=64)

    record = await end_of(runtime, "t", {"do": "relay", "body": {"do": "mutual"}})

    assert record.outcome is Outcome.FAILED
    assert record.error.startswith("loop_guard: ")
    assert "33 messages one caused by the other, the limit is 32" in record.error


async def a_task_that_goes_round_in_circles_is_ended(runtime: Runtime) -> None:
    await launch(runtime)

    record = await end_of(runtime, "round", {"do": "relay", "body": {"do": "circle"}})

    assert record.outcome is Outcome.FAILED
    assert record.error.startswith("loop_guard: ")
    assert record.error.endswith("messages without progress, the limit is 90")

    async def flagged() -> bool:
        again = await runtime.result("round")
        return again is not None and {"repeat", "stalled"} <= set(again.flags)

    await until(runtime, flagged, "flags raised")
    status = {r.role: r for r in (await runtime.observe()).replicas}["worker"]
    assert status.running == 0, "its handlers were ended too"


async def events_that_breed_events_are_stopped_after_the_tasks_own_end(runtime: Runtime) -> None:
    await launch(runtime, slots=4, queue_limit=10_000)

    record = await end_of(runtime, "t", {"do": "relay", "body": {"do": "breed"}})
    assert record.outcome is Outcome.COMPLETED

    async def idle() -> bool:
        status = {r.role: r for r in (await runtime.observe()).replicas}["worker"]
        return status.running + status.queued == 0

    await until(runtime, idle, "no message left")
    again = await runtime.result("t")
    assert again is not None
    assert again.messages > 1000


async def other_tasks_go_on(runtime: Runtime) -> None:
    await launch(runtime)
    await end_of(runtime, "guarded", {"do": "relay", "body": {"do": "circle"}})

    record = await end_of(runtime, "other", {"do": "add", "a": 1, "b": 2})

    assert (record.outcome, record.result, record.flags) == (Outcome.COMPLETED, 3, ())


ON_ONE_FLEET: list[Scenario] = [
    a_task_that_goes_round_in_circles_is_ended,
    other_tasks_go_on,
]
SCENARIOS: list[Scenario] = [
    a_chain_without_end_is_cut_at_once,
    events_that_breed_events_are_stopped_after_the_tasks_own_end,
]


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_guard(kind: str, scenario: Scenario) -> None:
    run_fleet(kind, scenario)


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", ON_ONE_FLEET, ids=lambda scenario: scenario.__name__)
def test_guard_on_one_fleet(
    run_shared: Callable[[str, Scenario], None], kind: str, scenario: Scenario
) -> None:
    run_shared(kind, scenario)
