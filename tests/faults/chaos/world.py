"""The world of one history: fleet, store, controllers that are started again, and an API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from rolewise.agents.errors import Overloaded
from rolewise.coordinator.controller import Controller
from rolewise.coordinator.crash_points import watch
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rehearse import EPOCH
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.fleet.local.clock import LoopClock
from rolewise.fleet.local.network import Network
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import Fenced, Observation
from rolewise.fleet.scoring import at_once
from rolewise.fleet.spec import role_settings
from rolewise.fleet.task import TaskRequest
from rolewise.graphs.rounds import join_rounds
from tests.faults.chaos.fleets import FLEET, definitions, registration, spec_of
from tests.faults.chaos.weather import Weather
from tests.faults.chaos.wire import FleetWire, Killed, Process, StoreWire

USERS = 12
TASK_LIMIT_S = 8.0
TICK_S = 0.25
LEASE_S = 1.5


class ChaosStore(MemoryStore):
    """The store of a history; it can be away for everybody.

    Attributes:
        leader: The lease of whoever was last written down as the leader.
    """

    is_away = False
    leader = 0

    async def append(self, stream, entries, *, after, lease=None):
        last = await super().append(stream, entries, after=after, lease=lease)
        for entry in entries:
            if b'"type":"TakenOver"' in entry:
                self.leader = json.loads(entry)["fencing"]
        return last


class WatchedFleet(LocalRuntime):
    """A fleet in which nobody may ever be sent to a version that is not there.

    It keeps no telemetry and tells no waits: nothing here is about them, and they would take most
    of the time.
    """

    def __init__(self, store: ChaosStore, **more: Any) -> None:
        super().__init__(**more)
        self.store = store
        self.broken: list[str] = []
        self.refused = 0

    async def observe(self, cursor=0):
        return Observation(
            now_s=asyncio.get_running_loop().time(),
            replicas=tuple(live.status(self._router.table.number) for live in self.staff),
            counts=self._gateway.counts,
            tasks=self._gateway.tasks_since(cursor),
        )

    async def result(self, task, *, wait_s=0.0):
        return await self._gateway.result(task, wait_s)

    async def waits(self, replicas=None, *, recent=False):
        return join_rounds(())

    def breaches(self):
        return {}

    def _recorder(self, source, node):
        loop = asyncio.get_running_loop()
        return Recorder(source, node, capacity=1, now=loop.time, clock_ns=lambda: 0)

    def _take(self, recorder):
        """Throw it away."""

    async def scale(self, version, replicas, *, fencing):
        await super().scale(version, replicas, fencing=fencing)
        self.look(f"scale {version.role}@{version.version} to {replicas}")

    async def install(self, table, *, fencing):
        await super().install(table, fencing=fencing)
        self.look(f"install {table.number}")

    def look(self, after: str) -> None:
        for route in self.table.routes:
            shares = {route.stable: 100.0 - route.weight}
            if route.canary:
                shares[route.canary] = route.weight
            if sum(shares.values()) != 100.0:
                self.broken.append(f"after {after}: weights of {route.role} are {shares}")
            for version, share in shares.items():
                if share and not self.staff.of(route.role, version):
                    self.broken.append(
                        f"after {after}: {share} % go to {route.role}@{version}, "
                        "of which there is no replica"
                    )

    @property
    def table(self) -> RoutingTable:
        return self._router.table

    def _check(self, fencing: int) -> None:
        try:
            super()._check(fencing)
        except Fenced:
            self.refused += 1
            raise
        if fencing >> 64 < self.store.leader:
            self.broken.append(
                f"a command of lease {fencing >> 64} was taken from somebody whom "
                f"lease {self.store.leader} had followed"
            )


@dataclass
class World:
    """See the module. `api` is a process that never dies; its wire to the store is like others."""

    shape: str
    weather: Weather
    clock: LoopClock
    store: ChaosStore
    fleet: WatchedFleet
    controllers: list[Process] = field(default_factory=list)
    sent: set[asyncio.Task[Any]] = field(default_factory=set)
    work: list[asyncio.Task[None]] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    probes: list[str] = field(default_factory=list)
    clock_off_s: float = 0.0
    passing: Callable[[Process, str], Awaitable[None]] | None = None
    lives: int = 0
    api: Journal = field(init=False)
    truth: Journal = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.journal(Process("api"))
        self.truth = Journal(self.store, self.now)

    @classmethod
    async def open(cls, shape: str, weather: Weather, seed: int) -> World:
        """Start the fleet as its first release."""
        clock = LoopClock()
        store = ChaosStore(clock)
        fleet = WatchedFleet(
            store, entry=("entry",), seed=seed, network=Network(seed=seed, faults=weather)
        )
        world = cls(shape, weather, clock, store, fleet)
        entry = registration(shape)
        await world.truth.register(entry)
        for role, version in entry.release.items():
            definition = definitions(shape)[role, version]
            await fleet.scale(definition, role_settings(spec_of(shape), role).replicas, fencing=0)
        await fleet.install(entry.table, fencing=0)
        return world

    def now(self) -> datetime:
        """Return what the clocks on the walls say."""
        return EPOCH + timedelta(seconds=self.clock.now() + self.clock_off_s)

    def journal(self, process: Process) -> Journal:
        wire = StoreWire(self.store, process, self.weather, self.sent)
        return Journal(cast("Any", wire), self.now)

    def lead(self) -> Process:
        """Start a controller in a process of its own."""
        self.lives += 1
        process = Process(f"coordinator-{self.lives}")

        async def passing(point: str) -> None:
            await process.lives()
            if self.passing is not None:
                await self.passing(process, point)
            await process.lives()

        store: Any = watch(StoreWire(self.store, process, self.weather, self.sent), passing)
        fleet: Any = watch(FleetWire(self.fleet, process, self.weather, self.sent), passing)
        controller = Controller(
            fleet=FLEET,
            journal=Journal(store, self.now),
            runtime=fleet,
            definitions=definitions(self.shape),
            holder=process.name,
            tick_s=TICK_S,
            lease_s=LEASE_S,
            aside=at_once,
        )

        async def main() -> None:
            with suppress(Killed, asyncio.CancelledError, ConnectionError):
                await controller.run()
            process.is_dead = True

        process.main = asyncio.get_running_loop().create_task(main())
        self.controllers.append(process)
        return process

    async def supervise(self, again_s: Callable[[], float]) -> None:
        """Start a controller again whenever none is alive, as Ray does."""
        while True:
            await asyncio.sleep(again_s())
            if all(process.is_dead for process in self.controllers):
                self.lead()

    async def give_tasks(self, gap_s: Callable[[], float]) -> None:
        """Submit tasks, some of them twice, as a client does that got no answer."""
        draw = self.weather.draw
        bodies = (
            {"do": "echo", "x": 1},
            {"do": "version"},
            {"do": "sleep", "s": 0.4},
            {"do": "raise"},
        )
        while True:
            await asyncio.sleep(gap_s())
            body = {"do": "relay", "body": draw.choice(bodies)}
            name = f"t{len(self.tasks) + 1}"
            for _ in range(1 + (draw.random() < 0.1)):
                await self.submit(name, body, user=f"u{draw.randrange(USERS)}")
            self.tasks.append(name)

    async def submit(self, name: str, body: Any, *, user: str) -> None:
        request = TaskRequest(id=name, body=body, attributes={"user": user}, timeout_s=TASK_LIMIT_S)
        with suppress(Overloaded):
            await self.fleet.submit(request)

    async def newest(self) -> Rollout | None:
        """Return where the newest rollout really stands, past all bad weather."""
        state = await self.truth.last_rollout(await self.truth.fleet(FLEET))
        return state if state.sequence else None

    async def close(self) -> None:
        for process in self.controllers:
            process.kill()
        mains = [process.main for process in self.controllers if process.main is not None]
        for task in (*self.work, *self.sent):
            task.cancel()
        await asyncio.gather(*mains, *self.work, *self.sent, return_exceptions=True)
