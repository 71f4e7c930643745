"""In which order roles are upgraded: least critical first, entry roles and orchestrators last.

A mistake in a role that few tasks need costs little and teaches much; so it comes first. What is
configured wins; else the place is computed from what was observed, else from declared calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import networkx as nx

from rolewise.graphs.role_figures import RoleFigures, figures_from_declared, figures_from_graph

MIN_TASKS = 50
"""With fewer tasks observed, the declared calls say more."""

Source = Literal["configured", "observed", "declared"]

_NOTHING_KNOWN = RoleFigures(use=0.0, propagation=0.0, span=0.0, initiated=0.0)


class Tier(IntEnum):
    """Roles of a higher tier come after all of a lower one, unless configured."""

    MEMBER = 0
    ORCHESTRATOR = 1
    ENTRY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePlace:
    """A role's place in the order, and why.

    Attributes:
        place: From 1, the least critical.
        criticality: 0 to 1, as configured or computed.
        source: What decided.
        reason: In words for people.
    """

    role: str
    place: int
    tier: Tier
    criticality: float
    source: Source
    reason: str


def order_roles(
    *,
    roles: Sequence[str],
    entry: Collection[str],
    configured: Mapping[str, int | None],
    declared: Mapping[str, Collection[str]],
    graph: nx.MultiDiGraph | None = None,
    from_tasks: Mapping[str, RoleFigures] | None = None,
) -> tuple[RolePlace, ...]:
    """Order the roles, least critical first.

    Args:
        roles: All roles of the fleet.
        entry: Those that tasks enter by.
        configured: Criticality from 0 to 100 where the fleet file gives one. On that scale
            computed roles stand at 0 to 97, orchestrators at 98, entry roles at 99.
        declared: Roles that each role calls, from the fleet file.
        graph: Role view of the observed interactions.
        from_tasks: Figures from whole tasks (`task_trees`); they tell more than the graph.

    Raises:
        ValueError: A configured criticality is not between 0 and 100.

    Returns:
        One place for each role. Equal criticality: a caller after its callees, then by
        betweenness, by messages sent, by name.
    """
    for role, value in configured.items():
        if value is not None and not 0 <= value <= 100:  # noqa: PLR2004
            raise ValueError(f"criticality of {role} is {value}; allowed is 0 to 100")
    guessed = figures_from_declared(declared, entry)
    observed = {
        role: figures
        for role, figures in (
            {**(figures_from_graph(graph) if graph is not None else {}), **(from_tasks or {})}
        ).items()
        if figures.tasks >= MIN_TASKS
    }
    known = {**guessed, **observed}
    heights, betweenness = _ties(known)

    def rank(role: str) -> tuple[float, int, float, float, str]:
        figures = known.get(role, _NOTHING_KNOWN)
        value = configured.get(role)
        return (
            _level(figures, _tier(role, figures, entry)) if value is None else value / 100,
            heights.get(role, 0),
            round(betweenness.get(role, 0.0), 3),
            figures.initiated,
            role,
        )

    places = []
    for place, role in enumerate(sorted(dict.fromkeys(roles), key=rank), start=1):
        figures = known.get(role, _NOTHING_KNOWN)
        value = configured.get(role)
        source: Source = "observed" if role in observed else "declared"
        tier = _tier(role, figures, entry)
        reason = _reason(figures, tier, seen=role in known)
        if value is not None:
            source = "configured"
            reason = f"criticality {value} as configured; computed: {reason}"
        places.append(
            RolePlace(
                role=role,
                place=place,
                tier=tier,
                criticality=figures.criticality if value is None else value / 100,
                source=source,
                reason=reason,
            )
        )
    return tuple(places)


def _tier(role: str, figures: RoleFigures, entry: Collection[str]) -> Tier:
    if role in entry:
        return Tier.ENTRY
    return Tier.ORCHESTRATOR if figures.orchestrates else Tier.MEMBER


def _level(figures: RoleFigures, tier: Tier) -> float:
    """Return the computed level on the scale of configured ones; see `order_roles`."""
    match tier:
        case Tier.ENTRY:
            return 0.99
        case Tier.ORCHESTRATOR:
            return 0.98
        case Tier.MEMBER:
            return min(round(figures.criticality, 2), 0.97)


def _ties(figures: Mapping[str, RoleFigures]) -> tuple[dict[str, int], dict[str, float]]:
    """Return each role's height above the callees that call nobody, and its betweenness."""
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(figures))
    for role in sorted(figures):
        graph.add_edges_from((role, callee) for callee in figures[role].callees)
    # Roles that call each other both ways have one height: nobody is the callee there.
    groups = nx.condensation(graph)
    height_of_group: dict[int, int] = {}
    for group in reversed(list(nx.topological_sort(groups))):
        below = [height_of_group[callee] for callee in groups.successors(group)]
        height_of_group[group] = max(below, default=-1) + 1
    heights = {role: height_of_group[group] for role, group in groups.graph["mapping"].items()}
    return heights, nx.betweenness_centrality(graph)


def _reason(figures: RoleFigures, tier: Tier, *, seen: bool) -> str:
    if not seen:
        parts = ["no call to it was seen or is declared"]
    elif figures.tasks:
        bound = "" if figures.exact else "up to "
        parts = [
            f"in {bound}{figures.use:.0%} of {figures.tasks} tasks",
            f"{bound}{figures.blast:.0%} of all tasks would be lost without it",
        ]
    else:
        parts = [f"by declared calls: in about {figures.use:.0%} of tasks"]
    if figures.callers:
        parts.append(f"called by {', '.join(figures.callers)}")
    if figures.callees:
        parts.append(f"calls {', '.join(figures.callees)}")
    if figures.only_way_to:
        parts.append(f"the only way to {', '.join(figures.only_way_to)}")
    if tier is Tier.ENTRY:
        parts.append("entry role, so it comes last")
    elif tier is Tier.ORCHESTRATOR:
        parts.append("orchestrator, so it comes after those that it directs")
    return "; ".join(parts)
