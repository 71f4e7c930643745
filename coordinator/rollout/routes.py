"""Routing tables as a rollout changes them: each function returns the next table, one higher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rolewise.coordinator.plan.plan import Stage
from rolewise.fleet.routing.table import BY_TASK, RoutingTable


def try_canary(table: RoutingTable, stage: Stage, salt: str, weight: float) -> RoutingTable:
    """Give the stage's new version this percent of new tasks, and take it back if withdrawn."""
    changes = {
        "stable": stage.from_version,
        "canary": stage.to_version,
        "weight": weight,
        "salt": salt,
        "bucket_by": stage.bucket_by,
    }
    return _next(table, stage.role, changes, taken_back=stage.to_version)


def make_stable(table: RoutingTable, stage: Stage) -> RoutingTable:
    """Give every new task to the stage's new version; running ones keep what they were given."""
    return _next(table, stage.role, _only(stage.to_version), taken_back=stage.to_version)


def withdraw_new(table: RoutingTable, stage: Stage) -> RoutingTable:
    """Give every task, running ones too, to the stage's old version."""
    changed = _next(table, stage.role, _only(stage.from_version), taken_back=stage.from_version)
    return replace(changed, withdrawn=changed.withdrawn | {(stage.role, stage.to_version)})


def _only(version: str) -> dict[str, Any]:
    return {"stable": version, "canary": "", "weight": 0.0, "salt": "", "bucket_by": BY_TASK}


def _next(
    table: RoutingTable, role: str, changes: dict[str, Any], *, taken_back: str
) -> RoutingTable:
    routes = tuple(replace(r, **changes) if r.role == role else r for r in table.routes)
    withdrawn = table.withdrawn - {(role, taken_back)}
    return RoutingTable(number=table.number + 1, routes=routes, withdrawn=withdrawn)
