"""What Ray knows of an actor that does not answer: whether it lives, and what it died of.

Ray's public interface tells neither without its dashboard. All reads of its tables are here; each
takes about half a millisecond and is made only of actors that do not answer.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

import ray
from ray._private import state as tables
from ray.core.generated import common_pb2 as _common_pb2
from ray.core.generated import gcs_pb2 as _gcs_pb2

from rolewise.fleet.incident import IncidentKind

_WORDS = 300
common_pb2: Any = _common_pb2  # made at import: nothing that a type checker sees
gcs_pb2: Any = _gcs_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a life of an actor runs; ids are Ray's, in hexadecimal."""

    node: str
    worker: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What Ray says of an actor.

    Attributes:
        state: `ALIVE`, `RESTARTING`, `PENDING_CREATION`, `DEPENDENCIES_UNREADY`, `DEAD`; empty when
            it knows nothing.
        restarts: How often Ray has restarted it.
        node: Where it runs, or ran.
        has_node: That node is in the cluster.
    """

    state: str = ""
    restarts: int = 0
    node: str = ""
    has_node: bool = True

    @property
    def is_up(self) -> bool:
        """As far as Ray knows, its process runs."""
        return self.state == "ALIVE" and self.has_node

    @property
    def is_dead(self) -> bool:
        """Ray has given it up."""
        return self.state == "DEAD"


def read_own_place() -> Place:
    """Return where the calling actor runs."""
    context = ray.get_runtime_context()
    return Place(
        node=context.get_node_id(),
        worker=context.get_worker_id(),
        pid=os.getpid(),
    )


async def read_standing(actor: Any) -> Standing:
    """Return how an actor is."""
    return await asyncio.to_thread(_read_standing, actor)


async def read_cause(place: Place | None) -> tuple[IncidentKind, str]:
    """Return what a life of an actor ended of, and in words."""
    if place is None:
        return IncidentKind.DIED, "its process ended before it had joined the fleet"
    return await asyncio.to_thread(_read_cause, place)


async def is_ended(actor: Any) -> bool:
    """Return whether an actor that was ended has no process any more, as far as Ray knows."""
    standing = await read_standing(actor)
    return standing.state in {"DEAD", ""} or not standing.has_node


def is_node_alive(node: str) -> bool:
    """Return whether a node is in the cluster."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return any(one["NodeID"] == node and one["Alive"] for one in nodes)


def _read_standing(actor: Any) -> Standing:
    data = _accessor().get_actor_info(actor._actor_id)  # noqa: SLF001
    if data is None:
        return Standing()
    table = gcs_pb2.ActorTableData.FromString(data)
    node = table.address.node_id.hex()
    return Standing(
        state=gcs_pb2.ActorTableData.ActorState.Name(table.state),
        restarts=table.num_restarts,
        node=node,
        has_node=is_node_alive(node),
    )


def _read_cause(place: Place) -> tuple[IncidentKind, str]:
    if not is_node_alive(place.node):
        return IncidentKind.NODE_LOST, f"its node {place.node[:8]} left the cluster"
    data = _accessor().get_worker_info(ray.WorkerID(bytes.fromhex(place.worker)))
    if data is None:
        return IncidentKind.DIED, f"its process {place.pid} ended"
    table = gcs_pb2.WorkerTableData.FromString(data)
    kind = common_pb2.WorkerExitType.Name(table.exit_type)
    if kind == "NODE_OUT_OF_MEMORY":
        return IncidentKind.OUT_OF_MEMORY, _short(table.exit_detail)
    if kind == "SYSTEM_ERROR" and "connection error" in table.exit_detail:
        # Ray's own text for this lists guesses.
        return (
            IncidentKind.DIED,
            f"its process {place.pid} ended without a word (killed, or exited)",
        )
    return IncidentKind.DIED, f"its process {place.pid} ended: {_short(table.exit_detail)}"


def _short(text: str) -> str:
    return " ".join(text.split())[:_WORDS]


def _accessor() -> Any:
    return tables.state._connect_and_get_accessor()  # noqa: SLF001
