"""The actor through which tasks enter a fleet; it keeps the account of every task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rolewise.fleet.gateway import Gateway
from rolewise.fleet.ledger import Ledger
from rolewise.fleet.ray.environment import extend_search_path
from rolewise.fleet.ray.inquest import read_own_place
from rolewise.fleet.ray.pages import ClusterPages
from rolewise.fleet.ray.process import FleetProcess
from rolewise.fleet.ray.view import Settings, View
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.task import TaskRecord, TaskRequest


@dataclass(frozen=True, slots=True)
class _Guard:
    """See `rolewise.fleet.gateway.TaskGuard`."""

    process: FleetProcess

    async def find(self) -> Mapping[int, str]:
        return await self.process.breaches()

    async def end(self, task: str) -> None:
        await self.process.end_task(task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What the gateway gives to an observer; see `rolewise.fleet.runtime.Observation`."""

    now_s: float
    counts: TaskCounts
    tasks: tuple[TaskRecord, ...]


class GatewayActor:
    """Hosts a `Gateway`.

    Args:
        settings: The fleet.
        head: The fleet's head.
    """

    def __init__(self, settings: Settings, head: Any) -> None:
        extend_search_path(settings.search_path)  # bodies of tasks are of the user's classes
        self._settings = settings
        self._head = head
        self._opening = asyncio.Lock()
        self._life: tuple[FleetProcess, Gateway] | None = None
        self._post: asyncio.Task[None] | None = None

    async def install(self, view: View) -> int:
        """Put a view in force; return the number of the table in force."""
        process, _ = await self._open()
        return process.install(view)

    async def install_table(self, table: RoutingTable) -> int:
        """Put a table in force; return the number of the one in force."""
        process, _ = await self._open()
        return process.install_table(table)

    async def submit(self, request: TaskRequest) -> None:
        """Accept a task; see `Runtime.submit`."""
        _, gateway = await self._open()
        await gateway.submit(request)

    async def result(self, task: str, wait_s: float) -> TaskRecord | None:
        """Return the account of a task, waiting up to `wait_s` for its end."""
        _, gateway = await self._open()
        return await gateway.result(task, wait_s)

    async def score(self, task: str, name: str, value: float) -> bool:
        """Write a score into a task's account; see `Runtime.score`."""
        _, gateway = await self._open()
        return await gateway.score(task, name, value)

    async def accounts(self, cursor: int) -> Accounts:
        """Return the counts, and the tasks behind the cursor."""
        _, gateway = await self._open()
        return Accounts(
            now_s=gateway.now_s,
            counts=gateway.counts,
            tasks=gateway.tasks_since(cursor),
        )

    async def in_need_of(self, role: str, version: str) -> int:
        """Return how many running tasks would still meet this version."""
        _, gateway = await self._open()
        return gateway.in_need_of(role, version)

    async def _open(self) -> tuple[FleetProcess, Gateway]:
        async with self._opening:
            if self._life is None:
                ticket = await self._head.join.remote(None, read_own_place())
                process = FleetProcess(name="gateway", node="", number=0, ticket=ticket)
                loop = asyncio.get_running_loop()
                # Steady within a life, and within the machines' agreement from one to the next.
                origin = time.time() - loop.time()
                gateway = Gateway(
                    messenger=process.messenger,
                    entry=self._settings.entry,
                    tasks_in_flight=self._settings.tasks_in_flight,
                    settle_s=self._settings.settle_s,
                    guard=_Guard(process),
                    ledger=Ledger(ClusterPages(self._settings.fleet)),
                    results_kept_s=self._settings.results_kept_s,
                    tasks_kept=self._settings.tasks_kept,
                    clock=lambda: origin + loop.time(),
                )
                await gateway.recover()
                self._post = loop.create_task(process.post_for_ever())
                self._life = process, gateway
            return self._life
