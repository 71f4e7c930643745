"""How a new version talks: that of a fleet on trial, or one in recordings that are sent."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request

from rolewise.coordinator.api.deps import FleetPath, Served, Viewer
from rolewise.coordinator.api.diff_examples import LIVE_DIFFERENCE, TRACE_DIFFERENCE
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.trace_difference import compare_versions
from rolewise.coordinator.views.difference import GraphDifferenceView, view_live_difference
from rolewise.fleet.harness.traces import Trace, TraceError, load_traces
from rolewise.fleet.spec.values import Duration

router = APIRouter(prefix="/v1", tags=["graph"])

_RECORDED = {
    "requestBody": {
        "required": True,
        "description": "JSON lines, one recorded task a line, plain or gzipped.",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("application/jsonl", "application/gzip")
        },
    }
}


@router.get(
    "/fleets/{fleet}/graph/diff",
    summary="Baseline and canary side by side",
    description="Every edge of the trial that runs: same, more, fewer, new, gone, per task. What "
    "of it is more than chance stands in the verdict of the rollout.",
    responses=answers(LIVE_DIFFERENCE, "unknown_fleet"),
)
async def read_difference(
    fleets: Served,
    _by: Viewer,
    fleet: FleetPath,
    last: Annotated[
        Duration | None,
        Query(description="Only what is so recent, back from the newest record.", examples=["60s"]),
    ] = None,
) -> GraphDifferenceView:
    """Return the arms side by side."""
    windows = await fleets.runtime(fleet).graph()
    return view_live_difference(fleet, windows.to_networkx(view="role", last_s=last))


@router.post(
    "/graph/diff",
    summary="Two recorded versions side by side",
    description="Compares recorded tasks that are sent as the body; nothing is stored. With the "
    "pattern tests, and how many tasks raise a livelock flag.",
    responses=answers(TRACE_DIFFERENCE, "too_large"),
    openapi_extra=_RECORDED,
)
async def compare_recordings(
    request: Request,
    _by: Viewer,
    stable: Annotated[
        str,
        Query(
            description="A version's name, or field=value pairs with commas between.",
            examples=["versions.agent=gpt-4o,task_attributes.trial=0"],
        ),
    ],
    canary: Annotated[str, Query(description="What to compare.", examples=["gpt-5"])],
    seed: Annotated[int, Query(ge=0, le=2**32, description="Draws the tests.")] = 0,
) -> GraphDifferenceView:
    """Return the difference of what was sent."""
    data = await request.body()
    return await asyncio.to_thread(_compare, data, stable, canary, seed)


def _compare(data: bytes, stable: str, canary: str, seed: int) -> GraphDifferenceView:
    try:
        traces: list[Trace] = load_traces(data, name="body")
    except TraceError as error:
        raise RolewiseError("bad_input", str(error)) from error
    return compare_versions("body", traces, stable=stable, canary=canary, seed=seed)
