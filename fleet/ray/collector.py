"""The actor that folds one shard of a fleet's telemetry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from rolewise.fleet.limits import sums_kept
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.notes import Delivery
from rolewise.fleet.task import TaskRecord
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.pulse import Beats
from rolewise.graphs.task_rows import TaskRows
from rolewise.graphs.task_trees import TaskTrees


class CollectorActor:
    """Hosts a `Collector`. Async, so that its calls run one after the other on one loop.

    Args:
        head: The fleet's head; it knows whether this is a first life.
        shard: Which shard it is.
        tasks_kept: Of how many tasks the gateway keeps accounts.
    """

    def __init__(self, head: Any, shard: int, tasks_kept: int) -> None:
        self._tasks_kept = sums_kept(tasks_kept)
        self._head = head
        self._shard = shard
        self._opening = asyncio.Lock()
        self._collector: Collector | None = None

    async def take(self, delivery: Delivery) -> None:
        """Fold a delivery; one that comes twice counts once."""
        (await self._open()).take(delivery, now_s=time.time())

    async def complete(
        self, records: Sequence[TaskRecord], now_s: float
    ) -> tuple[tuple[TaskRecord, ...], int]:
        """Return the records with this shard's sums, and how many telemetry records were lost."""
        collector = await self._open()
        return collector.complete(records, now_s=now_s), collector.lost

    async def breaches(self, limits: GuardLimits) -> dict[int, str]:
        """Return this shard's tasks that broke a hard limit: key -> which, in words."""
        return (await self._open()).breaches(limits)

    async def task_trees(self) -> TaskTrees:
        """Return the trees of this shard's last tasks."""
        return (await self._open()).sample.read()

    async def pulse(self, after: int) -> Beats:
        """Return what this shard's tasks sent in each of the last seconds."""
        return (await self._open()).pulse.read(after, now_s=time.time())

    async def windows(self) -> InteractionWindows:
        """Return the interaction graph as folded so far."""
        return (await self._open()).windows.for_graph()

    async def task_rows(self) -> TaskRows:
        """Return the figures of this shard's tasks."""
        return (await self._open()).windows.task_rows()

    async def _open(self) -> Collector:
        async with self._opening:
            if self._collector is None:
                lives = await self._head.join_collector.remote(self._shard)
                self._collector = Collector(tasks_kept=self._tasks_kept, is_successor=lives > 0)
            return self._collector
