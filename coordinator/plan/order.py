"""The order of stages: roles that change, least critical first, each with its reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import networkx as nx

from rolewise.fleet.spec import FleetSpec
from rolewise.graphs.criticality import RolePlace, order_roles
from rolewise.graphs.task_trees import TaskTrees, criticality_of_tasks, resample_criticality


def place_roles(
    spec: FleetSpec, graph: nx.MultiDiGraph | None = None, tasks: TaskTrees | None = None
) -> tuple[RolePlace, ...]:
    """Place all roles of a fleet by configured criticality, observed traffic, declared edges.

    Args:
        spec: The fleet.
        graph: Role view of its interaction graph; None while there is no traffic.
        tasks: Trees of its last tasks, and what failed in them: exact where the graph is not.
    """
    trees, failures = tasks or ({}, {})
    return order_roles(
        roles=list(spec.roles),
        entry=spec.entry,
        configured={role: block.criticality for role, block in spec.roles.items()},
        declared={role: block.calls for role, block in spec.roles.items()},
        before={role: block.before for role, block in spec.roles.items()},
        graph=graph,
        from_tasks=criticality_of_tasks(trees, failures) if trees else None,
        resamples=resample_criticality(trees, failures, seed=0) if trees else (),
    )


def order_stages(changed: Collection[str], places: Sequence[RolePlace]) -> tuple[RolePlace, ...]:
    """Return the places of the roles that change, in the order in which they are upgraded.

    Raises:
        ValueError: A role that changes has no place.
    """
    found = sorted((place for place in places if place.role in changed), key=lambda p: p.place)
    missing = sorted(set(changed) - {place.role for place in found})
    if missing:
        raise ValueError(f"no place in the order for {', '.join(missing)}")
    return tuple(found)
