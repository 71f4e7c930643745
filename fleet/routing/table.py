"""The routing table: which version serves which role, and who is on trial. Immutable, numbered.

A task carries the number of the table under which it was submitted; with it every process finds
the same version of every role for the whole life of the task, without asking anyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BY_TASK, BY_CONVERSATION = "task", "conversation"
"""What an arm may be drawn for; any other word names an attribute of tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRoute:
    """How tasks are given to the versions of one role.

    Attributes:
        stable: Version that serves every task that is not on canary.
        canary: Version on trial; empty when there is none.
        weight: Percent of new tasks for the canary, 0 to 100.
        salt: Seeds the cohort hash: one for each trial, kept as the weight rises.
        bucket_by: What an arm is drawn for: `task`, `conversation`, or the name of an attribute
            of tasks. All tasks of one conversation, or of one value of it, have one arm.
        idempotent: A request whose replica was lost or drained may be sent again.
    """

    role: str
    stable: str
    canary: str = ""
    weight: float = 0.0
    salt: str = ""
    bucket_by: str = BY_TASK
    idempotent: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 100:  # noqa: PLR2004
            raise ValueError(f"weight of {self.role} = {self.weight}: want 0 to 100")
        if self.weight and not self.canary:
            raise ValueError(f"weight of {self.role} = {self.weight}, but it has no canary")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """One state of all routes.

    Attributes:
        number: Goes up by one with each change; replicas acknowledge the number that they have.
        routes: One for each role.
        withdrawn: (role, version) pairs that get no message any more, also for tasks that were
            assigned to them: a rollback sends those to the stable version.
    """

    number: int
    routes: tuple[RoleRoute, ...]
    withdrawn: frozenset[tuple[str, str]] = frozenset()

    @property
    def by_role(self) -> Mapping[str, RoleRoute]:
        """Routes by role."""
        return {route.role: route for route in self.routes}
