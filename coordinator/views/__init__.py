"""What people and programs read: one schema for the API, the CLI and rehearsals.

Models, and pure functions from Rolewise's state to them. `rehearsal` is imported by its own name:
it brings all that a rehearsal runs, which no online command needs.
"""

from rolewise.coordinator.views.base import View
from rolewise.coordinator.views.fleet import CountsView, FleetsView, FleetView, view_fleet
from rolewise.coordinator.views.graph import GraphView, view_graph
from rolewise.coordinator.views.plan import PlanView, view_plan
from rolewise.coordinator.views.rollout import (
    EventsView,
    EventView,
    RolloutsView,
    RolloutView,
    view_event,
    view_rollout,
)
from rolewise.coordinator.views.task import TaskView, view_task
from rolewise.coordinator.views.verdict import VerdictView, view_verdict
from rolewise.coordinator.views.waits import AnalysisView, WaitsView, view_waits

__all__ = [
    "AnalysisView",
    "CountsView",
    "EventView",
    "EventsView",
    "FleetView",
    "FleetsView",
    "GraphView",
    "PlanView",
    "RolloutView",
    "RolloutsView",
    "TaskView",
    "VerdictView",
    "View",
    "WaitsView",
    "view_event",
    "view_fleet",
    "view_graph",
    "view_plan",
    "view_rollout",
    "view_task",
    "view_verdict",
    "view_waits",
]
