"""Makes, finds and ends the actors of one fleet: all that the head has Ray do.

All of them are detached and have names, so that none depends on the process that made it, and
asking for one that is there returns it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from rolewise.agents.agent import AgentImportError
from rolewise.agents.message import Address
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.ray import names
from rolewise.fleet.ray.cluster import read_available, read_nodes, sum_resources
from rolewise.fleet.ray.collector import CollectorActor
from rolewise.fleet.ray.environment import build_environment
from rolewise.fleet.ray.gateway import GatewayActor
from rolewise.fleet.ray.inquest import Place, Standing, is_ended, read_cause, read_standing
from rolewise.fleet.ray.memory import MemoryKeeper
from rolewise.fleet.ray.placement import build_placement, find_shortage
from rolewise.fleet.ray.replica import CONCURRENCY_GROUPS, MAX_CONCURRENCY, ReplicaActor
from rolewise.fleet.ray.view import Settings
from rolewise.fleet.runtime import CapacityShort, DrainStuck, VersionDefinition

START_LIMIT_S = 300.0
"""A version's own environment may have to be installed first."""
START_LOOK_S = 0.5
START_DEATHS = 3
"""Deaths before it was ready after which a fresh replica is given up."""
LAST_POST_S = 2.0
END_LIMIT_S = 8.0
"""Ray ends a process that does not end itself after five seconds."""
ENDED_EVERY_S = 0.05
SHORTAGE_STANDS_S = 3.0
"""Ray counts freed resources as free only a moment later."""
ROOM_EVERY_S = 0.1
SHORT_LINES = 4

# Once for each process: every call makes a class, which Ray pickles, sends and keeps for good.
_Gateway: Any = ray.remote(GatewayActor)
_Collector: Any = ray.remote(CollectorActor)
_MemoryKeeper: Any = ray.remote(MemoryKeeper)
_Replica: Any = ray.remote(concurrency_groups=CONCURRENCY_GROUPS)(ReplicaActor)  # type: ignore[call-overload]


class Staff:
    """The actors of one fleet.

    Args:
        settings: The fleet.
        head: Handle of the actor that employs them.
    """

    def __init__(self, settings: Settings, head: Any) -> None:
        self._settings = settings
        self._fleet = settings.fleet
        self._head = head

    def gateway(self) -> Any:
        """Return the gateway's handle."""
        actor = _Gateway.options(
            **keeper_options(names.gateway_name(self._fleet)), max_concurrency=MAX_CONCURRENCY
        )
        return actor.remote(self._settings, self._head)

    def collectors(self) -> tuple[Any, ...]:
        """Return the collectors' handles, by shard."""
        return tuple(
            _Collector.options(**keeper_options(names.collector_name(self._fleet, shard))).remote(
                self._head, shard, self._settings.tasks_kept
            )
            for shard in range(self._settings.collectors)
        )

    def memory(self) -> Any:
        """Return the memory keeper's handle."""
        options = keeper_options(names.memory_name(self._fleet))
        return _MemoryKeeper.options(**options).remote(self._fleet)

    def replica(self, address: Address, version: VersionDefinition) -> Any:
        """Return a replica's handle."""
        return _Replica.options(
            name=names.replica_name(self._fleet, address),
            namespace=names.NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=version.max_restarts,
            max_task_retries=0,  # a message that was lost with its replica may have acted
            max_concurrency=MAX_CONCURRENCY,
            **build_environment(version),
            **build_placement(version),
        ).remote(address, version, self._head, self._settings.search_path)

    async def end_all(self, replicas: Mapping[str, Any]) -> None:
        """End replicas for good, after they have shipped their telemetry.

        Args:
            replicas: Address in words -> handle.

        Raises:
            DrainStuck: Some of them may still run.
        """
        ended = await asyncio.gather(*(self._end(actor) for actor in replicas.values()))
        left = [name for name, is_ended in zip(replicas, ended, strict=True) if not is_ended]
        if left:
            raise DrainStuck(left, f"Ray has not ended their processes within {END_LIMIT_S:g} s")

    async def _end(self, replica: Any) -> bool:
        with contextlib.suppress(RayError, TimeoutError):
            async with asyncio.timeout(LAST_POST_S):
                await replica.post.remote()
        ray.kill(replica, no_restart=True)
        end = asyncio.get_running_loop().time() + END_LIMIT_S
        while not await is_ended(replica):
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(ENDED_EVERY_S)
        return True


class Inquiry:
    """See `rolewise.fleet.ray.care.RayKnows`."""

    async def standing(self, actor: Any) -> Standing:
        """Return how an actor is."""
        return await read_standing(actor)

    async def cause(self, place: Place | None) -> tuple[IncidentKind, str]:
        """Return what a life of an actor ended of, and in words."""
        return await read_cause(place)

    async def shortage(self, version: VersionDefinition) -> str:
        """Return in words why there is no room for one more replica."""
        return find_shortage(version, 1, nodes=read_nodes(), available=read_available())

    def kill(self, actor: Any, *, for_good: bool) -> None:
        """End an actor's process."""
        ray.kill(actor, no_restart=for_good)


async def check_room(version: VersionDefinition, missing: int) -> None:
    """Return when the cluster has room for so many more replicas.

    Raises:
        CapacityShort: It has none, and has not got any within a moment.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + SHORTAGE_STANDS_S
    while True:
        nodes = read_nodes()
        for_ever = find_shortage(version, 1, nodes=nodes, available=sum_resources(nodes))
        for_now = find_shortage(version, missing, nodes=nodes, available=read_available())
        if not for_now:
            return
        if for_ever or loop.time() >= end:
            raise CapacityShort(f"{version.role}@{version.version}: {for_ever or for_now}")
        await asyncio.sleep(ROOM_EVERY_S)


async def get_ready(replica: Any, address: Address, version: VersionDefinition) -> None:
    """Return when a fresh replica takes messages.

    Raises:
        AgentImportError: It cannot; also when its process dies again and again before.
        CapacityShort: It was not placed in time.
    """
    ready = asyncio.ensure_future(replica.ready.remote())
    end = asyncio.get_running_loop().time() + START_LIMIT_S
    try:
        while not ready.done():
            await asyncio.wait([ready], timeout=START_LOOK_S)
            if ready.done():
                break
            standing = await read_standing(replica)
            if standing.restarts >= START_DEATHS:
                died = f"its process died {standing.restarts} times before it was ready"
                raise AgentImportError(f"{address} does not start: {died}")
            if asyncio.get_running_loop().time() > end:
                raise CapacityShort(_why_not_up(address, version, standing.state))
        fault = await ready
    except RayError as error:
        if (standing := await read_standing(replica)).restarts or not standing.is_dead:
            died = "its process died before it was ready"
            raise AgentImportError(f"{address} does not start: {died}") from None
        raise AgentImportError(f"{address} does not start: {_short(error)}") from None
    finally:
        ready.cancel()
    if fault:
        raise AgentImportError(fault)


def _why_not_up(address: Address, version: VersionDefinition, state: str) -> str:
    waited = f"{address} was not up within {START_LIMIT_S:g} s"
    if state == "ALIVE":
        return f"{waited}: its agent is still being made"
    why = find_shortage(version, 1, nodes=read_nodes(), available=read_available())
    if not why and version.runtime_env:
        why = "its runtime environment is still being built, or no process can start in it"
    return f"{waited}: {why or 'Ray has not started its process'}"


def _short(error: Exception) -> str:
    """Return the sentence of an error that says what happened: not its way through Ray's code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) <= SHORT_LINES:
        return " ".join(lines)
    return " ".join([*lines[:2], "…", *lines[-2:]])


def keeper_options(name: str) -> dict[str, Any]:
    """Return the actor options of the fleet's own actors; their calls are safe to repeat."""
    return {
        "name": name,
        "namespace": names.NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": -1,
        "num_cpus": 0,
    }
