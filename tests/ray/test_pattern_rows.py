"""Rows 16 and 22 of what the detectors are held to, on real processes: a haggle, and a flood."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from rolewise.coordinator.flood_watch import FloodWatch
from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.pattern_watch import PatternWatch
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.scoring import at_once
from rolewise.fleet.task import TaskRecord, TaskRequest
from rolewise.graphs.interactions import Arm
from tests.support.trader import orders

pytestmark = pytest.mark.ray
FLEET = "traders"
ROLES = {"supplier": "Supplier", "warehouse": "Warehouse", "verifier": "Verifier"}
PLANNERS = {"v1": "haggles_to_an_end", "haggles": "haggles_for_ever", "floods": "floods"}
RATE = 10.0
LIMIT_S = 80.0
ANALYSIS = Analysis()


def version(role: str, name: str, agent: str, mode: str) -> VersionDefinition:
    return VersionDefinition(
        role=role,
        version=name,
        content_hash=f"{role}-{name}",
        agent=f"tests.support.trader:{agent}",
        config={"mode": mode},
        slots=200,
        resources={"cpu": 0.01},
    )


def table(number: int, canary: str = "") -> RoutingTable:
    trial = {"canary": canary, "weight": 50.0, "salt": canary} if canary else {}
    roles = (RoleRoute(role=role, stable="v1") for role in ROLES)
    return RoutingTable(
        number=number, routes=(RoleRoute(role="planner", stable="v1", **trial), *roles)
    )


@pytest.fixture(scope="module")
def fleet(_local_ray: None) -> Iterator[RayRuntime]:
    async def launch() -> RayRuntime:
        runtime = await RayRuntime.launch(FLEET, entry=("planner",), settle_s=0.5)
        versions = [version(role, "v1", agent, "usual") for role, agent in ROLES.items()]
        versions += [version("planner", name, "Planner", mode) for name, mode in PLANNERS.items()]
        await asyncio.gather(*(runtime.scale(one, 1, fencing=1) for one in versions))
        await runtime.install(table(1), fencing=1)
        return runtime

    runtime = asyncio.run(launch())
    yield runtime
    asyncio.run(runtime.shutdown())


class Watched:
    """Traffic on the fleet, and what a controller's watches make of a trial in it."""

    def __init__(self, fleet: RayRuntime, canary: str) -> None:
        self.trial = Trial(role="planner", version=canary, salt=canary)
        self.patterns = PatternWatch(fleet, aside=at_once)
        self.floods = FloodWatch(FLEET, fleet)
        self.tasks: dict[int, TaskRecord] = {}
        self._fleet = fleet
        self._given = 0

    async def until(self, holds: Callable[[], bool]) -> None:
        """Serve, observe and look until something is seen."""
        bodies = orders(5)
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                for _ in range(int(RATE / 2)):
                    self._given += 1
                    body = next(bodies)
                    name = f"{self.trial.version}-{self._given}"
                    await self._fleet.submit(TaskRequest(id=name, body=body, timeout_s=30.0))
                observation = await self._fleet.observe(self._closed)
                self.tasks |= {one.number: one for one in observation.closed}
                await self.patterns.look(self.trial, ANALYSIS, observation.closed)
                await self.floods.look(observation.now_s, ANALYSIS, weight=50.0)
                await asyncio.sleep(0.5)

    @property
    def _closed(self) -> int:
        return max(self.tasks, default=0)

    def flags(self, arm: Arm) -> set[str]:
        """Flags of the trial's closed tasks of an arm."""
        return {
            flag
            for record in self.tasks.values()
            for draw in record.assignments
            if (draw.salt, draw.arm) == (self.trial.salt, arm)
            for flag in record.flags
        }


def test_row_16_the_same_offers_for_ever_are_flagged_and_rolled_back(fleet: RayRuntime) -> None:
    """Its look-alike, a haggle as long whose gap shrinks, is the baseline."""

    async def main() -> None:
        await fleet.install(table(2, "haggles"), fencing=1)
        watched = Watched(fleet, "haggles")
        await watched.until(lambda: bool(watched.patterns.facts))
        (fact,) = watched.patterns.facts
        assert fact.reaction == "rollback"
        assert fact.sentence.startswith("livelock: "), fact.sentence
        assert watched.flags(Arm.CANARY) >= {"ping_pong", "repeat"}
        assert not watched.flags(Arm.BASELINE)
        assert watched.floods.facts == ()

    asyncio.run(main())


def test_row_22_a_flood_is_the_canarys_own_within_seconds(fleet: RayRuntime) -> None:
    async def main() -> None:
        await fleet.install(table(3, "floods"), fencing=1)
        watched = Watched(fleet, "floods")
        await watched.until(
            lambda: any(fact.reaction == "rollback" for fact in watched.floods.facts)
        )
        (fact,) = watched.floods.facts
        assert fact.sentence.startswith("flood on planner -> warehouse: reserve of canary tasks")
        (flood,) = watched.floods.floods
        assert flood.is_own
        assert flood.split.baseline == 0

    asyncio.run(main())
