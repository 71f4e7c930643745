"""Fleets: what runs, where it could go, and the start of going there."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Response

from rolewise.coordinator.api.bodies import PlanBody, RolloutBody
from rolewise.coordinator.api.deps import FleetPath, Operator, Served, Viewer
from rolewise.coordinator.api.examples import FLEET, FLEETS, PLAN, ROLLOUT
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.api.rollouts import answer_rollout
from rolewise.coordinator.fleets import Fleets, release_of
from rolewise.coordinator.incident_watch import tell_incidents
from rolewise.coordinator.last_known import read_known
from rolewise.coordinator.plan.order import place_roles
from rolewise.coordinator.views import (
    FleetsView,
    FleetView,
    PlanView,
    RolloutView,
    view_fleet,
    view_plan,
)
from rolewise.fleet.harness.workload import NOTHING_NEW

router = APIRouter(prefix="/v1/fleets", tags=["fleets"])


@router.get(
    "",
    summary="List the fleets that run here",
    description="Each with its release, its roles, its tasks, and what is amiss.",
    responses=answers(FLEETS),
)
async def list_fleets(fleets: Served, _by: Viewer) -> FleetsView:
    """Return all fleets."""
    return FleetsView(fleets=tuple([await read_fleet(fleets, name) for name in fleets.running]))


@router.get(
    "/{fleet}",
    summary="Look at a fleet",
    description="Its release, its roles with versions and replicas, its tasks, and what is amiss.",
    responses=answers(FLEET, "unknown_fleet"),
)
async def show_fleet(fleets: Served, _by: Viewer, fleet: FleetPath) -> FleetView:
    """Return a fleet."""
    return await read_fleet(fleets, fleet)


@router.post(
    "/{fleet}/plans",
    summary="Plan a rollout without starting it",
    description="The stages in their order, each with its reason. Nothing is kept and nothing "
    "changes; refused with every problem listed when the release cannot be reached.",
    responses=answers(PLAN, "unknown_fleet", "plan_refused"),
)
async def plan_rollout(fleets: Served, _by: Viewer, fleet: FleetPath, body: PlanBody) -> PlanView:
    """Return a plan."""
    return view_plan(await fleets.plan(fleet, body.to))


@router.post(
    "/{fleet}/rollouts",
    status_code=202,
    summary="Start a rollout",
    description="The rollout is in the store when this is answered; the fleet follows. Repeated "
    "with the same `Idempotency-Key`, it answers 200 with the rollout that the key started.",
    responses=answers(
        ROLLOUT,
        "unknown_fleet",
        "rollout_in_progress",
        "log_unreadable",
        "plan_refused",
        "key_reused",
        status=202,
        headers={
            "Location": "Where the rollout is.",
            "ETag": "Number of the rollout's newest event: send it as If-Match.",
        },
    )
    | {200: {"model": RolloutView, "description": "The key has started this rollout before."}},
)
async def start_rollout(
    fleets: Served,
    by: Operator,
    fleet: FleetPath,
    body: RolloutBody,
    response: Response,
    idempotency_key: Annotated[
        str,
        Header(
            max_length=255,
            description="Makes it safe to send the request again: the same key, the same rollout.",
            examples=["9f0c1b7e"],
        ),
    ] = "",
) -> RolloutView:
    """Begin a rollout."""
    fleets.runtime(fleet)  # A fleet that does not run here cannot be moved from here.
    started = await fleets.start(
        fleet, body.to, by=by.name, reason=body.reason, key=idempotency_key
    )
    if not started.is_new:
        response.status_code = 200
    return await answer_rollout(fleets, await fleets.journal.rollout(started.rollout), response)


async def read_fleet(fleets: Fleets, name: str) -> FleetView:
    """Return a fleet that runs here.

    Raises:
        RolewiseError: `unknown_fleet`.
    """
    runtime = fleets.runtime(name)
    known = await read_known(fleets.journal, name)
    state, last = known.fleet, known.last
    assert state.registered is not None  # noqa: S101 (`fleet` refuses a fleet that is not)
    spec = await fleets.spec(name)
    observed, windows, tasks = await asyncio.gather(
        runtime.observe(NOTHING_NEW), runtime.graph(), runtime.task_trees()
    )
    return view_fleet(
        spec,
        file=state.registered.file,
        registered_at=state.registered.at,
        release=release_of(state, last),
        table=state.registered.table.number if state.is_fresh else last.table.number,
        rollouts=[created.rollout for created in state.rollouts],
        last=None if state.is_fresh else last,
        observed=observed,
        places=place_roles(spec, windows.to_networkx(view="role"), tasks),
        stalls=(
            *(unread for unread in (state.unread, last.unread) if unread),
            *known.alerts,
            *tell_incidents(state, fleets.journal.now),
        ),
    )
