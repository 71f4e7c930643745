"""What each kind of step does: one small pure function a kind.

A step function is asked again after every acknowledgement and tick until it says `DONE`. It looks
at what is there and returns the next events towards what the step wants, or `WAIT`. So it does not
matter how often it is asked, and a step that was cut short by a crash simply goes on.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.plan import Analyse, Pause, SetWeight, Stage, Step
from rolewise.coordinator.rollout.events import (
    JUDGE,
    Events,
    PauseCause,
    Paused,
    TableChanged,
    WeightSet,
)
from rolewise.coordinator.rollout.rollback import begin_rollback, request_replicas
from rolewise.coordinator.rollout.routes import try_canary
from rolewise.coordinator.rollout.state import Rollout

CANARY_WEIGHT_MAX = 50.0
"""Up to this weight the stage's `canary_replicas` serve the canary's tasks, above it `replicas`."""


class Progress(Enum):
    """What a step answers when it wants no event."""

    WAIT = "wait"
    DONE = "done"


def run_step(state: Rollout, stage: Stage, step: Step, at: datetime) -> Events | Progress:
    """Return the next events of the current step, or that it waits, or that it is done."""
    match step:
        case SetWeight():
            return set_weight(state, stage, step, at)
        case Pause():
            return pause(state, step, at)
        case Analyse():
            return analyse(state, stage, at)


def set_weight(state: Rollout, stage: Stage, step: SetWeight, at: datetime) -> Events | Progress:
    """First bring up the replicas that the weight needs, then change the table."""
    many = step.weight > CANARY_WEIGHT_MAX
    wanted = stage.replicas if many else stage.canary_replicas
    if state.replicas_of(stage.role, stage.to_version) < wanted:
        reason = f"weight {step.weight:g} % needs them"
        return (request_replicas(stage, stage.to_version, wanted, at, reason),)
    route = state.table.by_role.get(stage.role)
    if route is not None and (route.canary, route.weight) == (stage.to_version, step.weight):
        return Progress.DONE
    return (
        WeightSet(
            at=at,
            role=stage.role,
            version=stage.to_version,
            from_weight=state.weight,
            to_weight=step.weight,
        ),
        TableChanged(at=at, table=try_canary(state.table, stage, state.trial_salt, step.weight)),
    )


def pause(state: Rollout, step: Pause, at: datetime) -> Events | Progress:
    """Wait for time to pass, or for a person."""
    if state.is_promoted:
        return Progress.DONE
    if step.duration_s is None:
        reason = "this step waits for a person: promote or abort"
        return (Paused(at=at, cause=PauseCause.STEP, reason=reason),)
    ends = state.timer_ends
    return Progress.DONE if ends is not None and at >= ends else Progress.WAIT


def analyse(state: Rollout, stage: Stage, at: datetime) -> Events | Progress:
    """Wait for the judge to say `safe`; `harm` never gets here, guards come first."""
    if state.is_promoted or state.step_ruling is Ruling.SAFE:
        return Progress.DONE
    verdict = state.verdict
    if verdict is None or state.step_ruling is not verdict.ruling:
        return Progress.WAIT
    if verdict.ruling is Ruling.UNSURE:
        reaction, cause = stage.analysis.on_unsure, PauseCause.UNSURE
    elif verdict.is_overdue:
        reaction, cause = stage.analysis.on_no_data, PauseCause.NO_DATA
    else:
        return Progress.WAIT
    match reaction:
        case "rollback":
            return begin_rollback(state, at=at, by=JUDGE, reason=verdict.reason)
        case "pause":
            return (Paused(at=at, by=JUDGE, cause=cause, reason=verdict.reason),)
        case "hold":
            return Progress.WAIT
