"""What one replica says about its waits at one moment; the input of the deadlock detector.

`epoch` of an invocation goes up at every change of what it waits for, `capacity_epoch` of a
replica when its slots change. An id with an epoch names one wait, once, for ever: a wait that
stands in two rounds with the same epoch stood all the time between (interaction_graph note 2.4).

This is the form for reading and writing by hand; `rolewise.graphs.rounds` has the same in columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

LockMode = Literal["exclusive", "shared", "semaphore"]


class Ending(IntEnum):
    """How a message that is finished here has ended."""

    REPLIED = 0
    FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningInvocation:
    """An invocation that holds a slot. Its id is the id of the message that it handles.

    Attributes:
        id: The message's id.
        epoch: Counts changes of the wait.
        task: Task id.
        state: `active` (computing, or awaiting something outside the fleet) or `wait`.
        waits: Ids of the requests whose replies are still outstanding.
        locks: Ids of the locks that it waits for, beside them.
        need: How many of both must be met before it goes on.
        sent_to: The replica that each of `waits` was sent to; empty where it is not known.
        deadline: Seconds until the wait ends by itself; None when it never does, infinity when
            it does at a time that is not known.
        since: Seconds that it has waited or run in this state.
        arm: Side of a comparison that the task was given: 0 none, 1 baseline, 2 canary.
        kind: Kind of the message.
    """

    id: int
    epoch: int
    task: str
    state: Literal["active", "wait"]
    waits: tuple[int, ...] = ()
    locks: tuple[int, ...] = ()
    need: int = 0
    sent_to: tuple[str, ...] = ()
    deadline: float | None = None
    since: float = 0.0
    arm: int = 0
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """A message that waits for a slot.

    Attributes:
        caller: The invocation that sent it; 0 from outside.
        pool: Replicas that a router which binds late may still choose; empty: this one only.
        since: Seconds that it has waited.
    """

    id: int
    epoch: int
    task: str
    caller: int
    pool: tuple[str, ...] = ()
    since: float = 0.0
    arm: int = 0
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock or semaphore that somebody holds.

    Attributes:
        epoch: Counts changes of its holders.
        holders: Invocations that hold it now.
        mode: `exclusive` or `semaphore`: one holder that lets go is enough for the next one;
            `shared`: who waits needs all of them to let go.
        permits: Of a semaphore, how many may hold it; 0: as many as hold it now.
        name: As people know it.
    """

    id: int
    epoch: int
    holders: tuple[int, ...]
    mode: LockMode = "exclusive"
    permits: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaHead:
    """What a replica says of itself, apart from its waits.

    Attributes:
        replica: Its address in words.
        slots: Messages that it handles at a time.
        capacity_epoch: Counts changes of its slots.
        incarnation: Tells its lives apart.
        table: Number of the routing table in force there: a change may change its pool.
        up_s: Seconds that this life of it has lasted; infinity when not known.
        loop_lag_s: How long the event loop of its handlers has not turned.
    """

    replica: str
    role: str
    version: str
    slots: int
    capacity_epoch: int
    incarnation: str = ""
    table: int = 0
    up_s: float = float("inf")
    loop_lag_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSnapshot(ReplicaHead):
    """All waits of one replica at one moment.

    Attributes:
        recent: Messages that were finished here lately, and how; an older one is forgotten.
    """

    running: tuple[RunningInvocation, ...] = ()
    queue: tuple[QueuedMessage, ...] = ()
    locks: tuple[Lock, ...] = ()
    recent: tuple[tuple[int, Ending], ...] = ()
