"""What only the Ray runtime must show, beside the contract: processes that die, block or differ."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from rolewise.agents.agent import AgentImportError
from rolewise.agents.message import Address
from rolewise.fleet.ray import names
from rolewise.fleet.ray.cluster import read_nodes
from rolewise.fleet.ray.runtime import FleetUnknown, RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import CapacityShort, ReplicaState, VersionDefinition
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest
from rolewise.graphs.snapshot_columns import read_snapshots

pytestmark = pytest.mark.ray
FLEET = "rough"


def version(name: str = "v1", **fields: Any) -> VersionDefinition:
    fields = {"agent": "tests.ray.agents:Rough", "resources": {"cpu": 0.01}} | fields
    return VersionDefinition(role="rough", version=name, content_hash=name, config={}, **fields)


def table(number: int, stable: str = "v1") -> RoutingTable:
    return RoutingTable(number=number, routes=(RoleRoute(role="rough", stable=stable),))


@pytest.fixture(scope="module")
def fleet(_local_ray: None) -> Iterator[RayRuntime]:
    """One fleet of two replicas for all tests of this module."""

    async def launch() -> RayRuntime:
        runtime = await RayRuntime.launch(FLEET, entry=("rough",), collectors=2)
        await runtime.scale(version(), 2, fencing=1)
        await runtime.install(table(1), fencing=1)
        return runtime

    runtime = asyncio.run(launch())
    yield runtime
    asyncio.run(runtime.shutdown())
    assert not [n for n in ray.util.list_named_actors() if n.startswith(names.prefix(FLEET))]
    with pytest.raises(FleetUnknown, match="no fleet 'rough'"):
        RayRuntime.attach(FLEET)


async def end_of(runtime: RayRuntime, task: str, body: Any, timeout_s: float = 20.0) -> TaskRecord:
    await runtime.submit(TaskRequest(id=task, body=body, timeout_s=timeout_s))
    record = await runtime.result(task, wait_s=timeout_s + 5.0)
    assert record is not None
    return record


async def until(holds: Callable[[], Awaitable[bool]], what: str, limit_s: float = 40.0) -> None:
    """Ask again and again; each look is an actor call, so it does not spin."""
    end = time.monotonic() + limit_s
    while not await holds():
        assert time.monotonic() < end, f"never came true: {what}"


async def all_ready(runtime: RayRuntime, restarts: int) -> bool:
    replicas = (await runtime.observe()).replicas
    return (
        len(replicas) == 2
        and all(r.state is ReplicaState.READY for r in replicas)
        and sum(r.restarts for r in replicas) >= restarts
    )


def restarts_of(runtime: RayRuntime) -> int:
    return sum(r.restarts for r in asyncio.run(runtime.observe()).replicas)


def test_a_replica_that_dies_fails_its_ask_within_seconds_and_is_replaced(
    fleet: RayRuntime,
) -> None:
    before = restarts_of(fleet)

    async def main() -> None:
        record = await end_of(fleet, "die", {"die": 3})
        assert record.outcome is Outcome.FAILED
        assert record.error.startswith("replica_lost")
        assert record.latency_s is not None
        assert record.latency_s < 6.0
        await until(lambda: all_ready(fleet, before + 1), "replaced")
        replicas = (await fleet.observe()).replicas
        assert all(r.table == 1 for r in replicas)  # it asked for the routes itself
        records = await asyncio.gather(*(end_of(fleet, f"after-{n}", n) for n in range(10)))
        assert [record.result for record in records] == list(range(10))

    asyncio.run(main())


def test_an_actor_that_ray_has_given_up_is_made_anew(fleet: RayRuntime) -> None:
    before = restarts_of(fleet)

    async def main() -> None:
        name = (await fleet.observe()).replicas[0].replica
        node, _, number = name.rpartition("#")
        role, _, which = node.partition("@")
        address = Address(role=role, version=which, replica=int(number))
        actor = ray.get_actor(names.replica_name(FLEET, address), namespace=names.NAMESPACE)
        ray.kill(actor, no_restart=True)
        await until(lambda: all_ready(fleet, before + 1), "made anew")
        records = await asyncio.gather(*(end_of(fleet, f"anew-{n}", n) for n in range(10)))
        assert [record.result for record in records] == list(range(10))

    asyncio.run(main())


async def closed_after(runtime: RayRuntime, cursor: int, count: int) -> list[TaskRecord]:
    """Wait until the telemetry of so many tasks, submitted after `cursor`, has come in."""
    records: list[TaskRecord] = []

    async def have_closed() -> bool:
        records[:] = (await runtime.observe(cursor)).closed[:count]
        return len(records) == count

    await until(have_closed, f"{count} tasks after {cursor} count as closed")
    return records


def test_what_a_replica_uses_is_shared_out_over_the_tasks_that_it_served(
    fleet: RayRuntime,
) -> None:
    async def main() -> None:
        # First what came before must have been told of: shares go to all messages of a while.
        await end_of(fleet, "before", 0)
        before = (await fleet.observe()).counts.submitted - 1
        await closed_after(fleet, before, 1)
        for n in range(3):
            await end_of(fleet, f"burn-{n}", {"burn": 0.3})
        records = await closed_after(fleet, before + 1, 3)
        burnt = [r.cpu_s or 0.0 for r in records]
        assert sum(burnt) >= 0.9, "also what a message burns after its replica has told of it"
        assert sum(burnt) < 3.0, "what else the processes do is little"
        assert all(1e7 < r.memory_bytes["rough"] < 5e9 for r in records)

    asyncio.run(main())


def test_a_blocked_replica_still_says_what_it_does(fleet: RayRuntime, tmp_path: Path) -> None:
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)

    async def main() -> None:
        await fleet.submit(TaskRequest(id="blocked", body={"block on": str(fifo)}, timeout_s=60.0))

        async def is_running() -> bool:
            return any(head.loop_lag_s > 1 for head in (await fleet.waits()).heads)

        await until(is_running, "the blocked event loop in a snapshot")
        snapshots = read_snapshots(await fleet.waits())
        assert sorted(len(one.running) for one in snapshots) == [0, 1]
        replicas = (await fleet.observe()).replicas
        assert sorted(r.running for r in replicas) == [0, 1]
        fifo.write_text("open")
        record = await fleet.result("blocked", wait_s=20.0)
        assert record is not None
        assert record.result == "open"

    asyncio.run(main())


def test_the_head_may_die_while_the_fleet_works_on(fleet: RayRuntime) -> None:
    async def main() -> None:
        ray.kill(ray.get_actor(names.head_name(FLEET), namespace="rolewise"), no_restart=False)
        records = await asyncio.gather(*(end_of(fleet, f"headless-{n}", n) for n in range(10)))
        assert all(record.outcome is Outcome.COMPLETED for record in records)
        again = RayRuntime.attach(FLEET)
        await until(lambda: all_ready(again, 0), "the new head knows the replicas")
        await again.install(table(2), fencing=1)
        assert all(r.table == 2 for r in (await again.observe()).replicas)

    asyncio.run(main())


def test_a_version_runs_in_its_own_environment(fleet: RayRuntime) -> None:
    async def main() -> None:
        environment = {"env_vars": {"ROLEWISE_TEST_MODEL": "small"}}
        await fleet.scale(version("v2", runtime_env=environment), 1, fencing=1)
        await fleet.install(table(3, stable="v2"), fencing=1)
        body = {"read variable": "ROLEWISE_TEST_MODEL"}
        assert (await end_of(fleet, "env-2", body)).result == "small"
        await fleet.install(table(4), fencing=1)
        assert (await end_of(fleet, "env-1", body)).result is None
        await fleet.scale(version("v2", runtime_env=environment), 0, fencing=1)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"resources": {"cpu": 99.0}}, CapacityShort, "no node has 99 cpu"),
        ({"labels": {"zone": "nowhere"}}, CapacityShort, "no node has the labels"),
        ({"agent": "tests.ray.agents:Missing"}, AgentImportError, "Missing"),
    ],
)
def test_a_version_that_cannot_run_is_refused_and_leaves_nothing(
    fleet: RayRuntime, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    async def main() -> None:
        with pytest.raises(error, match=words):
            await fleet.scale(version("v9", **fields), 1, fencing=1)
        assert all(r.version == "v1" for r in (await fleet.observe()).replicas)

    asyncio.run(main())


def test_the_cluster_says_how_much_room_it_has(fleet: RayRuntime) -> None:
    (node,) = read_nodes()
    assert node.resources["cpu"] == 2.0
    assert node.resources["memory_bytes"] > 0
