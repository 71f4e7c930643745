"""A task: one unit of work given to the fleet, and the one account that is kept of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rolewise.graphs.interactions import Arm


class Outcome(StrEnum):
    """How a task stands; every task ends in exactly one of the last three."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """Work for the fleet, as its submitter gives it.

    Attributes:
        id: Unique in the fleet.
        body: Body of the first message.
        kind: Kind of the first message.
        role: Entry role; empty for the fleet's first entry role.
        timeout_s: Deadline from submission, in seconds.
        conversation: Session that the task belongs to; its own id when empty.
        attributes: For routing rules and cohorts; JSON values.
        retry_of: Id of an earlier task that this one tries again. It gets that one's arms, and
            the judge counts the two as one: a bad version must not be judged by second attempts.
    """

    id: str
    body: Any = None
    kind: str = "task"
    role: str = ""
    timeout_s: float = 60.0
    conversation: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    retry_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The arm that a task was given for one role, with the weight at that moment.

    The judge needs the weight as it was drawn: it may change while the task runs.

    Attributes:
        salt: The cohort's salt: which trial this belongs to.
        arm: Baseline or canary.
        weight: Percent of tasks given to the canary at the draw.
        unit: What the arm was drawn for, where that is not the task itself: the session, the user,
            or the task that this one tries again. All its tasks have one arm.
    """

    role: str
    salt: str
    arm: Arm
    weight: float
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """All that is known of one task, in the form that the judge counts.

    Attributes:
        number: Order of submission in the fleet, from 1, without gaps: the judge's start order.
        started_s: Fleet clock at submission.
        latency_s: From submission to the end; None while it runs. A running task that has one has
            ended, but the telemetry of its last messages may still be on its way.
        error: Failure code and sentence; empty when completed.
        messages: Requests and events sent for it.
        input_tokens: Sum of what its agents noted; None where nobody noted any usage, which is
            not the same as 0. Likewise `output_tokens` and `cost_usd`.
        scores: By name, 0 to 1: what agents noted and scorers found; NaN where a scorer failed.
        flags: Names of the loop flags that were raised for it.
        orphans: Waits in it for replies that could no longer come, as far as they were seen.
        message_latency_s: Role -> seconds that each request to it took, from sent to its end;
            only of tasks in a trial, and at most the first 512.
        cpu_s: Seconds of CPU that replicas spent while they served it, shared out by messages;
            None where it is not measured: in one process there is no telling.
        memory_bytes: Role -> largest resident memory of the replicas that served it; measured
            where each replica is a process.
        partial: Some of its telemetry was lost: the sums are lower bounds.
        body: Body of the first message; only in the answer of `Runtime.result`.
        has_body: `body` is there: the fleet keeps those of its latest tasks.
        lost_at: Replicas, by their addresses in words, that died with one of its requests.
        outside_cause: Why its failure is no version's doing, such as a lost node: the judge leaves
            it out. Empty: it counts.
        unmeasured: Metrics, as signals name them, that were not measured for it although the
            field has no way to say so: `tool.error`, `task.latency`, `task.looping`.
    """

    task: str
    number: int
    table: int
    assignments: tuple[Assignment, ...] = ()
    started_s: float = 0.0
    latency_s: float | None = None
    outcome: Outcome = Outcome.RUNNING
    result: Any = None
    error: str = ""
    messages: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    orphans: int = 0
    message_latency_s: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    cpu_s: float | None = None
    memory_bytes: Mapping[str, float] = field(default_factory=dict)
    partial: bool = False
    body: Any = None
    has_body: bool = False
    lost_at: tuple[str, ...] = ()
    outside_cause: str = ""
    unmeasured: tuple[str, ...] = ()


def task_key(task: str) -> int:
    """Return the 64-bit number that stands for a task id in records and cohort hashes."""
    return int.from_bytes(hashlib.blake2b(task.encode(), digest_size=8).digest(), "little")
