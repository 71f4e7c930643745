"""What is left of a replica that has ended, in processes that live on: bare Ray and Rolewise.

    python benchmarks/lives.py [--lives 60]

Ray keeps some of what it knows of an actor in every process that had to do with it, for as long as
that process lives. So memory grows with the number of replicas that were ever started, whoever
started them. Both sides start an actor, hear from it and end it, again and again; each of
Rolewise's serves a task in between, of which it tells the collector. The figure is the growth of a
process's own memory for each, after some that only warm up.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import ray
from soak_faults import pid_of
from transport import Echo

from rolewise.fleet.ray import names
from rolewise.fleet.ray.cluster import leave_ray, start_local_ray
from rolewise.fleet.ray.meter import read_memory
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.task import Outcome, TaskRequest

WARM_UP = 5
TASK_S = 30.0


class Bare:
    """An actor that is started and ended."""

    async def hear(self) -> None:
        """Answer."""


class Starter:
    """Starts actors as a fleet's head does: detached, by name."""

    def __init__(self) -> None:
        self._bare: Any = ray.remote(Bare)  # once: Ray keeps every class that it is given

    async def live(self, number: int) -> None:
        """Let one live and end."""
        options: dict[str, Any] = {"name": f"bare-{number}", "lifetime": "detached"}
        actor = self._bare.options(num_cpus=0, namespace="lives", **options).remote()
        await actor.hear.remote()
        ray.kill(actor, no_restart=True)


def memory_kb(pid: int) -> float:
    used = read_memory(pid)
    if used is None:
        raise LookupError(f"process {pid} is gone")
    return used / 1024


async def process_of(actor: str) -> int:
    """Return the process of a named actor, which must be there."""
    pid = await pid_of(actor)
    if pid is None:
        raise LookupError(f"{actor} does not answer")
    return pid


async def bare(lives: int) -> float:
    """Return the growth for each life, with nothing but Ray."""
    options: dict[str, Any] = {"name": "starter", "namespace": names.NAMESPACE}
    starter: Any = ray.remote(Starter).options(num_cpus=0, **options).remote()
    pid = await process_of("starter")
    before = 0.0
    for number in range(WARM_UP + lives):
        if number == WARM_UP:
            before = memory_kb(pid)
        await starter.live.remote(number)
    grown = (memory_kb(pid) - before) / lives
    ray.kill(starter)
    return grown


async def rolewise(lives: int) -> dict[str, float]:
    """Return the growth of the fleet's own processes for each life of a replica."""
    runtime = await RayRuntime.launch("lives", entry=("echo",))
    processes = {
        "head": names.head_name("lives"),
        "gateway": names.gateway_name("lives"),
        "collector": names.collector_name("lives", 0),
    }
    pids = {what: await process_of(name) for what, name in processes.items()}
    before: dict[str, float] = {}
    for number in range(WARM_UP + lives):
        if number == WARM_UP:
            before = {what: memory_kb(pid) for what, pid in pids.items()}
        version = VersionDefinition(
            role="echo",
            version=f"v{number % 2}",
            content_hash="",
            agent=f"transport:{Echo.__name__}",
            config={},
        )
        await runtime.scale(version, 1, fencing=1)
        route = RoleRoute(role="echo", stable=version.version)
        await runtime.install(RoutingTable(number=number + 1, routes=(route,)), fencing=1)
        await runtime.submit(TaskRequest(id=f"task-{number}"))
        record = await runtime.result(f"task-{number}", wait_s=TASK_S)
        if record is None or record.outcome is not Outcome.COMPLETED:
            raise RuntimeError(f"a task has not completed: {record}")
        await runtime.scale(version, 0, fencing=1)
    grown = {what: (memory_kb(pid) - before[what]) / lives for what, pid in pids.items()}
    await runtime.shutdown()
    return grown


async def run(lives: int) -> None:
    """Measure both and print."""
    print(f"kB that stay for each of {lives} lives")
    print(f"  bare Ray, the starter   {await bare(lives):6.0f}")
    for what, grown in (await rolewise(lives)).items():
        print(f"  Rolewise, {what:13} {grown:6.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lives", type=int, default=60)
    lives = parser.parse_args().lives
    start_local_ray()
    try:
        asyncio.run(run(lives))
    finally:
        leave_ray()


if __name__ == "__main__":
    main()
