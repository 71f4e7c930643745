"""Who may change a fleet: every runtime refuses a leader that was replaced, at every entry."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from rolewise.fleet.runtime import Fenced, ReplicaState, Runtime
from tests.contract.runtimes import RUNTIMES, Scenario, run_fleet
from tests.contract.test_runtime import launch, submit, table, until, version


async def an_older_fencing_number_is_refused(runtime: Runtime) -> None:
    await launch(runtime)
    await runtime.install(table(2), fencing=7)
    await every_changing_call_is_refused(runtime, fencing=6)
    await runtime.fence(9)
    await every_changing_call_is_refused(runtime, fencing=8)
    observed = await runtime.observe()
    assert [r.role for r in observed.replicas].count("worker") == 1
    assert {r.table for r in observed.replicas} == {2}


async def every_changing_call_is_refused(runtime: Runtime, *, fencing: int) -> None:
    """Call every method of the port that takes a fencing number, with one that is too low."""
    calls = {
        "fence": lambda: runtime.fence(fencing),
        "install": lambda: runtime.install(table(3), fencing=fencing),
        "scale": lambda: runtime.scale(version("worker"), 3, fencing=fencing),
        "drain": lambda: runtime.drain("worker", "v1", 0.0, fencing=fencing),
    }
    takes = {
        name
        for name, method in vars(Runtime).items()
        if not name.startswith("_") and "fencing" in inspect.signature(method).parameters
    }
    assert takes == set(calls)
    for call in calls.values():
        with pytest.raises(Fenced):
            await call()


async def a_drain_cancels_nothing_once_a_newer_command_wants_the_version(runtime: Runtime) -> None:
    await launch(runtime)
    await submit(runtime, "t", {"do": "relay", "body": {"do": "wait_for_ever"}}, timeout_s=60.0)
    draining = asyncio.ensure_future(runtime.drain("worker", "v1", 50.0, fencing=1))
    await until(runtime, lambda: drains(runtime), "drain begun")
    await runtime.scale(version("worker"), 1, fencing=2)
    with pytest.raises(Fenced):
        await draining
    assert await runs(runtime, "worker") == 1
    assert not await drains(runtime)


async def runs(runtime: Runtime, role: str) -> int:
    return sum(r.running for r in (await runtime.observe()).replicas if r.role == role)


async def drains(runtime: Runtime) -> bool:
    replicas = (await runtime.observe()).replicas
    return any(replica.state is ReplicaState.DRAINING for replica in replicas)


SCENARIOS: list[Scenario] = [
    an_older_fencing_number_is_refused,
    a_drain_cancels_nothing_once_a_newer_command_wants_the_version,
]


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_leadership(kind: str, scenario: Scenario) -> None:
    run_fleet(kind, scenario)
