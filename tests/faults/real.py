"""A cluster of several nodes on this machine, and what can be done to it: for tests of faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ray._private import state as tables
from ray._private import worker
from ray.cluster_utils import Cluster

from rolewise.fleet.incident import Incident, IncidentKind
from rolewise.fleet.ray import names
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import ReplicaStatus, VersionDefinition
from rolewise.fleet.task import TaskRecord, TaskRequest

FLEET = "faulty"


def version(role: str, name: str = "v1", **fields: Any) -> VersionDefinition:
    fields = {"agent": "tests.faults.agents:Faulty", "resources": {"cpu": 0.01}} | fields
    return VersionDefinition(
        role=role, version=name, content_hash=f"{role}-{name}", config={}, **fields
    )


def table(number: int, *, worker: str = "v1", idempotent: bool = False) -> RoutingTable:
    return RoutingTable(
        number=number,
        routes=(
            RoleRoute(role="entry", stable="v1"),
            RoleRoute(role="worker", stable=worker, idempotent=idempotent),
        ),
    )


async def end_of(runtime: RayRuntime, task: str, body: Any, timeout_s: float = 30.0) -> TaskRecord:
    await runtime.submit(TaskRequest(id=task, body=body, timeout_s=timeout_s))
    record = await runtime.result(task, wait_s=timeout_s + 10.0)
    assert record is not None, f"{task} is unknown"
    return record


def ask_worker(**body: Any) -> dict[str, Any]:
    return {"ask": "worker", "body": body}


async def until(holds: Callable[[], Awaitable[Any]], what: str, limit_s: float = 60.0) -> Any:
    """Ask again and again; each look is an actor call, so it does not spin."""
    end = time.monotonic() + limit_s
    while not (answer := await holds()):
        assert time.monotonic() < end, f"never came true: {what}"
    return answer


async def incident(runtime: RayRuntime, kind: IncidentKind, after: int = 0) -> Incident:
    """Wait for an incident of this kind."""

    async def find() -> Incident | None:
        found = [one for one in await runtime.incidents(after) if one.kind is kind]
        return found[0] if found else None

    answer: Incident = await until(find, f"an incident {kind}")
    return answer


async def last_incident(runtime: RayRuntime) -> int:
    return max((one.number for one in await runtime.incidents()), default=0)


async def statuses(runtime: RayRuntime, role: str = "worker") -> list[ReplicaStatus]:
    return [one for one in (await runtime.observe(1 << 60)).replicas if one.role == role]


def find_pid(name: str) -> int:
    """Return the process of one of the fleet's actors, by how its name begins; 0 if there is none.

    A replica's is there before it takes messages.
    """
    for actor in tables.actors().values():
        if actor["Name"].startswith(names.prefix(FLEET) + name) and actor["State"] == "ALIVE":
            return int(actor["Pid"])
    return 0


def pid_of(name: str) -> int:
    """Return the process of one of the fleet's actors; it must be there."""
    pid = find_pid(name)
    assert pid, f"{name} has no process"
    return pid


async def launch(resources: dict[str, dict[str, float]]) -> RayRuntime:
    runtime = await RayRuntime.launch(FLEET, entry=("entry",), settle_s=0.5)
    await asyncio.gather(
        runtime.scale(version("entry", resources=resources["entry"], slots=64), 1, fencing=1),
        runtime.scale(version("worker", resources=resources["worker"]), 2, fencing=1),
    )
    await runtime.install(table(1), fencing=1)
    return runtime


def add_node(**fields: Any) -> Any:
    """Add a node to the Ray that this process has started; return it for `remove_node`."""
    cluster = Cluster(initialize_head=False)
    cluster.head_node = worker._global_node
    return cluster, cluster.add_node(**fields)


def remove_node(added: Any) -> None:
    """Kill all processes of a node, as when its machine fails; one that is gone stays so."""
    cluster, node = added
    if node in cluster.worker_nodes:
        cluster.remove_node(node, allow_graceful=False)
