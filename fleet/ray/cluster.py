"""Starting a Ray of our own or joining one, and how much room it has."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray

from rolewise.fleet.ray.names import NAMESPACE

RESOURCE_NAMES = {"CPU": "cpu", "GPU": "gpu", "memory": "memory_bytes"}
"""Ray's names of resources and ours; custom resources have the same name in both."""

EXPECTED_WORKERS = 64
"""Worker processes of a fleet on one machine that are nothing to warn about."""

MALLOC_ARENAS = "4"
"""In which a process allocates. Ray's two dozen threads each keep a little of every replica that
has lived; in arenas of their own that takes half as much again. Two would cost speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A living machine of the cluster.

    Attributes:
        resources: Total amounts by our resource names: `cpu`, `gpu`, `memory_bytes`, custom ones.
        labels: Its node labels.
    """

    id: str
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)


def start_local_ray(*, num_cpus: int | None = None) -> None:
    """Start a Ray on this machine that ends with this process; one that runs is kept."""
    # A fleet is many small actors on few cores. Ray takes more worker processes than cores for a
    # mistake and warns on the terminal, unless it is told to expect them.
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", str(EXPECTED_WORKERS))
    os.environ.setdefault("MALLOC_ARENA_MAX", MALLOC_ARENAS)
    _init(address="local", num_cpus=num_cpus, include_dashboard=False)


def join_ray(address: str) -> None:
    """Join the cluster at an address (`auto`, `host:port`, `ray://host:port`).

    Raises:
        ConnectionError: There is no cluster at the address.
    """
    _init(address=address)


def is_connected() -> bool:
    """Return whether this process is connected to a cluster already."""
    return bool(ray.is_initialized())


def leave_ray() -> None:
    """Disconnect from the cluster; a local Ray that this process has started ends."""
    ray.shutdown()


def read_nodes() -> tuple[Node, ...]:
    """Return the living nodes with their total resources, for the planner."""
    return tuple(
        Node(
            id=node["NodeID"],
            resources=_ours(node["Resources"]),
            labels=dict(node.get("Labels") or {}),
        )
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    )


def sum_resources(nodes: Iterable[Node]) -> Mapping[str, float]:
    """Return the total resources of these nodes."""
    total: Counter[str] = Counter()
    for node in nodes:
        total.update(node.resources)
    return total


def read_available() -> Mapping[str, float]:
    """Return what nobody uses at this moment, summed over the cluster."""
    return _ours(ray.available_resources())  # type: ignore[no-untyped-call]


def _init(**options: Any) -> None:
    # Ray reads it when it starts the first process; it must never ask or report.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if ray.is_initialized():
        return
    ray.init(
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level=logging.ERROR,
        **options,
    )


def _ours(resources: Mapping[str, float]) -> dict[str, float]:
    return {
        RESOURCE_NAMES.get(name, name): amount
        for name, amount in resources.items()
        if not name.startswith(("node:", "object_store_memory", "bundle"))
    }
