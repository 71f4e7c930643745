"""A rollout on real Ray with a real store, and a coordinator that dies in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import ray

from rolewise.coordinator.actor import coordinator_name
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.events import Event, StepStarted
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.server import Server, read_fleet_files
from rolewise.fleet.ray.names import NAMESPACE
from rolewise.fleet.task import Outcome, TaskRequest

pytestmark = pytest.mark.ray
FILE = Path(__file__).parent / "pair.yaml"
WAIT_S = 60.0


async def until(journal: Journal, rollout: str, holds: Callable[[Rollout], bool]) -> Rollout:
    """Follow a rollout's log until it stands where it should."""
    state = await journal.rollout(rollout)
    async with asyncio.timeout(WAIT_S):
        while not holds(state):
            await journal.wait(rollout, after=state.sequence, timeout_s=WAIT_S)
            state = await journal.rollout(rollout)
    return state


async def all_events(journal: Journal, rollout: str) -> list[Event]:
    return [event for _, event in await journal.events(rollout)]


def on_server(data: Path, scenario: Callable[[Fleets], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Server(read_fleet_files([FILE]), data=data) as fleets:
            await scenario(fleets)

    asyncio.run(main())


def test_a_killed_coordinator_comes_back_and_goes_on(tmp_path: Path) -> None:
    async def scenario(fleets: Fleets) -> None:
        journal = fleets.journal
        started = await fleets.start("pair", "v2", by="test")
        await until(journal, started.rollout, lambda s: s.timer_ends is not None)
        coordinator = ray.get_actor(coordinator_name("pair"), namespace=NAMESPACE)
        before = ray.get(coordinator.holder.remote())
        ray.kill(coordinator, no_restart=False)
        state = await until(journal, started.rollout, lambda s: s.phase.is_final)
        assert state.phase is Phase.COMPLETED
        assert dict(state.release) == {"entry": "v2", "worker": "v2", "adder": "v1"}
        assert ray.get(coordinator.holder.remote()) != before
        steps = [
            (event.stage, event.step)
            for event in await all_events(journal, started.rollout)
            if isinstance(event, StepStarted)
        ]
        assert steps == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
        runtime = fleets.runtime("pair")
        versions = {(r.role, r.version) for r in (await runtime.observe()).replicas}
        assert versions == {("entry", "v2"), ("worker", "v2"), ("adder", "v1")}
        await runtime.submit(TaskRequest(id="after"))
        record = await runtime.result("after", wait_s=10.0)
        assert record is not None
        assert (record.outcome, record.result["version"]) == (Outcome.COMPLETED, "v2")

    on_server(tmp_path, scenario)
