"""The order of stages: roles that change, least critical first, each with its reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import networkx as nx

from rolewise.fleet.spec import FleetSpec
from rolewise.graphs.criticality import RolePlace, order_roles


def place_roles(spec: FleetSpec, graph: nx.MultiDiGraph | None = None) -> tuple[RolePlace, ...]:
    """Place all roles of a fleet by configured criticality, observed traffic, declared edges.

    Args:
        spec: The fleet.
        graph: Role view of its interaction graph; None while there is no traffic.
    """
    return order_roles(
        roles=list(spec.roles),
        entry=spec.entry,
        configured={role: block.criticality for role, block in spec.roles.items()},
        declared={role: block.calls for role, block in spec.roles.items()},
        before={role: block.before for role, block in spec.roles.items()},
        graph=graph,
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
