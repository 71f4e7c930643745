"""A fleet on a Ray cluster: the runtime of real work.

An instance is only a way to the fleet's actors: it can be thrown away, and another process can
`attach` to the same fleet by its name. All that must last is in the actors.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Collection, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeVar, cast

import ray
from ray.exceptions import RayError, RayTaskError

from rolewise.fleet.incident import Incident
from rolewise.fleet.limits import RESULTS_KEPT_S, TASKS_IN_FLIGHT, TASKS_KEPT
from rolewise.fleet.losses import settle_losses
from rolewise.fleet.ray import names
from rolewise.fleet.ray.environment import read_search_path
from rolewise.fleet.ray.head import FleetHead
from rolewise.fleet.ray.registry import forget_registry
from rolewise.fleet.ray.replica import MAX_CONCURRENCY
from rolewise.fleet.ray.staff import keeper_options
from rolewise.fleet.ray.values import forget_values
from rolewise.fleet.ray.view import Settings
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import Observation, VersionDefinition
from rolewise.fleet.task import TaskRecord, TaskRequest, task_key
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.pulse import Beats, merge_beats
from rolewise.graphs.rounds import Round
from rolewise.graphs.task_rows import TaskRows, merge
from rolewise.graphs.task_samples import merge_trees
from rolewise.graphs.task_trees import TaskTrees

T = TypeVar("T")
STOP_LIMIT_S = 15.0


class FleetUnknown(LookupError):
    """No fleet of that name runs on the cluster."""


class RayRuntime:
    """See `rolewise.fleet.runtime.Runtime` for the contract.

    Make one with `launch` or `attach`; Ray must be connected (`rolewise.fleet.ray.cluster`).
    """

    def __init__(self, fleet: str, *, head: Any, gateway: Any, collectors: Sequence[Any]) -> None:
        self.fleet = fleet
        self._head = head
        self._gateway = gateway
        self._collectors = tuple(collectors)

    @classmethod
    async def launch(
        cls,
        fleet: str,
        *,
        entry: tuple[str, ...],
        collectors: int = 1,
        settle_s: float = 2.0,
        guards: GuardLimits | None = None,
        tasks_in_flight: int = TASKS_IN_FLIGHT,
        results_kept_s: float = RESULTS_KEPT_S,
        tasks_kept: int = TASKS_KEPT,
        fencing: int = 0,
    ) -> RayRuntime:
        """Start a fleet without replicas; one that runs already is attached to.

        Args:
            fleet: Its name.
            entry: Entry roles.
            collectors: Shards of the telemetry.
            settle_s: See `Settings`.
            guards: Hard limits at which a task is ended; a fleet that runs gets them as well.
            tasks_in_flight: See `rolewise.fleet.gateway.Gateway`.
            results_kept_s: How long a task's result waits for its submitter.
            tasks_kept: Of how many tasks there is an account.
            fencing: See `rolewise.fleet.runtime`.
        """
        settings = Settings(
            fleet=fleet,
            entry=entry,
            collectors=collectors,
            settle_s=settle_s,
            search_path=read_search_path(),
            tasks_in_flight=tasks_in_flight,
            results_kept_s=results_kept_s,
            tasks_kept=tasks_kept,
        )
        options = keeper_options(names.head_name(fleet))
        actor: Any = ray.remote(FleetHead).options(**options, max_concurrency=MAX_CONCURRENCY)
        head = actor.remote(settings)
        await _answer(head.begin.remote())
        await _answer(head.adopt.remote(guards or GuardLimits(), fencing))
        return cls.attach(fleet)

    @classmethod
    def attach(cls, fleet: str) -> RayRuntime:
        """Find a running fleet by its name.

        Raises:
            FleetUnknown: There is none.
        """
        try:
            head = _find(names.head_name(fleet))
            gateway = _find(names.gateway_name(fleet))
        except ValueError:
            raise FleetUnknown(f"no fleet {fleet!r} runs on this cluster") from None
        shards: list[Any] = []
        with contextlib.suppress(ValueError):
            while True:
                shards.append(_find(names.collector_name(fleet, len(shards))))
        return cls(fleet, head=head, gateway=gateway, collectors=shards)

    async def fence(self, fencing: int) -> None:
        """Refuse every lower number from now on."""
        await _answer(self._head.fence.remote(fencing))

    async def scale(self, version: VersionDefinition, replicas: int, *, fencing: int) -> None:
        """Bring the version to this many replicas."""
        await _answer(self._head.scale.remote(version, replicas, fencing))

    async def install(self, table: RoutingTable, *, fencing: int) -> None:
        """Put a routing table in force."""
        await _answer(self._head.install.remote(table, fencing))

    async def drain(self, role: str, version: str, limit_s: float, *, fencing: int) -> int:
        """Wait until no task needs the version, then cancel what is left."""
        ended: int = await _answer(self._head.drain.remote(role, version, limit_s, fencing))
        return ended

    async def submit(self, request: TaskRequest) -> None:
        """Accept a task."""
        await _answer(self._gateway.submit.remote(request))

    async def result(self, task: str, *, wait_s: float = 0.0) -> TaskRecord | None:
        """Return the account of a task."""
        record: TaskRecord | None = await _answer(self._gateway.result.remote(task, wait_s))
        if record is None:
            return None
        (completed,), _ = await self._complete((record,), now_s=0.0)
        return completed

    async def score(self, task: str, name: str, value: float) -> bool:
        """Write a score into a task's account."""
        is_kept: bool = await _answer(self._gateway.score.remote(task, name, value))
        return is_kept

    async def observe(self, cursor: int = 0) -> Observation:
        """Read liveness, counts and the tasks behind the cursor."""
        accounts, replicas = await asyncio.gather(
            _answer(self._gateway.accounts.remote(cursor)), _answer(self._head.statuses.remote())
        )
        tasks, lost = await self._complete(accounts.tasks, now_s=accounts.now_s)
        if any(task.lost_at for task in tasks):
            tasks = settle_losses(tasks, await self.incidents(), now_s=accounts.now_s)
        return Observation(
            now_s=accounts.now_s,
            replicas=replicas,
            counts=accounts.counts,
            tasks=tasks,
            lost_records=lost,
        )

    async def waits(
        self, replicas: Collection[str] | None = None, *, recent: bool = False
    ) -> Round:
        """Ask replicas for their waits."""
        return cast("Round", await _answer(self._head.waits.remote(replicas, recent)))

    async def incidents(self, after: int = 0) -> tuple[Incident, ...]:
        """Return what went wrong lately."""
        return cast("tuple[Incident, ...]", await _answer(self._head.incidents.remote(after)))

    async def task_trees(self) -> TaskTrees:
        """Return the trees of the last tasks, of all collectors together."""
        return merge_trees(
            await asyncio.gather(
                *(_answer(collector.task_trees.remote()) for collector in self._collectors)
            )
        )

    async def task_rows(self) -> TaskRows:
        """Return what each of the last tasks did, of all collectors together."""
        parts = await asyncio.gather(
            *(_answer(collector.task_rows.remote()) for collector in self._collectors)
        )
        return reduce(merge, cast("list[TaskRows]", parts))

    async def pulse(self, after: int = -1) -> Beats:
        """Return what was sent in each of the last seconds, over all collectors."""
        parts = await asyncio.gather(
            *(_answer(collector.pulse.remote(after)) for collector in self._collectors)
        )
        return merge_beats(cast("list[Beats]", parts))

    async def graph(self) -> InteractionWindows:
        """Return the interaction graph as folded so far, merged over the collectors."""
        first, *others = await asyncio.gather(
            *(_answer(collector.windows.remote()) for collector in self._collectors)
        )
        merged = cast("InteractionWindows", first)
        for windows in others:
            merged.merge(windows)
        return merged

    async def shutdown(self) -> None:
        """End the fleet and all its actors; running tasks are lost."""
        with contextlib.suppress(RayError, TimeoutError):
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._head.stop.remote()
        forget_registry(self.fleet)
        ray.kill(self._head, no_restart=True)
        for name in ray.util.list_named_actors(all_namespaces=True):
            if name["namespace"] == names.NAMESPACE and name["name"].startswith(
                names.prefix(self.fleet)
            ):
                with contextlib.suppress(ValueError, RayError):
                    ray.kill(_find(name["name"]), no_restart=True)
        forget_values(names.page_prefix(self.fleet))
        forget_values(names.memory_prefix(self.fleet))

    async def _complete(
        self, records: tuple[TaskRecord, ...], *, now_s: float
    ) -> tuple[tuple[TaskRecord, ...], int]:
        """Write the collectors' sums into records; return also how much telemetry was lost."""
        shards: list[list[TaskRecord]] = [[] for _ in self._collectors]
        for record in records:
            # Bodies and results stay here: they may be large, and of classes only agents know.
            bare = replace(record, result=None, body=None)
            shards[task_key(record.task) % len(shards)].append(bare)
        answers = await asyncio.gather(
            *(
                _answer(collector.complete.remote(part, now_s))
                for collector, part in zip(self._collectors, shards, strict=True)
            )
        )
        by_number = {record.number: record for part, _ in answers for record in part}
        completed = tuple(
            replace(by_number[r.number], result=r.result, body=r.body) for r in records
        )
        return completed, max(lost for _, lost in answers)  # each knows of every writer


def _find(name: str) -> Any:
    return ray.get_actor(name, namespace=names.NAMESPACE)


async def _answer(call: Awaitable[T]) -> T:
    """Return an actor's answer; what it raised comes as it was raised there."""
    try:
        return await call
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, Exception):
            raise cause from None
        raise
