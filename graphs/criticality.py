"""In which order roles are upgraded: least critical first, entry roles and orchestrators last.

A mistake in a role that few tasks need costs little and teaches much; so it comes first. What is
configured wins; else the place is computed from what was observed, else from declared calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Literal

import networkx as nx

from rolewise.graphs.circles import find_circle
from rolewise.graphs.role_figures import RoleFigures, figures_from_declared, figures_from_graph
from rolewise.graphs.role_reasons import reason_of

MIN_TASKS = 50
"""With fewer tasks that met a role, the declared calls say more of it."""

SURE_SHARE = 0.8
"""Two neighbours that keep their order in fewer of the resamples are a toss-up."""

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
        computed: 0 to 1, as computed, whatever is configured.
        source: What decided.
        reason: In words for people.
        sure: Share of resamples in which it comes before the next one; None where it is not asked.
    """

    role: str
    place: int
    tier: Tier
    criticality: float
    source: Source
    reason: str
    computed: float = 0.0
    sure: float | None = None


def order_roles(
    *,
    roles: Sequence[str],
    entry: Collection[str],
    configured: Mapping[str, int | None],
    declared: Mapping[str, Collection[str]],
    before: Mapping[str, Collection[str]] | None = None,
    graph: nx.MultiDiGraph | None = None,
    from_tasks: Mapping[str, RoleFigures] | None = None,
    resamples: Sequence[Mapping[str, RoleFigures]] = (),
) -> tuple[RolePlace, ...]:
    """Order the roles, least critical first.

    Args:
        roles: All roles of the fleet.
        entry: Those that tasks enter by.
        configured: Criticality from 0 to 100 where the fleet file gives one. On that scale
            computed roles stand at 0 to 97, orchestrators at 98, entry roles at 99.
        declared: Roles that each role calls, from the fleet file.
        before: Roles that each role comes before, from the fleet file; it beats everything else.
        graph: Role view of the observed interactions.
        from_tasks: Figures from whole tasks (`task_trees`); they tell more than the graph.
        resamples: The same from resampled tasks: how sure the order is.

    Raises:
        ValueError: A configured criticality is not between 0 and 100; `before` goes in a circle.

    Returns:
        One place for each role. Equal criticality: a caller after its callees, then by
        betweenness, by messages sent, by name.
    """
    for role, value in configured.items():
        if value is not None and not 0 <= value <= 100:  # noqa: PLR2004
            raise ValueError(f"criticality of {role} is {value}; allowed is 0 to 100")
    roles = list(dict.fromkeys(roles))
    ahead = {role: sorted(set(later) & set(roles)) for role, later in (before or {}).items()}
    if circle := find_circle(ahead):
        raise ValueError(f"before goes in a circle: {' → '.join((*circle, circle[0]))}")
    guessed = figures_from_declared(declared, entry)
    seen = {**(figures_from_graph(graph) if graph is not None else {}), **(from_tasks or {})}
    observed = {
        role: figures for role, figures in seen.items() if figures.tasks_with_it >= MIN_TASKS
    }
    # Too little seen is still more than nothing declared.
    known = {**seen, **guessed, **observed}
    ordered = _order(roles, known, entry, configured, ahead)
    sure = _sureness(ordered, known, entry, configured, ahead, resamples)
    return tuple(
        _place(
            role,
            place,
            figures=known.get(role, _NOTHING_KNOWN),
            tier=_tier(role, known.get(role, _NOTHING_KNOWN), entry),
            value=configured.get(role),
            later=ahead.get(role, []),
            few=seen.get(role) if role not in observed else None,
            is_known=role in known,
            toss_up=_toss_up(ordered, place, sure),
            sure=sure[place - 1] if place <= len(sure) else None,
        )
        for place, role in enumerate(ordered, start=1)
    )


def _place(
    role: str,
    place: int,
    *,
    figures: RoleFigures,
    tier: Tier,
    value: int | None,
    later: Sequence[str],
    few: RoleFigures | None,
    is_known: bool,
    toss_up: str,
    sure: float | None,
) -> RolePlace:
    source: Source = "observed" if figures.tasks else "declared"
    tier_reason = {
        Tier.MEMBER: "",
        Tier.ORCHESTRATOR: "orchestrator, so it comes after those that it directs",
        Tier.ENTRY: "entry role, so it comes last",
    }[tier]
    reason = reason_of(figures, tier_reason, few=few, is_known=is_known)
    if toss_up:
        reason += f"; {toss_up}"
    if later:
        source, reason = "configured", f"before {', '.join(later)} as configured; {reason}"
    if value is not None:
        source = "configured"
        reason = f"criticality {value} as configured; computed {figures.criticality:.2f}: {reason}"
    return RolePlace(
        role=role,
        place=place,
        tier=tier,
        criticality=figures.criticality if value is None else value / 100,
        computed=figures.criticality,
        source=source,
        reason=reason,
        sure=sure,
    )


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


def _order(
    roles: Sequence[str],
    known: Mapping[str, RoleFigures],
    entry: Collection[str],
    configured: Mapping[str, int | None],
    ahead: Mapping[str, Collection[str]],
) -> list[str]:
    """Order by level; among equals callees first; then by betweenness, messages sent, name."""
    calls = nx.DiGraph()
    calls.add_nodes_from(roles)
    for role in sorted(known):
        for callee, sent in known[role].sent.items():
            # The more is sent, the nearer they are.
            calls.add_edge(role, callee, distance=1 / sent)
    betweenness = nx.betweenness_centrality(calls, weight="distance")
    group = _groups(calls)

    def level(role: str) -> float:
        value = configured.get(role)
        figures = known.get(role, _NOTHING_KNOWN)
        return _level(figures, _tier(role, figures, entry)) if value is None else value / 100

    def key(role: str) -> tuple[float, float, float, str]:
        initiated = known.get(role, _NOTHING_KNOWN).initiated
        return level(role), round(betweenness[role], 3), initiated, role

    rules = nx.DiGraph()
    rules.add_nodes_from(sorted(roles, key=key))
    for caller, callee in calls.edges:
        equal = caller in rules and callee in rules and level(caller) == level(callee)
        if equal and group[caller] != group[callee]:
            rules.add_edge(callee, caller)
    by_level = list(nx.lexicographical_topological_sort(rules, key=key))
    # What is configured comes last, and beats all of that: it may go against every level.
    place = {role: number for number, role in enumerate(by_level)}
    wanted = nx.DiGraph()
    wanted.add_nodes_from(by_level)
    wanted.add_edges_from((role, later) for role in ahead for later in ahead[role])
    due = {
        role: min(place[later] for later in (role, *nx.descendants(wanted, role)))
        for role in by_level
    }

    def turn(role: str) -> tuple[int, int]:
        return due[role], place[role]

    # At its own place, or as early as that of the first role that it must come before.
    return list(nx.lexicographical_topological_sort(wanted, key=turn))


def _groups(calls: nx.DiGraph) -> dict[str, int]:
    """Number the roles that call each other both ways: nobody is the callee there."""
    return {
        role: number
        for number, members in enumerate(nx.strongly_connected_components(calls))
        for role in members
    }


def _sureness(
    ordered: Sequence[str],
    known: Mapping[str, RoleFigures],
    entry: Collection[str],
    configured: Mapping[str, int | None],
    ahead: Mapping[str, Collection[str]],
    resamples: Sequence[Mapping[str, RoleFigures]],
) -> list[float]:
    """Return for each role but the last how often it comes before the next one, resampled."""
    if not resamples:
        return []
    kept = [0] * max(len(ordered) - 1, 0)
    for sample in resamples:
        again = {role: sample.get(role, figures) for role, figures in known.items()}
        place = {r: n for n, r in enumerate(_order(ordered, again, entry, configured, ahead))}
        for number, (role, following) in enumerate(pairwise(ordered)):
            kept[number] += place[role] < place[following]
    return [count / len(resamples) for count in kept]


def _toss_up(ordered: Sequence[str], place: int, sure: Sequence[float]) -> str:
    if place > len(sure) or sure[place - 1] >= SURE_SHARE:
        return ""
    return (
        f"order of {ordered[place - 1]} and {ordered[place]} is a toss-up ({sure[place - 1]:.0%})"
    )
