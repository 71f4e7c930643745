"""Fold events into state. Total: every event fits every state, and nothing here can raise.

All rules about what may happen are in `decide.py`; this file only writes down what did. A log
that was written by an older machine therefore reads the same for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rolewise.coordinator.rollout.commands import (
    DrainVersion,
    InstallTable,
    ScaleVersion,
    command_id,
)
from rolewise.coordinator.rollout.events import (
    AbortRequested,
    BakeStarted,
    CommandAcknowledged,
    DrainRequested,
    Event,
    PauseCause,
    Paused,
    Promoted,
    ReplicasRequested,
    Resumed,
    RetryRequested,
    RollbackBegun,
    RolledBack,
    RolloutCompleted,
    RolloutFailed,
    RolloutStarted,
    StableRetired,
    StageCompleted,
    StagePromoted,
    StageReverted,
    StageStarted,
    StepStarted,
    TableChanged,
    TakenOver,
    VerdictGiven,
    WeightSet,
)
from rolewise.coordinator.rollout.state import (
    NOT_STARTED,
    PauseNote,
    Phase,
    RollbackNote,
    Rollout,
    StageStatus,
)


def replay(events: Iterable[Event], state: Rollout = NOT_STARTED) -> Rollout:
    """Return the state after all these events."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: Rollout, event: Event) -> Rollout:
    """Return the state after one event."""
    after = _fold(state, event)
    since = event.at if after.phase is not state.phase or after.since is None else after.since
    return replace(after, sequence=state.sequence + 1, since=since)


def _fold(state: Rollout, event: Event) -> Rollout:  # noqa: C901, PLR0912 (one flat case an event)
    match event:
        case RolloutStarted():
            return _start(event)
        case StageStarted(stage=stage, salt=salt):
            return replace(
                _with_status(state, stage, StageStatus.PREPARING),
                phase=Phase.PROGRESSING,
                stage=stage,
                step=-1,
                trial_salt=salt,
                verdict=None,
                is_harm_accepted=False,
                paused_for=frozenset(),
                **_fresh_wait(event.at),
            )
        case StepStarted(stage=stage, step=step):
            return replace(
                _with_status(state, stage, StageStatus.STEPPING),
                step=step,
                **_fresh_wait(event.at),
            )
        case ReplicasRequested():
            return _request_replicas(state, event)
        case WeightSet():
            return state  # The table that follows carries the weight: it is kept in one place.
        case TableChanged(table=table):
            target = str(table.number)
            pending = InstallTable(**_identity(state, "install", target), table=table)
            return replace(state, table=table, pending=pending, failures=0)
        case DrainRequested():
            return _request_drain(state, event)
        case CommandAcknowledged(ok=ok):
            return _acknowledge(state, ok=ok)
        case VerdictGiven(verdict=verdict):
            decides = state.phase is Phase.PROGRESSING and state.wanted_evidence is not None
            ruling = verdict.ruling if decides else state.step_ruling
            return replace(state, verdict=verdict, step_ruling=ruling)
        case Paused(cause=cause, reason=reason, by=by, facts=facts):
            # A second cause does not move the moment from which timers stand still.
            since = event.at if state.pause is None else state.pause.since
            note = PauseNote(cause=cause, reason=reason, by=by, since=since, facts=facts)
            paused_for = state.paused_for.union(fact.key for fact in facts)
            return replace(state, phase=Phase.PAUSED, pause=note, paused_for=paused_for)
        case Resumed():
            return replace(_go_on(state, event.at), failures=0)
        case Promoted(full=full):
            harm = state.pause is not None and state.pause.cause is PauseCause.HARM
            return replace(
                _go_on(state, event.at),
                failures=0,
                is_promoted=True,
                is_full=state.is_full or full,
                is_harm_accepted=state.is_harm_accepted or harm,
            )
        case AbortRequested(by=by):
            return replace(state, aborted_by=by)
        case RollbackBegun():
            return _begin_rollback(state, event)
        case StagePromoted(stage=stage):
            return _with_status(state, stage, StageStatus.PROMOTING)
        case BakeStarted(stage=stage):
            return replace(_with_status(state, stage, StageStatus.BAKING), **_fresh_wait(event.at))
        case StableRetired(stage=stage):
            return _with_status(state, stage, StageStatus.DRAINING)
        case StageCompleted(stage=stage):
            done = _with_status(state, stage, StageStatus.DONE)
            return replace(done, stage=min(stage + 1, max(len(state.statuses) - 1, 0)))
        case StageReverted(stage=stage):
            return _turn_to_next(_with_status(state, stage, StageStatus.REVERTED))
        case RolloutCompleted():
            return replace(state, phase=Phase.COMPLETED)
        case RolledBack():
            return replace(state, phase=Phase.ROLLED_BACK)
        case RolloutFailed(left=left):
            return replace(state, phase=Phase.FAILED, left=left)
        case RetryRequested():
            return _retry(state, event)
        case TakenOver(fencing=fencing):
            return replace(state, fencing=fencing)


def _start(event: RolloutStarted) -> Rollout:
    return Rollout(
        id=event.rollout,
        plan=event.plan,
        table=event.table,
        salt=event.salt,
        statuses=(StageStatus.WAITING,) * len(event.plan.stages),
        started_at=event.at,
        started_by=event.by,
        replicas={(s.role, s.from_version): s.replicas for s in event.plan.stages},
        left_by=event.left_by,
        leftovers=frozenset(event.leftovers),
        is_table_due=bool(event.leftovers),
    )


def _request_replicas(state: Rollout, event: ReplicasRequested) -> Rollout:
    key = (event.role, event.version)
    leaving = state.leaving if event.replicas == 0 else state.leaving - {key}
    command = ScaleVersion(
        **_identity(state, "scale", f"{event.role}@{event.version}={event.replicas}"),
        role=event.role,
        version=event.version,
        replicas=event.replicas,
    )
    return replace(
        state,
        pending=command,
        failures=0,
        leaving=leaving,
        stopped=state.stopped - {key},
    )


def _request_drain(state: Rollout, event: DrainRequested) -> Rollout:
    command = DrainVersion(
        **_identity(state, "drain", f"{event.role}@{event.version}"),
        role=event.role,
        version=event.version,
        limit_s=event.limit_s,
    )
    leaving = state.leaving | {(event.role, event.version)}
    return replace(state, pending=command, failures=0, leaving=leaving)


def _acknowledge(state: Rollout, *, ok: bool) -> Rollout:
    if not ok:
        return replace(state, failures=state.failures + 1)
    done = replace(state, pending=None, failures=0)
    if isinstance(state.pending, InstallTable):
        return replace(done, is_table_due=False)
    if not isinstance(state.pending, ScaleVersion):
        return done
    key = (state.pending.role, state.pending.version)
    replicas = {**state.replicas, key: state.pending.replicas}
    if state.pending.replicas:
        return replace(done, replicas=replicas)
    return replace(
        done,
        replicas=replicas,
        stopped=state.stopped | {key},
        leftovers=state.leftovers - {key},
    )


def _begin_rollback(state: Rollout, event: RollbackBegun) -> Rollout:
    note = RollbackNote(
        reason=event.reason, by=event.by, since=event.at, stages=event.stages, facts=event.facts
    )
    return _turn_to_next(
        replace(
            state,
            phase=Phase.ROLLING_BACK,
            rollback=note,
            pause=None,
            pending=None,
            failures=0,
            timer_from=None,
        )
    )


def _turn_to_next(state: Rollout) -> Rollout:
    """Mark the first stage of the rollback that is not reverted yet as the one that moves."""
    stages = () if state.rollback is None else state.rollback.stages
    left = [s for s in stages if state.statuses[s : s + 1] != (StageStatus.REVERTED,)]
    return _with_status(state, left[0], StageStatus.REVERTING) if left else state


def _retry(state: Rollout, event: RetryRequested) -> Rollout:
    if state.phase is Phase.FAILED:
        return replace(state, phase=Phase.ROLLING_BACK, failures=0, left=())
    waiting = tuple(
        StageStatus.WAITING if index >= event.stage else status
        for index, status in enumerate(state.statuses)
    )
    return replace(
        state,
        phase=Phase.PENDING,
        attempt=state.attempt + 1,
        table=event.table or state.table,
        stage=event.stage,
        step=-1,
        statuses=waiting,
        rollback=None,
        aborted_by="",
        verdict=None,
        is_full=False,
        left=(),
    )


def _go_on(state: Rollout, at: datetime) -> Rollout:
    """Leave a pause: the time spent in it is not progress time."""
    timer_from = state.timer_from
    if state.pause is not None and timer_from is not None:
        timer_from += max(at - state.pause.since, timedelta(0))
    return replace(state, phase=Phase.PROGRESSING, pause=None, timer_from=timer_from)


def _fresh_wait(at: datetime) -> dict[str, Any]:
    """Fields of a step or bake that begins at `at`, with nothing decided in it yet."""
    return {"step_since": at, "timer_from": at, "step_ruling": None, "is_promoted": False}


def _with_status(state: Rollout, stage: int, status: StageStatus) -> Rollout:
    statuses = tuple(status if i == stage else old for i, old in enumerate(state.statuses))
    return replace(state, statuses=statuses)


def _identity(state: Rollout, kind: str, target: str) -> dict[str, Any]:
    """Fields of the command that the next event asks for."""
    event = state.sequence + 1
    return {"id": command_id(state.id, state.attempt, event, kind, target), "event": event}
