"""Routing tables as a rollout changes them: each function returns the next table, one higher."""

from __future__ import annotations

from rolewise.coordinator.plan.plan import Stage
from rolewise.fleet.routing.table import RoleRoute, RoutingTable


def try_canary(table: RoutingTable, stage: Stage, salt: str, weight: float) -> RoutingTable:
    """Give the stage's new version this percent of new tasks, and take it back if withdrawn."""
    route = RoleRoute(
        role=stage.role,
        stable=stage.from_version,
        canary=stage.to_version,
        weight=weight,
        salt=salt,
    )
    return _next(table, route, withdrawn=table.withdrawn - {(stage.role, stage.to_version)})


def make_stable(table: RoutingTable, stage: Stage) -> RoutingTable:
    """Give every new task to the stage's new version; running ones keep what they were given."""
    route = RoleRoute(role=stage.role, stable=stage.to_version)
    return _next(table, route, withdrawn=table.withdrawn - {(stage.role, stage.to_version)})


def withdraw_new(table: RoutingTable, stage: Stage) -> RoutingTable:
    """Give every task, running ones too, to the stage's old version."""
    route = RoleRoute(role=stage.role, stable=stage.from_version)
    withdrawn = table.withdrawn - {(stage.role, stage.from_version)}
    return _next(table, route, withdrawn=withdrawn | {(stage.role, stage.to_version)})


def _next(
    table: RoutingTable, route: RoleRoute, *, withdrawn: frozenset[tuple[str, str]]
) -> RoutingTable:
    routes = tuple(route if old.role == route.role else old for old in table.routes)
    return RoutingTable(number=table.number + 1, routes=routes, withdrawn=withdrawn)
