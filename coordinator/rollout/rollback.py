"""The way back: what a rollback reverts, in which order, and what is left when it cannot go on.

For each stage the table changes first, so that every message goes to the old version at once;
then running work gets its limit; then the replicas stop. Like a step, `next_of_rollback` looks at
what is there and returns the next events towards where it must end.
"""

from __future__ import annotations

from datetime import datetime

from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.plan.plan import Stage
from rolewise.coordinator.rollout.commands import describe_command
from rolewise.coordinator.rollout.events import (
    DrainRequested,
    Events,
    ReplicasRequested,
    RollbackBegun,
    RolledBack,
    StageReverted,
    TableChanged,
    WeightSet,
)
from rolewise.coordinator.rollout.leftovers import what_to_clear_up
from rolewise.coordinator.rollout.routes import withdraw_new
from rolewise.coordinator.rollout.state import Rollout, StageStatus


def begin_rollback(
    state: Rollout, *, at: datetime, by: str, reason: str, facts: tuple[HardFact, ...] = ()
) -> Events:
    """Return the event that turns a rollout round: the moving stage first, then earlier ones."""
    stages = [state.stage] if state.status.is_moving else []
    if state.plan.on_stage_failure == "roll_back_all":
        done = [i for i, status in enumerate(state.statuses) if status is StageStatus.DONE]
        stages += reversed(done)
    return (RollbackBegun(at=at, by=by, reason=reason, stages=tuple(stages), facts=facts),)


def next_of_rollback(state: Rollout, at: datetime) -> Events:
    """Return the next events of a rollback of which nothing is pending."""
    for index, (stage, status) in enumerate(zip(state.plan.stages, state.statuses, strict=True)):
        if status is StageStatus.REVERTING:
            return _revert(state, stage, at) or (StageReverted(at=at, stage=index),)
    reason = "" if state.rollback is None else state.rollback.reason
    return (RolledBack(at=at, reason=reason),)


def _revert(state: Rollout, stage: Stage, at: datetime) -> Events:
    old, new = (stage.role, stage.from_version), (stage.role, stage.to_version)
    route = state.table.by_role.get(stage.role)
    if new not in state.table.withdrawn or (route and route.stable != stage.from_version):
        # Told to drain, perhaps stopped already, the old version must first be there again.
        if old in state.leaving:
            return (
                request_replicas(
                    stage, stage.from_version, stage.replicas, at, "it takes over again"
                ),
            )
        changed = TableChanged(at=at, table=withdraw_new(state.table, stage))
        if not state.weight_of(stage):
            return (changed,)
        fall = WeightSet(
            at=at,
            role=stage.role,
            version=stage.to_version,
            from_weight=state.weight_of(stage),
            to_weight=0.0,
        )
        return (fall, changed)
    if new not in state.leaving:
        limit_s = stage.drain_limit_s
        return (DrainRequested(at=at, role=new[0], version=new[1], limit_s=limit_s),)
    if new not in state.stopped:
        return (request_replicas(stage, stage.to_version, 0, at, "it was taken back"),)
    return ()


def what_is_left(state: Rollout, detail: str = "") -> tuple[str, ...]:
    """Say what a rollback that cannot go on leaves undone, one sentence a line.

    Args:
        state: Where it stands.
        detail: Why the pending command failed the last time: it names the replicas that are left.
    """
    lines: tuple[str, ...] = ()
    if state.pending is not None:
        lines = (": ".join(filter(None, (describe_command(state.pending), detail))),)
    stages = () if state.rollback is None else state.rollback.stages
    lines += what_to_clear_up(state)
    return lines + tuple(
        f"bring {state.plan.stages[i].role} back to {state.plan.stages[i].from_version}"
        for i in stages
        if state.statuses[i] is not StageStatus.REVERTED
    )


def request_replicas(
    stage: Stage, version: str, replicas: int, at: datetime, reason: str
) -> ReplicasRequested:
    """Return the event that asks for replicas of one of a stage's two versions."""
    return ReplicasRequested(
        at=at, role=stage.role, version=version, replicas=replicas, reason=reason
    )
