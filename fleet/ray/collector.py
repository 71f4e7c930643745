"""The actor that folds one shard of a fleet's telemetry."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.notes import Delivery
from rolewise.fleet.task import TaskRecord
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.pulse import Beats
from rolewise.graphs.task_rows import TaskRows
from rolewise.graphs.task_trees import TaskTrees


class CollectorActor:
    """Hosts a `Collector`. Async, so that its calls run one after the other on one loop."""

    def __init__(self) -> None:
        self._collector = Collector()

    async def take(self, delivery: Delivery) -> None:
        """Fold a delivery; one that comes twice counts once."""
        self._collector.take(delivery, now_s=time.time())

    async def complete(self, records: Sequence[TaskRecord]) -> tuple[tuple[TaskRecord, ...], int]:
        """Return the records with this shard's sums, and how many telemetry records were lost."""
        return self._collector.complete(records), self._collector.lost

    async def breaches(self, limits: GuardLimits) -> dict[int, str]:
        """Return this shard's tasks that broke a hard limit: key -> which, in words."""
        return self._collector.breaches(limits)

    async def task_trees(self) -> TaskTrees:
        """Return the trees of this shard's last tasks."""
        return self._collector.sample.read()

    async def pulse(self, after: int) -> Beats:
        """Return what this shard's tasks sent in each of the last seconds."""
        return self._collector.pulse.read(after, now_s=time.time())

    async def windows(self) -> InteractionWindows:
        """Return the interaction graph as folded so far."""
        return self._collector.windows.for_graph()

    async def task_rows(self) -> TaskRows:
        """Return the figures of this shard's tasks."""
        return self._collector.windows.task_rows()
