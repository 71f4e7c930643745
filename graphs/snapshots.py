"""What one replica says about its waits at one moment; the input of the deadlock detector.

`epoch` of an invocation goes up at every change of what it waits for, `capacity_epoch` of a
replica when its slots change. An id with an epoch names one wait, once, for ever: a wait that
stands in two rounds with the same epoch stood all the time between (interaction_graph note 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInvocation:
    """An invocation that holds a slot. Its id is the id of the message that it handles.

    Attributes:
        id: The message's id.
        epoch: Counts changes of the wait.
        task: Task id.
        state: `active` (computing, or awaiting something outside the fleet) or `wait`.
        waits: Ids of the requests whose replies are still outstanding.
        need: How many of `waits` must be answered before it goes on.
        deadline: Seconds until the wait ends by itself; None when it never does.
        since: Seconds that it has waited or run in this state.
    """

    id: int
    epoch: int
    task: str
    state: Literal["active", "wait"]
    waits: tuple[int, ...] = ()
    need: int = 0
    deadline: float | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message that waits for a slot of this replica; `caller` is the invocation that sent it."""

    id: int
    epoch: int
    task: str
    caller: int
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSnapshot:
    """All waits of one replica, read under one lock."""

    replica: str
    role: str
    version: str
    slots: int
    capacity_epoch: int
    running: tuple[RunningInvocation, ...] = ()
    queue: tuple[QueuedMessage, ...] = ()
