"""Rollouts: look at them, move them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from rolewise.coordinator.api.bodies import AbortBody, PromoteBody, ReasonBody
from rolewise.coordinator.api.deps import Expected, Operator, RolloutPath, Served, Viewer
from rolewise.coordinator.api.examples import ROLLOUT, ROLLOUTS, VERDICT
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.last_known import read_known_rollout
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.events import VerdictGiven
from rolewise.coordinator.rollout.requests import Request
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.coordinator.views import (
    RolloutsView,
    RolloutView,
    VerdictView,
    view_rollout,
    view_verdict,
)
from rolewise.coordinator.views.rollout import current_verdict

router = APIRouter(prefix="/v1/rollouts", tags=["rollouts"])

_ETAG = {"ETag": "Number of the rollout's newest event: send it as If-Match."}
_LOCATION = {"Location": "Where the rollout is."}


def _moved(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return what every verb answers, and the problems of this one."""
    return answers(
        ROLLOUT,
        "unknown_rollout",
        "verb_refused",
        "log_unreadable",
        "stale_sequence",
        *codes,
        status=202,
        headers=_ETAG | _LOCATION,
    )


_ACCEPTED = (
    "The request is in the store when this is answered; the fleet follows. "
    "Refused with 409, and the verbs that are allowed now, when the phase does not allow it."
)


@router.get(
    "",
    summary="List rollouts",
    description="Newest first, of one fleet or of all.",
    responses=answers(ROLLOUTS, "unknown_fleet"),
)
async def list_rollouts(
    fleets: Served,
    _by: Viewer,
    fleet: Annotated[str | None, Query(description="Only of this fleet.")] = None,
    phase: Annotated[Phase | None, Query(description="Only in this phase.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.")] = 50,
) -> RolloutsView:
    """Return rollouts, newest first."""
    journal = fleets.journal
    chosen: list[Rollout] = []
    for name in [fleet] if fleet else await journal.fleets():
        state = await journal.fleet(name)
        await journal.last_rollout(state)  # Writes its first events if their author died.
        before = len(chosen)
        for created in reversed(state.rollouts):  # those beyond the limit are not even read
            if len(chosen) - before == limit:
                break
            rollout = await journal.rollout(created.rollout)
            chosen += [rollout] if phase is None or rollout.phase is phase else []
    chosen.sort(key=_age, reverse=True)
    return RolloutsView(rollouts=tuple([await _view(fleets, one) for one in chosen[:limit]]))


@router.get(
    "/{rollout}",
    summary="Look at a rollout",
    description="Phase and reason, stages and steps, the judge's verdict, the allowed verbs.",
    responses=answers(ROLLOUT, "unknown_rollout", headers=_ETAG),
)
async def read_rollout(
    fleets: Served, _by: Viewer, rollout: RolloutPath, response: Response
) -> RolloutView:
    """Return where a rollout stands."""
    state, alerts = await read_known_rollout(fleets.journal, rollout)
    response.headers["ETag"] = _etag(state)
    return await _view(fleets, state, alerts)


@router.get(
    "/{rollout}/verdict",
    summary="The judge's newest word",
    description="The verdict with every signal's figures. 404 until the judge has spoken on the "
    "role that is under trial.",
    responses=answers(VERDICT, "unknown_rollout", "not_found"),
)
async def read_verdict(fleets: Served, _by: Viewer, rollout: RolloutPath) -> VerdictView:
    """Return what the judge says, and why."""
    state = await fleets.journal.rollout(rollout)
    verdict = current_verdict(state, await fleets.journal.newest_verdict(rollout))
    if verdict is None:
        raise RolewiseError("not_found", f"the judge has not spoken on rollout {rollout} yet")
    return view_verdict(verdict)


@router.post(
    "/{rollout}/pause",
    status_code=202,
    summary="Pause a rollout",
    description=f"Weight, replicas and guards stay as they are. {_ACCEPTED}",
    responses=_moved(),
)
async def pause(
    fleets: Served,
    by: Operator,
    rollout: RolloutPath,
    expected: Expected,
    response: Response,
    body: ReasonBody | None = None,
) -> RolloutView:
    """Stop going forward."""
    at, reason = fleets.journal.now, body.reason if body else ""
    asked = requests.Pause(at=at, by=by.name, reason=reason)
    return await _ask(fleets, rollout, asked, expected, response)


@router.post(
    "/{rollout}/resume",
    status_code=202,
    summary="Resume a rollout",
    description=f"After an operator's pause or a runtime error. {_ACCEPTED}",
    responses=_moved(),
)
async def resume(
    fleets: Served,
    by: Operator,
    rollout: RolloutPath,
    expected: Expected,
    response: Response,
    body: ReasonBody | None = None,
) -> RolloutView:
    """Go on."""
    at, reason = fleets.journal.now, body.reason if body else ""
    asked = requests.Resume(at=at, by=by.name, reason=reason)
    return await _ask(fleets, rollout, asked, expected, response)


@router.post(
    "/{rollout}/promote",
    status_code=202,
    summary="Promote: end this wait, or skip the steps that remain",
    description=f"`full` skips steps, never guards. {_ACCEPTED}",
    responses=_moved(),
)
async def promote(
    fleets: Served,
    by: Operator,
    rollout: RolloutPath,
    expected: Expected,
    response: Response,
    body: PromoteBody | None = None,
) -> RolloutView:
    """Say yes."""
    body = body or PromoteBody()
    asked = requests.Promote(at=fleets.journal.now, by=by.name, full=body.full, reason=body.reason)
    return await _ask(fleets, rollout, asked, expected, response)


@router.post(
    "/{rollout}/abort",
    status_code=202,
    summary="Abort a rollout: roll it back",
    description=f"New tasks leave the canary at once. {_ACCEPTED}",
    responses=_moved(),
)
async def abort(
    fleets: Served,
    by: Operator,
    rollout: RolloutPath,
    expected: Expected,
    response: Response,
    body: AbortBody,
) -> RolloutView:
    """Roll back."""
    asked = requests.Abort(at=fleets.journal.now, by=by.name, reason=body.reason)
    return await _ask(fleets, rollout, asked, expected, response)


@router.post(
    "/{rollout}/retry",
    status_code=202,
    summary="Retry a rollout",
    description="Tries the first stage that is not done once more, or finishes a rollback that "
    f"failed. {_ACCEPTED}",
    responses=_moved("rollout_in_progress"),
)
async def retry(
    fleets: Served,
    by: Operator,
    rollout: RolloutPath,
    expected: Expected,
    response: Response,
    body: ReasonBody | None = None,
) -> RolloutView:
    """Try again."""
    at, reason = fleets.journal.now, body.reason if body else ""
    asked = requests.Retry(at=at, by=by.name, reason=reason)
    return await _ask(fleets, rollout, asked, expected, response)


@router.post(
    "/{rollout}/undo",
    status_code=202,
    summary="Undo a rollout: go back to the release before it",
    description=f"Begins a new rollout, and answers with that one. {_ACCEPTED}",
    responses=_moved("rollout_in_progress", "plan_refused"),
)
async def undo(
    fleets: Served,
    by: Operator,
    rollout: RolloutPath,
    expected: Expected,
    response: Response,
    body: ReasonBody | None = None,
) -> RolloutView:
    """Begin a rollout back."""
    before = await fleets.journal.rollout(rollout)
    if expected is not None and before.sequence != expected:
        raise RolewiseError(
            "stale_sequence",
            f"rollout {rollout} has moved on: event {before.sequence}, not {expected}",
        )
    reason = body.reason if body else ""
    started = await fleets.undo(rollout, by=by.name, reason=reason)
    return await answer_rollout(fleets, await fleets.journal.rollout(started.rollout), response)


async def answer_rollout(fleets: Fleets, state: Rollout, response: Response) -> RolloutView:
    """Return where a rollout stands, with the headers that lead there."""
    response.headers["ETag"] = _etag(state)
    response.headers["Location"] = f"/v1/rollouts/{state.id}"
    return await _view(fleets, state)


async def _ask(
    fleets: Fleets, rollout: str, asked: Request, expected: int | None, response: Response
) -> RolloutView:
    state = await fleets.journal.request(rollout, asked, expected=expected)
    return await answer_rollout(fleets, state, response)


async def _view(fleets: Fleets, state: Rollout, alerts: Sequence[str] = ()) -> RolloutView:
    newest: VerdictGiven | None = None
    if not state.phase.is_final:
        # A verb that was accepted is not answered with an error for the sake of a figure.
        with suppress(StoreUnavailable):
            newest = await fleets.journal.newest_verdict(state.id)
    return view_rollout(state, newest, alerts=alerts)


def _etag(state: Rollout) -> str:
    return f'"{state.sequence}"'


def _age(state: Rollout) -> tuple[float, str]:
    return (state.started_at.timestamp() if state.started_at else 0.0, state.id)
