"""Waits on real processes: deadlocks are found, and a process that hangs is not taken for one."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import ray

from rolewise.agents.message import Address
from rolewise.coordinator.waits import WaitsLookout
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.ray import names
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import ReplicaState, VersionDefinition
from rolewise.fleet.task import Outcome, TaskRequest
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.involvement import Part, judge_involvement
from rolewise.graphs.snapshot_columns import read_snapshots

pytestmark = pytest.mark.ray
FLEET = "waits"
DOES: Mapping[str, Mapping[str, Any]] = {
    "a": {
        "task": [{"ask": "b.work"}],
        "timed": [{"ask": "b.work", "timeout": 40.0}],
        "plain": [{"ask": "b.slow"}],
        "stuck": [{"ask": "b.block"}],
    },
    "b": {
        "work": [{"ask": "a.again"}],
        "slow": [{"sleep": 30.0}],
        "block": [{"block": 15.0}],
    },
    # The same two with a slot more.
    "wide": {"task": [{"ask": "side.work"}], "again": [{"sleep": 0.1}]},
    "side": {"work": [{"sleep": 2.5}, {"ask": "wide.again"}]},
} | {
    role: {"task": [{"sleep": 1.0}, {"ask": f"{following}.work"}]}
    for role, following in zip(("r1", "r2", "r3", "r4"), ("r2", "r3", "r4", "r1"), strict=True)
}


def version(role: str) -> VersionDefinition:
    return VersionDefinition(
        role=role,
        version="v1",
        content_hash=role,
        agent="tests.support.players:Player",
        config={"does": DOES[role]},
        slots=2 if role in {"wide", "side"} else 1,
        resources={"cpu": 0.01},
    )


@pytest.fixture(scope="module")
def fleet(_local_ray: None) -> Iterator[RayRuntime]:
    async def launch() -> RayRuntime:
        runtime = await RayRuntime.launch(FLEET, entry=tuple(DOES), settle_s=0.5)
        await asyncio.gather(*(runtime.scale(version(role), 1, fencing=1) for role in DOES))
        routes = tuple(RoleRoute(role=role, stable="v1") for role in DOES)
        await runtime.install(RoutingTable(number=1, routes=routes), fencing=1)
        return runtime

    runtime = asyncio.run(launch())
    yield runtime
    asyncio.run(runtime.shutdown())


async def give(fleet: RayRuntime, task: str, role: str, kind: str = "task", limit_s=math.inf):
    await fleet.submit(TaskRequest(id=task, role=role, kind=kind, timeout_s=limit_s))


async def watch(
    fleet: RayRuntime, holds: Callable[[WaitsLookout], bool], limit_s: float = 60.0
) -> WaitsLookout:
    """Look as a controller does until something is seen; each look in between is a call."""
    lookout, loop = WaitsLookout(FLEET, fleet), asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not holds(lookout):
        assert loop.time() < end, lookout.alerts
        await lookout.look(loop.time(), canary=("b", "v1"))
        await fleet.observe(NOTHING_NEW)
    return lookout


@asynccontextmanager
async def ended(fleet: RayRuntime, *roles: str) -> AsyncIterator[None]:
    """In the end, end what is stuck in these roles by making their replicas anew."""
    try:
        yield
    finally:
        for role in roles:
            await fleet.scale(version(role), 0, fencing=1)
        await asyncio.gather(*(fleet.scale(version(role), 1, fencing=1) for role in roles))
        await until(fleet, nothing_runs)


async def until(
    fleet: RayRuntime, holds: Callable[[RayRuntime], Awaitable[bool]], limit_s: float = 120.0
) -> None:
    async with asyncio.timeout(limit_s):
        while not await holds(fleet):
            pass


async def nothing_runs(fleet: RayRuntime) -> bool:
    return not (await fleet.observe(NOTHING_NEW)).counts.running


async def all_serve(fleet: RayRuntime) -> bool:
    replicas = (await fleet.observe(NOTHING_NEW)).replicas
    return all(one.state is ReplicaState.READY for one in replicas)


def test_row_1_a_mutual_ask_without_timeouts(fleet: RayRuntime) -> None:
    async def main() -> None:
        async with ended(fleet, "b"):
            await give(fleet, "mutual", "a")
            await give(fleet, "look-alike", "wide")
            lookout = await watch(fleet, lambda seen: bool(seen.deadlocks))
            (deadlock,) = lookout.deadlocks
            assert (deadlock.kind, deadlock.nodes) == ("hard", ("a@v1", "b@v1"))
            assert deadlock.tasks == ("mutual",)
            # It begins with whichever wait is seen to be older, by a hair.
            assert "for the reply to work of b@v1#" in deadlock.sentence
            assert "for a slot of a@v1#" in deadlock.sentence
            found = judge_involvement(deadlock, canary=("b", "v1"), free_canary=0, free_baseline=0)
            assert (found.part, found.reaction) == (Part.CORE, "rollback")
            record = await fleet.result("look-alike", wait_s=40.0)
            assert record is not None
            assert record.outcome is Outcome.COMPLETED

    asyncio.run(main())


def test_row_2_the_same_with_a_timeout(fleet: RayRuntime) -> None:
    async def main() -> None:
        async with ended(fleet, "b"):
            await give(fleet, "timed", "a", "timed")
            lookout = await watch(fleet, lambda seen: bool(seen.deadlocks))
            (deadlock,) = lookout.deadlocks
            assert (deadlock.kind, deadlock.nodes) == ("soft", ("a@v1", "b@v1"))
            assert deadlock.ends_in_s is not None
            assert 0 < deadlock.ends_in_s < 40

    asyncio.run(main())


def test_row_3_a_ring_of_four_with_all_slots_full(fleet: RayRuntime) -> None:
    async def main() -> None:
        async with ended(fleet, "r1", "r2", "r3", "r4"):
            await asyncio.gather(
                *(give(fleet, f"ring-{role}", role) for role in ("r1", "r2", "r3", "r4"))
            )
            lookout = await watch(fleet, lambda seen: bool(seen.deadlocks))
            (deadlock,) = lookout.deadlocks
            assert deadlock.kind == "hard"
            assert deadlock.nodes == ("r1@v1", "r2@v1", "r3@v1", "r4@v1")
            assert deadlock.sentence.count("a slot of") == 4

    asyncio.run(main())


def actor_of(fleet_state: Any, role: str) -> Any:
    replica = next(one for one in fleet_state.replicas if one.role == role)
    node, _, number = replica.replica.rpartition("#")
    address = Address(role=role, version=node.partition("@")[2], replica=int(number))
    return ray.get_actor(names.replica_name(FLEET, address), namespace=names.NAMESPACE)


def test_row_10_a_killed_replica_leaves_no_waits_behind(fleet: RayRuntime) -> None:
    """The link learns of the death: callers get a failure, so there is no orphan to find."""

    async def main() -> None:
        await give(fleet, "bereft", "a", "plain")

        async def is_handled(runtime: RayRuntime) -> bool:
            seen = read_snapshots(await runtime.waits())
            return any(one.role == "b" and one.running for one in seen)

        await until(fleet, is_handled)
        ray.kill(actor_of(await fleet.observe(NOTHING_NEW), "b"), no_restart=False)
        record = await fleet.result("bereft", wait_s=40.0)
        assert record is not None
        assert record.outcome is Outcome.FAILED
        assert "ask_failed: b@v1#" in record.error
        lookout = await watch(fleet, lambda seen: bool(seen.rounds > 2))
        assert (lookout.deadlocks, lookout.stalls) == ((), ())
        await until(fleet, all_serve)  # the killed one again, for the next test

    asyncio.run(main())


def test_row_13_a_blocked_event_loop_still_answers_and_says_so(fleet: RayRuntime) -> None:
    async def main() -> None:
        await give(fleet, "blocks", "a", "stuck")
        lookout = await watch(fleet, lambda seen: bool(seen.stalls))
        (stall,) = lookout.stalls
        assert stall.sentence.startswith("blocked loop: the event loop of b@v1#")
        assert "(1 invocations there)" in stall.sentence
        assert lookout.deadlocks == ()
        record = await fleet.result("blocks", wait_s=40.0)
        assert record is not None
        assert record.outcome is Outcome.COMPLETED
        await watch(fleet, lambda seen: seen.rounds > 1 and not seen.stalls)

    asyncio.run(main())


def test_a_fleet_that_runs_takes_over_the_guards_that_it_is_launched_with(
    fleet: RayRuntime,
) -> None:
    async def relaunch(**guards: int) -> None:
        await RayRuntime.launch(FLEET, entry=(), guards=GuardLimits(**guards), fencing=1)

    async def main() -> None:
        await relaunch(hops=1)
        await give(fleet, "too-far", "a")
        record = await fleet.result("too-far", wait_s=40.0)
        await relaunch()
        assert record is not None
        assert record.outcome is Outcome.FAILED
        assert "the limit is 1: 'work' to b was not sent" in record.error
        await give(fleet, "as-before", "wide")
        record = await fleet.result("as-before", wait_s=40.0)
        assert record is not None
        assert record.outcome is Outcome.COMPLETED

    asyncio.run(main())


def test_a_process_that_is_halted_is_unresponsive_and_no_deadlock(fleet: RayRuntime) -> None:
    async def main() -> None:
        await give(fleet, "who", "side", "pid")
        record = await fleet.result("who", wait_s=40.0)
        assert record is not None
        os.kill(record.result, signal.SIGSTOP)
        try:
            lookout = await watch(fleet, lambda seen: bool(seen.stalls))
        finally:
            os.kill(record.result, signal.SIGCONT)
        (stall,) = lookout.stalls
        assert stall.sentence.startswith("unresponsive: side@v1#")
        assert lookout.deadlocks == ()

    asyncio.run(main())
