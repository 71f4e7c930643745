"""What each operator verb does, and what may speak against it in a phase that takes it."""

from __future__ import annotations

from typing import Final

from rolewise.coordinator.plan.plan import Analyse, Pause
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.advance import settle
from rolewise.coordinator.rollout.events import (
    AbortRequested,
    Events,
    PauseCause,
    Paused,
    Promoted,
    Resumed,
    RetryRequested,
    RolloutStarted,
)
from rolewise.coordinator.rollout.rollback import begin_rollback
from rolewise.coordinator.rollout.state import Phase, Rollout, StageStatus

DECISION_CAUSES: Final = frozenset(
    {PauseCause.STEP, PauseCause.UNSURE, PauseCause.NO_DATA, PauseCause.HARM}
)
"""Pauses that a person's yes or no ends, and nothing else (but for data that come back)."""


def check_start(_state: Rollout, request: requests.Start) -> str:
    """Compare the plan with what the fleet runs."""
    if not request.plan.stages:
        return "the plan has no stages: the fleet runs the wanted release already"
    routes = request.table.by_role
    for stage in request.plan.stages:
        route = routes.get(stage.role)
        if route is None:
            return f"the fleet has no role {stage.role}"
        if route.canary:
            return f"{stage.role} {route.canary} is on trial in another rollout"
        if route.stable != stage.from_version:
            return (
                f"the plan takes {stage.role} from {stage.from_version}, "
                f"but the fleet runs {route.stable}: make a new plan"
            )
    return ""


def start(_state: Rollout, request: requests.Start) -> Events:
    """Freeze the plan."""
    return (
        RolloutStarted(
            at=request.at,
            by=request.by,
            reason=request.reason,
            rollout=request.rollout,
            plan=request.plan,
            table=request.table,
            salt=request.salt,
            left_by=request.left_by,
            leftovers=request.leftovers,
        ),
    )


def pause(_state: Rollout, request: requests.Pause) -> Events:
    """Stop going forward."""
    reason = request.reason or f"paused by {request.by}"
    return (Paused(at=request.at, by=request.by, reason=reason, cause=PauseCause.OPERATOR),)


def check_resume(state: Rollout, _request: requests.Resume) -> str:
    """Leave pauses that wait for a decision to `promote` and `abort`."""
    if state.pause is not None and state.pause.cause in DECISION_CAUSES:
        return f"it waits for a decision ({state.pause.reason}): promote goes on, abort rolls back"
    return ""


def resume(state: Rollout, request: requests.Resume) -> Events:
    """Go on."""
    resumed = Resumed(at=request.at, by=request.by, reason=request.reason)
    return settle(state, (resumed,), request.at)


def check_promote(state: Rollout, request: requests.Promote) -> str:
    """Find something that waits for a yes."""
    asks = state.pause is not None and state.pause.cause in DECISION_CAUSES
    waits = isinstance(state.current_step, Pause | Analyse) or state.status is StageStatus.BAKING
    if request.full or asks or waits:
        return ""
    if state.phase is Phase.PAUSED:
        return f"nothing waits for a promotion ({state.reason}): resume goes on"
    return "the current step does not wait; promote_full would skip the steps that remain"


def promote(state: Rollout, request: requests.Promote) -> Events:
    """End the wait, or skip all steps that remain."""
    promoted = Promoted(at=request.at, by=request.by, reason=request.reason, full=request.full)
    return settle(state, (promoted,), request.at)


def abort(state: Rollout, request: requests.Abort) -> Events:
    """Turn round."""
    asked = AbortRequested(at=request.at, by=request.by, reason=request.reason)
    begun = begin_rollback(state, at=request.at, by=request.by, reason=request.reason)
    return settle(state, (asked, *begun), request.at)


def abort_again(state: Rollout, request: requests.Abort) -> Events:
    """Note who asked, the first time."""
    if state.aborted_by:
        return ()
    return (AbortRequested(at=request.at, by=request.by, reason=request.reason),)


def check_retry(state: Rollout, request: requests.Retry) -> str:
    """Compare the fleet with what this rollout left."""
    table = request.table or state.table
    if table.number < state.table.number:
        return f"routing table {table.number} is older than {state.table.number}, the last one"
    routes = table.by_role
    for stage, status in zip(state.plan.stages, state.statuses, strict=True):
        expected = stage.to_version if status is StageStatus.DONE else stage.from_version
        route = routes.get(stage.role)
        if route is None or route.stable != expected or route.canary:
            runs = "no such role" if route is None else route.canary or route.stable
            return (
                f"the fleet has moved on: {stage.role} should run {expected}, "
                f"but has {runs}; start a new rollout"
            )
    return ""


def retry(state: Rollout, request: requests.Retry) -> Events:
    """Begin a new attempt at the first stage that is not done."""
    stage = next(i for i, s in enumerate(state.statuses) if s is not StageStatus.DONE)
    return (
        RetryRequested(
            at=request.at, by=request.by, reason=request.reason, stage=stage, table=request.table
        ),
    )


def finish_rollback(state: Rollout, request: requests.Retry) -> Events:
    """Go on with a rollback that was given up."""
    # The fleet's table is left out: the newest one that this rollout asked for may be the very
    # one that could not be installed.
    asked = RetryRequested(at=request.at, by=request.by, reason=request.reason, stage=state.stage)
    return settle(state, (asked,), request.at)


def check_undo(state: Rollout, _request: requests.Undo) -> str:
    """Find something to undo."""
    changed = [s for s in state.statuses if s is StageStatus.DONE]
    return "" if changed else "nothing is left of this rollout: every role runs what it ran before"


def undo(_state: Rollout, _request: requests.Undo) -> Events:
    """Change nothing here: the way back is a rollout of its own."""
    return ()
