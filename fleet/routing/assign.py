"""Who gets a task: the keyed hash that draws arms, the same in every process.

Arms are drawn for buckets: for each task, or for all tasks of one conversation, or of one value of
an attribute (a user, a site). A bucket's place on the line from 0 to 100 depends on the trial's
salt and the bucket's id only. The canary takes the buckets below its weight, so raising the weight
only adds some (nested cohorts), and another salt draws anew (independent trials).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

from rolewise.fleet.routing.table import BY_CONVERSATION, BY_TASK, RoleRoute, RoutingTable
from rolewise.fleet.task import Assignment
from rolewise.graphs.interactions import Arm

_SCALE = 100.0 / 2**64


class Drawn(Protocol):
    """A task as every process knows it; what its messages carry is enough to draw its arms."""

    @property
    def task(self) -> str:
        """Its id."""
        ...

    @property
    def conversation(self) -> str:
        """The session that it belongs to; its own id without one."""
        ...

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What the submitter said about it, JSON values."""
        ...

    @property
    def retry_of(self) -> str:
        """The task that it tries again; empty for a first attempt."""
        ...


def place(salt: str, bucket: str) -> float:
    """Return the bucket's place on the line, 0 <= place < 100, uniform over buckets for each salt.

    The hash is keyed, so that whoever chooses ids cannot choose their arm.
    """
    digest = hashlib.blake2b(bucket.encode(), digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "little") * _SCALE


def bucket_of(bucket_by: str, drawn: Drawn) -> str:
    """Return the id that the task's arm is drawn by; equal for all tasks that share an arm.

    A task that tries another one again is drawn as that one was. A task that lacks what it should
    be drawn by is drawn by its own id, so that such tasks do not all go one way.
    """
    own = drawn.retry_of or drawn.task
    if bucket_by == BY_TASK:
        return own
    if bucket_by == BY_CONVERSATION:
        return own if drawn.conversation in {"", drawn.task} else drawn.conversation
    value = drawn.attributes.get(bucket_by)
    if value is None or value == "":
        return own
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def assigned_version(route: RoleRoute, drawn: Drawn) -> str:
    """Return the version that serves the role for this task."""
    if not route.canary or not route.weight:
        return route.stable
    bucket = bucket_of(route.bucket_by, drawn)
    return route.canary if place(route.salt, bucket) < route.weight else route.stable


def assignments(table: RoutingTable, drawn: Drawn) -> tuple[Assignment, ...]:
    """Return the arm of the task for every role that is on trial under this table."""
    return tuple(_assignment(route, drawn) for route in table.routes if route.canary)


def _assignment(route: RoleRoute, drawn: Drawn) -> Assignment:
    bucket = bucket_of(route.bucket_by, drawn)
    return Assignment(
        role=route.role,
        salt=route.salt,
        arm=Arm.CANARY if assigned_version(route, drawn) == route.canary else Arm.BASELINE,
        weight=route.weight,
        unit="" if bucket == drawn.task else bucket,
    )
