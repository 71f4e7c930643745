"""Makes, finds and ends the actors of one fleet: all that the head has Ray do.

All of them are detached and have names, so that none depends on the process that made it, and
asking for one that is there returns it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import ray
from ray.exceptions import RayError

from rolewise.agents.message import Address
from rolewise.fleet.ray import names
from rolewise.fleet.ray.collector import CollectorActor
from rolewise.fleet.ray.environment import build_environment
from rolewise.fleet.ray.gateway import GatewayActor
from rolewise.fleet.ray.memory import MemoryKeeper
from rolewise.fleet.ray.placement import build_placement
from rolewise.fleet.ray.replica import CONCURRENCY_GROUPS, MAX_CONCURRENCY, ReplicaActor
from rolewise.fleet.ray.view import Settings
from rolewise.fleet.runtime import VersionDefinition

LAST_POST_S = 2.0


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
        actor = ray.remote(GatewayActor).options(
            **keeper_options(names.gateway_name(self._fleet)), max_concurrency=MAX_CONCURRENCY
        )
        return actor.remote(self._settings, self._head)

    def collectors(self) -> tuple[Any, ...]:
        """Return the collectors' handles, by shard."""
        return tuple(
            ray.remote(CollectorActor)
            .options(**keeper_options(names.collector_name(self._fleet, shard)))
            .remote()
            for shard in range(self._settings.collectors)
        )

    def memory(self) -> Any:
        """Return the memory keeper's handle."""
        options = keeper_options(names.memory_name(self._fleet))
        return ray.remote(MemoryKeeper).options(**options).remote()

    def replica(self, address: Address, version: VersionDefinition) -> Any:
        """Return a replica's handle."""
        actor = ray.remote(concurrency_groups=CONCURRENCY_GROUPS)(ReplicaActor)  # type: ignore[call-overload]
        return actor.options(
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

    async def end(self, replica: Any) -> None:
        """End a replica for good, after it has shipped its telemetry."""
        with contextlib.suppress(RayError, TimeoutError):
            async with asyncio.timeout(LAST_POST_S):
                await replica.post.remote()
        ray.kill(replica, no_restart=True)


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
