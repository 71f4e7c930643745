"""Given a fleet, when something is asked or breaks, then this is where the rollout stands.

Everything real but the wire, the clock and the store: journal, controller, judge, machine. Time
is virtual, so a wait of minutes takes none, and equal seeds give equal stories.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from rolewise.coordinator.controller import Controller
from rolewise.coordinator.fleets import Fleets, bring_up, definitions_of, register
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rehearse import EPOCH, workload_of
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.local.clock import LoopClock, run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.scoring import at_once
from rolewise.fleet.spec import FleetSpec, parse_fleet

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass
class Stage:
    """A running fleet with a leading controller and traffic."""

    spec: FleetSpec
    clock: LoopClock
    store: MemoryStore
    runtime: LocalRuntime
    fleets: Fleets
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        return self.fleets.journal

    async def start(self, to: str) -> str:
        return (await self.fleets.start(self.spec.fleet, to, by="test")).rollout

    async def until(
        self, rollout: str, holds: Callable[[Rollout], bool], limit_s: float = 900.0
    ) -> Rollout:
        """Wait in virtual time until the rollout stands where it should."""
        end = self.clock.now() + limit_s
        state = await self.journal.rollout(rollout)
        while not holds(state):
            assert self.clock.now() < end, f"after {limit_s} s: {state.phase}: {state.reason}"
            await self.journal.wait(rollout, after=state.sequence, timeout_s=1.0)
            state = await self.journal.rollout(rollout)
        return state

    async def ends(self, rollout: str) -> Rollout:
        return await self.until(rollout, lambda state: state.phase.is_final)

    async def events(self, rollout: str) -> list[Event]:
        return [event for _, event in await self.journal.events(rollout)]

    async def seconds(self, at: datetime) -> float:
        """Return a log's time on the fleet's clock."""
        return (at - EPOCH).total_seconds()

    def lead(self, holder: str) -> asyncio.Task[None]:
        """Start a controller under this name."""
        controller = Controller(
            fleet=self.spec.fleet,
            journal=Journal(self.store, lambda: EPOCH + timedelta(seconds=self.clock.now())),
            runtime=self.runtime,
            definitions=definitions_of(self.spec),
            holder=holder,
            aside=at_once,
        )
        task = asyncio.create_task(controller.run())
        self.tasks.append(task)
        return task

    async def accounts(self) -> TaskCounts:
        """End the traffic, let the last tasks end, and return the account."""
        await self.stop()
        while (counts := (await self.runtime.observe(NOTHING_NEW)).counts).running:
            await self.clock.sleep(0.1)
        return counts

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.tasks.clear()


def given(
    text: str,
    story: Callable[[Stage], Awaitable[None]],
    *,
    seed: int = 7,
    traffic: bool = True,
    runtime: Callable[..., LocalRuntime] = LocalRuntime,
    store: Callable[[LoopClock], MemoryStore] = MemoryStore,
) -> None:
    """Play a story on a fresh fleet made from a fleet's file."""
    make, make_store = runtime, store

    async def main() -> None:
        spec = parse_fleet(text)
        clock = LoopClock()
        store = make_store(clock)
        journal = Journal(store, lambda: EPOCH + timedelta(seconds=clock.now()))
        runtime = make(entry=tuple(spec.entry), seed=seed)
        fleets = Fleets(
            journal=journal, runtimes={spec.fleet: runtime}, draw_salt=lambda: f"salt-{seed}"
        )
        registered = await register(journal, spec, text=text, file="test.yaml", by="test")
        await bring_up(runtime, spec, registered, fencing=0)
        stage = Stage(spec, clock, store, runtime, fleets)
        stage.lead("first")
        if traffic:
            work = workload_of(spec, seed=seed).run(runtime)
            stage.tasks.append(asyncio.create_task(work))
            await clock.sleep(5.0)
        try:
            await story(stage)
        finally:
            await stage.stop()

    run_virtual(main())


def config(name: str) -> str:
    return (CONFIGS / f"{name}.yaml").read_text()
