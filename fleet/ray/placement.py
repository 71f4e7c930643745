"""Where a replica's actor may run, and whether the cluster has room for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rolewise.fleet.ray.cluster import Node
from rolewise.fleet.runtime import VersionDefinition

_EPSILON = 1e-6


def build_placement(version: VersionDefinition) -> dict[str, Any]:
    """Return the actor options that place a replica of this version."""
    wanted = dict(version.resources or {})
    options: dict[str, Any] = {"num_cpus": wanted.pop("cpu", 0)}
    if gpu := wanted.pop("gpu", 0):
        options["num_gpus"] = gpu
    if memory := wanted.pop("memory_bytes", 0):
        options["memory"] = int(memory)
    if wanted:
        options["resources"] = wanted
    if version.labels:
        options["label_selector"] = dict(version.labels)
    return options


def find_shortage(
    version: VersionDefinition,
    replicas: int,
    *,
    nodes: Iterable[Node],
    available: Mapping[str, float],
) -> str:
    """Return in words why the cluster has no room for so many more replicas; empty if it has.

    The check is by sums, so it may let pass what does not fit the nodes one by one; then the
    replicas do not get ready, which is noticed too.
    """
    wanted = version.resources or {}
    fitting = [
        node
        for node in nodes
        if all(node.labels.get(key) == value for key, value in (version.labels or {}).items())
    ]
    if not fitting:
        return f"no node has the labels {dict(version.labels or {})}"
    for name, amount in wanted.items():
        if not any(node.resources.get(name, 0.0) >= amount - _EPSILON for node in fitting):
            return f"no node has {amount:g} {name}"
        left = available.get(name, 0.0)
        if replicas * amount > left + _EPSILON:
            return f"{replicas} more replicas want {replicas * amount:g} {name}, {left:g} is free"
    return ""
