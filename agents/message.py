"""What travels between agents: a message and its reply.

Times on the wire are durations, never instants: `timeout_s` is what was left of the deadline
when the message was sent, so that two machines' clocks are never compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, make_dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from rolewise.agents.errors import Failure


class Nature(IntEnum):
    """What a message is in the conversation."""

    REQUEST = 0
    REPLY = 1
    EVENT = 2
    PART = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One replica: `negotiator@v2#1` in words. `role` alone addresses any replica of it."""

    role: str
    version: str = ""
    replica: int = 0

    def __str__(self) -> str:
        return f"{self.role}@{self.version}#{self.replica}" if self.version else self.role

    @property
    def node(self) -> str:
        """Role and version, a node of the interaction graph: `negotiator@v2`."""
        return f"{self.role}@{self.version}"


OUTSIDE = Address(role="")
"""The world outside the fleet: the sender of a task's first message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to a role, within a task.

    Attributes:
        id: Unique in the fleet (64 bits). For a request also the id of the invocation
            that handles it.
        nature: Request or event; replies travel as `Reply`.
        kind: What it says, in the fleet's words: `rfq`, `offer`. An edge of the interaction graph.
        sender: Who sent it; `OUTSIDE` for the first message of a task.
        to: Role that it is for.
        body: Anything picklable; a pydantic model where the role declares one.
        task: Id of the task that it belongs to.
        conversation: Id that several tasks may share (a session); the task's own by default.
        attributes: What the submitter said about the task.
        parent: Invocation whose handler sent it; 0 from outside.
        table: Number of the routing table that was in force when the task was submitted:
            it settles the version of every role for the whole life of the task.
        timeout_s: Seconds left until the deadline at the moment of sending; None without one.
        hop: Length of the chain of parents.
        traceparent: W3C trace context of the task.
        arm: Side of a comparison that the task was given: 0 none, 1 baseline, 2 canary.
        awaited: 0 nobody waits, 1 the asker waits (for all of several),
            2 it waits for the first of several.
        attempt: 0 for the first sending; a message that is sent again counts up.
        retry_of: Task that this message's task tries again; empty for a first attempt.
        task_key: Number that stands for the task in records; made once for each task, since
            every process that the task meets needs it.
    """

    id: int
    nature: Nature
    kind: str
    sender: Address
    to: str
    body: Any
    task: str
    conversation: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parent: int = 0
    table: int = 0
    timeout_s: float | None = None
    hop: int = 0
    traceparent: str = ""
    arm: int = 0
    awaited: int = 1
    attempt: int = 0
    retry_of: str = ""
    task_key: int = 0


if TYPE_CHECKING:
    Draft = Message
else:
    Draft = make_dataclass("Draft", [f.name for f in fields(Message)], slots=True, kw_only=True)
    """All fields of a message, not frozen yet: made in less than half the time, and the fleet
    makes two for each message that is sent. It has no defaults."""


def seal(draft: Draft) -> Message:
    """Freeze a draft: the same object is a `Message` from now on."""
    draft.__class__ = Message
    return draft


@dataclass(slots=True, kw_only=True)
class Reply:
    """The answer to a request, or why there is none. Agents never see one: it is not frozen.

    Attributes:
        to: Id of the message that it answers.
        sender: The replica that answered.
        body: The handler's return value; None when it failed.
        failure: Why there is no answer; None when there is one.
    """

    to: int
    sender: Address
    body: Any = None
    failure: Failure | None = None
