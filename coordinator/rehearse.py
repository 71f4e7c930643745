"""A rollout rehearsed without a cluster: the whole of Rolewise on a local fleet in virtual time.

The plan, the machine, the judge and the controller are the ones that run in earnest; only the
wire, the clock and the store are local. Equal seeds give equal rehearsals, to the last byte.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from rolewise.coordinator.controller import Controller
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets, Planned, bring_up, definitions_of, register
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.fleet.harness.workload import NOTHING_NEW, Workload, load_source
from rolewise.fleet.local.clock import LoopClock, run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.scoring import at_once
from rolewise.fleet.spec import FleetSpec, guard_limits, role_settings
from rolewise.graphs.interaction_graph import InteractionWindows

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Virtual time begins here, so that a rehearsal's log never depends on the day it ran."""

WARM_UP_S = 5.0
"""Traffic before the rollout, for the order of the roles; in virtual seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How a rehearsal went.

    Attributes:
        seed: Gives the same rehearsal again.
        planned: The plan and the reasons for its order.
        rollout: Where the rollout ended.
        events: Its log, numbered.
        counts: The account of all tasks.
        virtual_s: How long it took, in virtual seconds.
        graph: The interaction graph of the whole rehearsal.
    """

    seed: int
    planned: Planned
    rollout: Rollout
    events: tuple[tuple[int, Event], ...]
    counts: TaskCounts
    virtual_s: float
    graph: InteractionWindows


class Onlooker(Protocol):
    """Is told of a rehearsal while it runs; it changes nothing."""

    def planned(self, planned: Planned) -> None:
        """Hear of the plan, before anything moves."""
        ...

    def happened(self, number: int, event: Event, state: Rollout) -> None:
        """Hear of an entry of the rollout's log, and where the rollout then stands or later."""
        ...


def rehearse(
    spec: FleetSpec,
    text: str,
    to: str,
    *,
    seed: int,
    limit_s: float,
    onlooker: Onlooker | None = None,
) -> Rehearsal:
    """Rehearse a rollout from the file's release to `to`.

    Args:
        spec: The fleet.
        text: The fleet's file.
        to: Release name or `role=version,...`.
        seed: Seeds the network, the work and the cohorts.
        limit_s: Virtual seconds after which the rehearsal is ended as it stands.
        onlooker: Told of it while it runs.

    Raises:
        RolewiseError: `bad_input` without a workload; `plan_refused`.
    """
    return run_virtual(
        _rehearse(spec, text, to, seed=seed, limit_s=limit_s, onlooker=onlooker or _Nobody())
    )


class _Nobody:
    """The onlooker of a rehearsal that nobody looks at."""

    def planned(self, planned: Planned) -> None:
        """Take no note."""

    def happened(self, number: int, event: Event, state: Rollout) -> None:
        """Take no note."""


async def _rehearse(
    spec: FleetSpec, text: str, to: str, *, seed: int, limit_s: float, onlooker: Onlooker
) -> Rehearsal:
    clock = LoopClock()
    store = MemoryStore(clock)
    journal = Journal(store, lambda: EPOCH + timedelta(seconds=clock.now()))
    runtime = LocalRuntime(
        entry=tuple(spec.entry),
        seed=seed,
        guards=guard_limits(spec.guards),
        tasks_in_flight=spec.tasks_in_flight,
        tasks_kept=spec.tasks_kept,
    )
    fleets = Fleets(
        journal=journal,
        runtimes={spec.fleet: runtime},
        draw_salt=lambda: f"{random.Random(seed).getrandbits(64):016x}",
    )
    registered = await register(journal, spec, text=text, file=spec.fleet, by="rehearsal")
    await bring_up(runtime, spec, registered, fencing=0)
    workload = asyncio.create_task(workload_of(spec, seed=seed).run(runtime))
    controller = Controller(
        fleet=spec.fleet,
        journal=journal,
        runtime=runtime,
        definitions=definitions_of(spec),
        holder="rehearsal",
        aside=at_once,
    )
    await clock.sleep(WARM_UP_S)
    planned = await fleets.plan(spec.fleet, to)
    onlooker.planned(planned)
    started = await fleets.start(spec.fleet, to, by="rehearsal")
    leading = asyncio.create_task(controller.run())
    state = await _until_it_rests(journal, started.rollout, clock, limit_s, onlooker)
    await _end(workload)
    await _until_all_tasks_ended(runtime, clock)
    await _end(leading)
    events: list[tuple[int, Event]] = []
    while more := await journal.events(started.rollout, after=len(events)):
        events += more
    return Rehearsal(
        seed=seed,
        planned=planned,
        rollout=state,
        events=tuple(events),
        counts=(await runtime.observe(NOTHING_NEW)).counts,
        virtual_s=clock.now(),
        graph=await runtime.graph(),
    )


def workload_of(
    spec: FleetSpec, *, seed: int, name: str = "t", at_most: int | None = None
) -> Workload:
    """Return the traffic that a fleet's file describes.

    Args:
        spec: The file.
        seed: Of the tasks, and of the gaps between them.
        name: Begins every task id.
        at_most: So many tasks at a time, if the file allows more.

    Raises:
        RolewiseError: `bad_input`: it describes none.
    """
    settings = spec.workload
    if settings is None:
        raise RolewiseError(
            "bad_input",
            f"fleet {spec.fleet!r} has no workload: a rehearsal needs `workload: {{source: …}}`",
        )
    return Workload(
        load_source(settings.source),
        rate=settings.rate,
        in_flight=min(settings.in_flight, at_most or settings.in_flight),
        timeout_s=settings.timeout or role_settings(spec, spec.entry[0]).timeout_s,
        seed=seed,
        name=name,
    )


async def _until_it_rests(
    journal: Journal, rollout: str, clock: LoopClock, limit_s: float, onlooker: Onlooker
) -> Rollout:
    """Wait until the rollout has ended, waits for a person, or the limit is reached."""
    end = clock.now() + limit_s
    told = 0
    while True:
        state = await journal.rollout(rollout)
        for number, event in await journal.events(rollout, after=told):
            onlooker.happened(number, event, state)
            told = number
        if state.phase.is_final or state.phase is Phase.PAUSED or clock.now() >= end:
            return state
        await journal.wait(rollout, after=state.sequence, timeout_s=end - clock.now())


async def _until_all_tasks_ended(runtime: LocalRuntime, clock: LoopClock) -> None:
    while (await runtime.observe(NOTHING_NEW)).counts.running:
        await clock.sleep(0.1)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
