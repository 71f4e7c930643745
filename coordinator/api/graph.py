"""What the agents of a fleet do with each other: who talks to whom, who waits for whom."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from rolewise.coordinator.api.deps import FleetPath, Served, Viewer
from rolewise.coordinator.api.examples import ANALYSIS, GRAPH, WAITS
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.saved_waits import SavedPair, SavedSnapshot, analyse_saved, save_round
from rolewise.coordinator.views import AnalysisView, GraphView, WaitsView, view_graph, view_waits
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.spec.values import Duration
from rolewise.graphs.deadlock import find_deadlocks
from rolewise.graphs.export import to_dot, to_graphml
from rolewise.graphs.picture import to_svg
from rolewise.graphs.stalls import Stall, find_blocked_loops, find_orphan_suspects, find_orphans

router = APIRouter(prefix="/v1", tags=["graph"])


@router.get(
    "/fleets/{fleet}/graph",
    response_model=GraphView,
    summary="The interaction graph",
    description="Who sent what to whom, how often, how fast, how well; as node-link JSON, GraphML, "
    "DOT, or a picture.",
    responses=answers(
        GRAPH,
        "unknown_fleet",
        other={
            "application/graphml+xml": "<graphml>…",
            "text/vnd.graphviz": "digraph {…}",
            "image/svg+xml": "<svg>…",
        },
    ),
)
async def read_graph(
    fleets: Served,
    _by: Viewer,
    fleet: FleetPath,
    form: Annotated[
        Literal["json", "graphml", "dot", "svg"],
        Query(alias="format", description="Form of the answer."),
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
    windows = await fleets.runtime(fleet).graph()
    spec = await fleets.spec(fleet)
    speaks = {
        f"{role}@{name}": version.speaks
        for role, settings in spec.roles.items()
        for name, version in settings.versions.items()
    }
    graph = windows.to_networkx(view=view, last_s=last, speaks=speaks)
    match form:
        case "json":
            return view_graph(fleet, graph)
        case "graphml":
            return Response(to_graphml(graph), media_type="application/graphml+xml")
        case "dot":
            return Response(to_dot(graph), media_type="text/vnd.graphviz")
        case "svg":
            return Response(to_svg(graph), media_type="image/svg+xml")


@router.get(
    "/fleets/{fleet}/waits",
    response_model=WaitsView | SavedSnapshot,
    summary="Who waits for whom now",
    description="Asks every replica twice. A deadlock is told when the same waits hold each other "
    "both times. `format=snapshot` asks once, and answers in the form that can be analysed later.",
    responses=answers(WAITS, "unknown_fleet"),
)
async def read_waits(
    fleets: Served,
    _by: Viewer,
    fleet: FleetPath,
    form: Annotated[
        Literal["waits", "snapshot"], Query(alias="format", description="Form of the answer.")
    ] = "waits",
) -> WaitsView | SavedSnapshot:
    """Return the waits of this moment, and the deadlocks among them."""
    runtime = fleets.runtime(fleet)
    first = await runtime.waits()
    if form == "snapshot":
        return save_round(first, at=(await runtime.observe(NOTHING_NEW)).now_s)
    second = await runtime.waits()
    suspects = find_orphan_suspects(first, second)
    recent = await runtime.waits(suspects, recent=True) if suspects else second.only(())
    stalls: tuple[Stall, ...] = (*find_orphans(first, second, recent), *find_blocked_loops(second))
    return view_waits(fleet, second, find_deadlocks(first, second), stalls)


@router.post(
    "/waits/deadlocks",
    summary="What is stuck in saved snapshots",
    description="One snapshot says what seems stuck; two, the second taken after the first had "
    "ended, what is. Nothing is changed, and no fleet is asked.",
    responses=answers(ANALYSIS),
)
async def analyse_snapshots(_by: Viewer, body: SavedPair) -> AnalysisView:
    """Return what is stuck, hard and soft, with its cores and a circle in words."""
    return analyse_saved(body)
