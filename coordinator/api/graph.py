"""What the agents of a fleet do with each other: who talks to whom, who waits for whom."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from rolewise.coordinator.api.deps import FleetPath, Served, Viewer
from rolewise.coordinator.api.examples import GRAPH, WAITS
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.views import GraphView, WaitsView, view_graph, view_waits
from rolewise.fleet.spec.values import Duration
from rolewise.graphs.deadlock import find_deadlocks
from rolewise.graphs.export import to_dot, to_graphml

router = APIRouter(prefix="/v1/fleets/{fleet}", tags=["graph"])


@router.get(
    "/graph",
    response_model=GraphView,
    summary="The interaction graph",
    description="Who sent what to whom, how often, how fast, how well; as node-link JSON, GraphML "
    "or DOT.",
    responses=answers(
        GRAPH,
        "unknown_fleet",
        other={"application/graphml+xml": "<graphml>…", "text/vnd.graphviz": "digraph {…}"},
    ),
)
async def read_graph(
    fleets: Served,
    _by: Viewer,
    fleet: FleetPath,
    form: Annotated[
        Literal["json", "graphml", "dot"], Query(alias="format", description="Form of the answer.")
    ] = "json",
    view: Annotated[
        Literal["version", "role"],
        Query(description="Nodes are versions of roles, or roles with all versions together."),
    ] = "version",
    last: Annotated[
        Duration | None,
        Query(description="Only what is so recent, back from the newest record.", examples=["60s"]),
    ] = None,
) -> GraphView | Response:
    """Return the interaction graph."""
    graph = (await fleets.runtime(fleet).graph()).to_networkx(view=view, last_s=last)
    match form:
        case "json":
            return view_graph(fleet, graph)
        case "graphml":
            return Response(to_graphml(graph), media_type="application/graphml+xml")
        case "dot":
            return Response(to_dot(graph), media_type="text/vnd.graphviz")


@router.get(
    "/waits",
    summary="Who waits for whom now",
    description="Asks every replica twice. A deadlock is told when the same waits hold each other "
    "both times.",
    responses=answers(WAITS, "unknown_fleet"),
)
async def read_waits(fleets: Served, _by: Viewer, fleet: FleetPath) -> WaitsView:
    """Return the waits of this moment, and the deadlocks among them."""
    runtime = fleets.runtime(fleet)
    first = await runtime.waits()
    second = await runtime.waits()
    return view_waits(fleet, second, find_deadlocks(first, second))
