"""What a rollout that could not finish its way back leaves in the fleet, and who clears it away.

Its `retry` does. But people may start another rollout instead, say because the old version starts
no more; then that one clears up before anything else. Which table the fleet has is not known
either: the last one may be the very one that could not be installed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from rolewise.coordinator.rollout.events import (
    DrainRequested,
    Events,
    ReplicasRequested,
    TableChanged,
)
from rolewise.coordinator.rollout.state import Phase, RoleVersion, Rollout, StageStatus


def left_behind(last: Rollout) -> tuple[RoleVersion, ...]:
    """Return the versions that may run beside the stable ones after a fleet's last rollout."""
    if last.phase is not Phase.FAILED:
        return ()
    touched = {
        (stage.role, version)
        for stage, status in zip(last.plan.stages, last.statuses, strict=True)
        if status is not StageStatus.WAITING
        for version in (stage.from_version, stage.to_version)
    }
    touched |= last.leftovers
    return tuple(sorted(touched - set(last.release.items()) - last.stopped))


def clear_up(state: Rollout, at: datetime) -> Events:
    """Return the next events of clearing up what the rollout before left; none when it is done."""
    if not state.leftovers:
        return ()
    if state.is_table_due:
        table = state.table
        withdrawn = table.withdrawn | state.leftovers
        return (
            TableChanged(at=at, table=replace(table, number=table.number + 1, withdrawn=withdrawn)),
        )
    role, version = min(state.leftovers)
    if (role, version) not in state.leaving:
        limits = {stage.role: stage.drain_limit_s for stage in state.plan.stages}
        limit_s = limits.get(role, max(limits.values(), default=0.0))
        return (DrainRequested(at=at, role=role, version=version, limit_s=limit_s),)
    reason = f"{state.left_by} left it"
    return (ReplicasRequested(at=at, role=role, version=version, replicas=0, reason=reason),)


def what_to_clear_up(state: Rollout) -> tuple[str, ...]:
    """Say what is still to be cleared up, one sentence a line."""
    return tuple(
        f"stop {role} {version}, which {state.left_by} left"
        for role, version in sorted(state.leftovers)
    )
