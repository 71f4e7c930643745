"""Whether the cluster holds a stage at its peak: all that runs, and the new version beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rolewise.fleet.spec import FleetSpec, role_settings, stage_settings

_TOLERANCE = 1e-9
"""Sums of parts of CPUs are not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the cluster has for replicas in all, also where replicas run already.

    Attributes:
        resources: Amounts by the names of `VersionDefinition.resources`.
    """

    resources: Mapping[str, float]


def find_shortages(
    spec: FleetSpec, running: Sequence[str], stages: Sequence[str], capacity: Capacity
) -> Iterator[str]:
    """Yield a sentence for each stage and resource that goes beyond the cluster.

    At a stage's peak the old version is still whole, to fall back on, and the new one too.

    Args:
        spec: The fleet.
        running: Roles that run.
        stages: Roles that are upgraded.
        capacity: What there is.
    """
    base: dict[str, float] = {}
    for role in running:
        for name, amount in role_settings(spec, role).resources.items():
            base[name] = base.get(name, 0.0) + amount * role_settings(spec, role).replicas
    for role in stages:
        settings = role_settings(spec, role)
        extra = max(settings.replicas, stage_settings(spec, role).canary_replicas)
        for name, amount in settings.resources.items():
            peak, there = base[name] + extra * amount, capacity.resources.get(name, 0.0)
            if peak > there * (1 + _TOLERANCE):
                yield (
                    f"stage {role} needs {_amount(name, peak)} at its peak "
                    f"({_amount(name, base[name])} for what runs, "
                    f"{_amount(name, extra * amount)} for {extra} of the new version); "
                    f"the cluster has {_amount(name, there)}"
                )


def _amount(name: str, amount: float) -> str:
    if name == "memory_bytes":
        return f"{amount / 2**20:.0f} MiB of memory"
    return f"{round(amount, 3):g} {name}"
