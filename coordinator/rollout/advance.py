"""The way forward: what comes next in a stage when nothing is pending.

    waiting -> preparing (canary replicas up) -> stepping (each step in turn)
            -> promoting (all replicas up, new version stable) -> baking (old version kept warm)
            -> draining (old version drained and stopped) -> done, and the next stage starts

`settle` repeats this after every request until something must be waited for: a command, the
time, the judge or a person.
"""

from __future__ import annotations

from datetime import datetime

from rolewise.coordinator.plan.plan import Stage
from rolewise.coordinator.rollout.events import (
    BakeStarted,
    DrainRequested,
    Events,
    RolloutCompleted,
    StableRetired,
    StageCompleted,
    StagePromoted,
    StageStarted,
    StepStarted,
    TableChanged,
    WeightSet,
)
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.leftovers import clear_up
from rolewise.coordinator.rollout.rollback import next_of_rollback, request_replicas
from rolewise.coordinator.rollout.routes import make_stable
from rolewise.coordinator.rollout.state import Phase, Rollout, StageStatus
from rolewise.coordinator.rollout.steps import Progress, run_step


def settle(state: Rollout, events: Events, at: datetime) -> Events:
    """Return `events` with all that follows from them at once.

    It ends because every round starts a later step, changes a status or leaves something pending;
    the bound is there to make a mistake in that visible as a rollout that goes slowly, not as a
    controller that hangs.
    """
    state = replay(events, state)
    rounds = 8 + sum(8 + 2 * len(stage.steps) for stage in state.plan.stages)
    for _ in range(rounds):
        more = _next_events(state, at)
        if not more:
            break
        events += more
        state = replay(more, state)
    return events


def start_stage(state: Rollout, at: datetime) -> Events:
    """Return the start of the current stage."""
    stage = state.plan.stages[state.stage]
    salt = f"{state.salt}.{state.attempt}.{stage.role}"
    return (StageStarted(at=at, stage=state.stage, salt=salt, reason=stage.reason),)


def _next_events(state: Rollout, at: datetime) -> Events:
    if state.pending is not None:
        return ()
    if state.phase is Phase.ROLLING_BACK:
        return clear_up(state, at) or next_of_rollback(state, at)
    if state.phase is Phase.PROGRESSING:
        return clear_up(state, at) or _next_of_stage(state, state.plan.stages[state.stage], at)
    return ()


def _next_of_stage(state: Rollout, stage: Stage, at: datetime) -> Events:
    match state.status:
        case StageStatus.WAITING:
            return start_stage(state, at)
        case StageStatus.PREPARING:
            return _prepare(state, stage, at)
        case StageStatus.STEPPING:
            return _take_step(state, stage, at)
        case StageStatus.PROMOTING:
            return _promote(state, stage, at)
        case StageStatus.BAKING:
            return _bake(state, stage, at)
        case StageStatus.DRAINING:
            return _retire(state, stage, at)
        case StageStatus.DONE | StageStatus.REVERTING | StageStatus.REVERTED:
            return ()  # Not met while progressing: the last stage's end completes the rollout.


def _prepare(state: Rollout, stage: Stage, at: datetime) -> Events:
    if state.replicas_of(stage.role, stage.to_version) < stage.canary_replicas:
        return (
            request_replicas(
                stage, stage.to_version, stage.canary_replicas, at, "the trial needs them"
            ),
        )
    return _next_step(state, stage, at)


def _take_step(state: Rollout, stage: Stage, at: datetime) -> Events:
    step = state.current_step
    if step is None or state.is_full:
        return _next_step(state, stage, at)
    progress = run_step(state, stage, step, at)
    if progress is Progress.DONE:
        return _next_step(state, stage, at)
    return () if progress is Progress.WAIT else progress


def _next_step(state: Rollout, stage: Stage, at: datetime) -> Events:
    step = state.step + 1
    if step < len(stage.steps) and not state.is_full:
        return (StepStarted(at=at, stage=state.stage, step=step),)
    reason = "promoted in full" if state.is_full else "all steps are done"
    return (StagePromoted(at=at, stage=state.stage, reason=reason),)


def _promote(state: Rollout, stage: Stage, at: datetime) -> Events:
    new = stage.to_version
    if state.replicas_of(stage.role, new) != stage.replicas:
        return (request_replicas(stage, new, stage.replicas, at, "it becomes the stable version"),)
    if state.release.get(stage.role) != new:
        changed = TableChanged(at=at, table=make_stable(state.table, stage))
        weight = state.weight
        if weight == 100.0:  # noqa: PLR2004
            return (changed,)
        rise = WeightSet(at=at, role=stage.role, version=new, from_weight=weight, to_weight=100.0)
        return (rise, changed)
    if stage.keep_stable_s > 0:
        return (BakeStarted(at=at, stage=state.stage),)
    return (StableRetired(at=at, stage=state.stage),)


def _bake(state: Rollout, stage: Stage, at: datetime) -> Events:
    if state.is_promoted:
        return (StableRetired(at=at, stage=state.stage, reason="promoted by a person"),)
    ends = state.timer_ends
    if ends is not None and at >= ends:
        reason = f"kept warm for {stage.keep_stable_s:g} s"
        return (StableRetired(at=at, stage=state.stage, reason=reason),)
    return ()


def _retire(state: Rollout, stage: Stage, at: datetime) -> Events:
    old = (stage.role, stage.from_version)
    if old not in state.leaving:
        limit_s = stage.drain_limit_s
        return (DrainRequested(at=at, role=old[0], version=old[1], limit_s=limit_s),)
    if old not in state.stopped:
        return (request_replicas(stage, stage.from_version, 0, at, "it is not needed any more"),)
    completed = StageCompleted(at=at, stage=state.stage)
    if state.stage + 1 < len(state.plan.stages):
        return (completed,)
    return (completed, RolloutCompleted(at=at, reason="all stages are done"))
