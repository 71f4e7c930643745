"""Who gets a task: the keyed hash that draws arms, the same in every process.

A task's place on the line from 0 to 100 depends on the trial's salt and the task's id only. The
canary takes the tasks below its weight, so raising the weight only adds tasks (nested cohorts),
and another salt draws anew (independent trials).
"""

from __future__ import annotations

import hashlib

from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.task import Assignment
from rolewise.graphs.interactions import Arm

_SCALE = 100.0 / 2**64


def place(salt: str, task: str) -> float:
    """Return the task's place on the line, 0 <= place < 100, uniform over tasks for each salt.

    The hash is keyed, so that whoever chooses task ids cannot choose their arm.
    """
    digest = hashlib.blake2b(task.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "little") * _SCALE


def assigned_version(route: RoleRoute, task: str) -> str:
    """Return the version that serves the role for this task."""
    if not route.canary or not route.weight:
        return route.stable
    return route.canary if place(route.salt, task) < route.weight else route.stable


def assignments(table: RoutingTable, task: str) -> tuple[Assignment, ...]:
    """Return the arm of the task for every role that is on trial under this table."""
    return tuple(
        Assignment(
            role=route.role,
            salt=route.salt,
            arm=Arm.CANARY if assigned_version(route, task) == route.canary else Arm.BASELINE,
            weight=route.weight,
        )
        for route in table.routes
        if route.canary
    )
