"""A rehearsal as people and programs read it."""

from __future__ import annotations

from rolewise.coordinator.rehearse import Rehearsal
from rolewise.coordinator.views.base import View
from rolewise.coordinator.views.fleet import CountsView, view_counts
from rolewise.coordinator.views.graph import GraphView, view_graph
from rolewise.coordinator.views.plan import PlanView, view_plan
from rolewise.coordinator.views.rollout import EventView, RolloutView, view_event, view_rollout


class RehearsalView(View):
    """How a rehearsal went; equal seeds give equal bytes."""

    seed: int
    virtual_s: float
    """How long it took, in virtual seconds."""
    rollout: RolloutView
    plan: PlanView
    tasks: CountsView
    events: tuple[EventView, ...]
    graph: GraphView


def view_rehearsal(rehearsal: Rehearsal) -> RehearsalView:
    """Return a rehearsal."""
    state = rehearsal.rollout
    return RehearsalView(
        seed=rehearsal.seed,
        virtual_s=rehearsal.virtual_s,
        rollout=view_rollout(state),
        plan=view_plan(rehearsal.planned),
        tasks=view_counts(rehearsal.counts),
        events=tuple(view_event(number, event, state) for number, event in rehearsal.events),
        graph=view_graph(state.fleet, rehearsal.graph.to_networkx()),
    )
