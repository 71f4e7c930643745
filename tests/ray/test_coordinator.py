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
from rolewise.coordinator.rollout.events import Event, StepStarted, TakenOver, WeightSet
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


def test_a_coordinator_that_is_killed_at_a_point_is_followed(
    tmp_path: Path, crash_point_file: Path
) -> None:
    """By kill -9 of its own process. In virtual time it dies at every point, in every state."""

    async def rolls_out(fleets: Fleets, point: str, version: str) -> None:
        journal = fleets.journal
        coordinator = ray.get_actor(coordinator_name("pair"), namespace=NAMESPACE)
        before = ray.get(coordinator.holder.remote())
        arm(crash_point_file, point)
        started = await fleets.start("pair", f"worker={version}", by="test")
        state = await until(journal, started.rollout, lambda s: s.phase.is_final)
        assert not is_armed(crash_point_file), f"{point} was not passed"
        assert ray.get(coordinator.holder.remote()) != before
        assert state.phase is Phase.COMPLETED
        events = await all_events(journal, started.rollout)
        assert [e.step for e in events if isinstance(e, StepStarted)] == [0, 1, 2]
        assert [e.to_weight for e in events if isinstance(e, WeightSet)] == [50.0, 100.0]
        assert before not in {e.holder for e in events if isinstance(e, TakenOver)}
        replicas = (await fleets.runtime("pair").observe()).replicas
        versions = {(r.role, r.version) for r in replicas}
        assert versions == {("entry", "v1"), ("worker", version), ("adder", "v1")}

    async def scenario(fleets: Fleets) -> None:
        await rolls_out(fleets, "append.before", "v2")
        await rolls_out(fleets, "install.during", "v1")
        await rolls_out(fleets, "drain.after", "v2")

    on_server(tmp_path, scenario)


def arm(file: Path, point: str) -> None:
    file.write_text(point)


def is_armed(file: Path) -> bool:
    return file.exists()


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
