"""The port between what decides about a fleet and what runs it; two implementations, one contract.

`rolewise.fleet.local` runs a fleet in one process (real or virtual time), `rolewise.fleet.ray`
on a Ray cluster. The contract is `tests/contract/test_runtime.py`.

Every changing call is idempotent (asking for what is already so changes nothing) and carries a
fencing number, which grows from leader to leader and, under one leader, from command to command.
A number lower than one already seen is refused with `Fenced`. So a controller that was replaced
cannot change the fleet any more, and a command that was overtaken by a newer one, or that arrives
a second time, comes too late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from rolewise.fleet.incident import Incident
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest
from rolewise.graphs.rounds import Round

if TYPE_CHECKING:
    # It brings networkx, which no replica needs: a fifth of a replica's time to start.
    from rolewise.graphs.interaction_graph import InteractionWindows
    from rolewise.graphs.pulse import Beats
    from rolewise.graphs.task_rows import TaskRows
    from rolewise.graphs.task_trees import TaskTrees


class Fenced(Exception):
    """The call carried an older fencing number than the runtime has seen; nothing happened."""


class DrainStuck(Exception):
    """Replicas that were to be drained or stopped may still run; `replicas` names them.

    It helps to try again: a replica that cannot be reached ends with its node, if not before.
    """

    def __init__(self, replicas: Collection[str], why: str) -> None:
        super().__init__(f"{', '.join(replicas)} may still run: {why}")
        self.replicas = tuple(replicas)


class CapacityShort(Exception):
    """The cluster has no room for the replicas; those already running stay as they are."""


class TaskExpired(LookupError):
    """The task has ended, but its result has waited too long and is not kept any more."""


class ReplicaState(StrEnum):
    """Where a replica is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDefinition:
    """All that is needed to run replicas of one version of a role.

    Attributes:
        content_hash: Identity of the version: equal hash, equal behaviour.
        agent: Import path, `package.module:name`.
        config: Given to the agent's constructor and as `Context.config`.
        slots: Messages that one replica handles at a time.
        queue_limit: Messages that may wait for a slot; more are refused with `Overloaded`.
        resources: Ray resources of one replica: `cpu`, `gpu`, `memory_bytes`, custom names.
        labels: Node labels that the replica needs.
        runtime_env: Ray runtime environment of this version.
        max_restarts: How often a dead replica is replaced; -1 for ever.
    """

    role: str
    version: str
    content_hash: str
    agent: str
    config: Mapping[str, Any]
    slots: int = 4
    queue_limit: int = 1000
    resources: Mapping[str, float] | None = None
    labels: Mapping[str, str] | None = None
    runtime_env: Mapping[str, Any] | None = None
    max_restarts: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """One replica as the runtime sees it.

    Attributes:
        replica: Its address in words: `negotiator@v2#1`.
        restarts: How often it died and was replaced.
        crashes: How often it died in the last ten minutes of what may be its version's doing:
            not with its node, and not because we ended it.
        table: Number of the routing table that it has acknowledged; 0 for none.
        running: Invocations that hold a slot.
        queued: Messages that wait for one.
        reason: Why it is failed or starting for long, in words.
    """

    replica: str
    role: str
    version: str
    state: ReplicaState
    restarts: int = 0
    crashes: int = 0
    table: int = 0
    running: int = 0
    queued: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """The account of all tasks: `submitted` is the sum of the other four."""

    submitted: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    timed_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a controller reads at each tick.

    Attributes:
        now_s: The fleet's clock.
        replicas: All replicas, also starting and failed ones.
        counts: The account of tasks.
        tasks: The tasks behind the cursor, in order of `number` and without gaps, also those
            that still run; 5,000 at most, so ask again from where you got to.
        lost_records: Telemetry records dropped so far, over all processes.
    """

    now_s: float
    replicas: tuple[ReplicaStatus, ...]
    counts: TaskCounts
    tasks: tuple[TaskRecord, ...]
    lost_records: int = 0

    @property
    def closed(self) -> tuple[TaskRecord, ...]:
        """The tasks up to the first that still runs."""
        running = (i for i, one in enumerate(self.tasks) if one.outcome is Outcome.RUNNING)
        return self.tasks[: next(running, len(self.tasks))]


class Runtime(Protocol):
    """A fleet that runs. See the module for idempotence and fencing."""

    async def fence(self, fencing: int) -> None:
        """Refuse every lower number from now on; a new leader calls it before anything else.

        Else a leader that was replaced could still change the fleet until its successor does.
        """
        ...

    async def scale(self, version: VersionDefinition, replicas: int, *, fencing: int) -> None:
        """Bring the version of a role to this many replicas; returns when they are ready.

        Fewer replicas: the surplus drains first. Zero stops the version at once, so drain before.

        Raises:
            CapacityShort: The cluster has no room for them.
            AgentImportError: The version does not load in its own environment.
            DrainStuck: Some surplus replica could not be ended.
            Fenced: See the module.
        """
        ...

    async def install(self, table: RoutingTable, *, fencing: int) -> None:
        """Put a routing table in force; returns when every live replica and the gateway have it.

        A table with a lower number than the one in force is ignored.
        """
        ...

    async def drain(self, role: str, version: str, limit_s: float, *, fencing: int) -> int:
        """Wait until no task needs the version any more, at most `limit_s`; cancel what is left.

        Its replicas stay up until `scale(..., 0)`.

        Returns:
            How many invocations had to be cancelled.

        Raises:
            Fenced: See the module; also when a higher number comes while it waits. Then nothing
                is cancelled: the version may be wanted again.
            DrainStuck: Some replica could neither be told to end its work nor be ended.
        """
        ...

    async def submit(self, request: TaskRequest) -> None:
        """Accept a task; when this returns, its end will be accounted for.

        Submitting an id again changes nothing.

        Raises:
            Overloaded: Too many tasks in flight; nothing happened.
            NoReplica: The fleet has no such entry role.
        """
        ...

    async def result(self, task: str, *, wait_s: float = 0.0) -> TaskRecord | None:
        """Return the account of a task, waiting up to `wait_s` for its end; None when unknown.

        Raises:
            TaskExpired: It is known to have ended, but its result is not kept any more.
        """
        ...

    async def score(self, task: str, name: str, value: float) -> bool:
        """Write a score into a task's account, where `result` and `observe` show it.

        A score that a task has got this way stays: writing it again changes nothing, whoever does
        it, so it needs no fencing number. It hides one of that name that an agent noted.

        Args:
            task: The task.
            name: Which score.
            value: 0 to 1; NaN says that it could not be scored.

        Returns:
            Whether the fleet still keeps the task's account.

        Raises:
            ValueError: The value is neither.
        """
        ...

    async def observe(self, cursor: int = 0) -> Observation:
        """Read liveness, counts and the tasks with a number behind `cursor`."""
        ...

    async def waits(
        self, replicas: Collection[str] | None = None, *, recent: bool = False
    ) -> Round:
        """Ask replicas for their waits; returns when all have answered or were given up.

        A replica that does not answer is named in `Round.blind`. One whose agent blocks its event
        loop does answer, and says so.

        Args:
            replicas: Which, by their addresses in words; None for all. Those that are gone are
                left out.
            recent: With the messages that were finished lately.
        """
        ...

    async def incidents(self, after: int = 0) -> tuple[Incident, ...]:
        """Return what went wrong with the fleet's processes lately, behind this number."""
        ...

    async def task_trees(self) -> TaskTrees:
        """Return who asked whom in the last tasks that have ended, and what failed in them."""
        ...

    async def task_rows(self) -> TaskRows:
        """Return what each of the last tasks did, for comparing how they talk."""
        ...

    async def pulse(self, after: int = -1) -> Beats:
        """Return what was sent in each of the last seconds behind number `after`."""
        ...

    async def graph(self) -> InteractionWindows:
        """Return the interaction graph as folded so far."""
        ...
