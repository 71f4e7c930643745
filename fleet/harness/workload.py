"""Gives a fleet its work: tasks from a source, at a rate, never more than so many at a time."""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rolewise.agents.errors import Overloaded
from rolewise.fleet.runtime import Runtime
from rolewise.fleet.task import TaskRequest

PACE_S = 0.25
"""How often the number of tasks in flight is looked at."""

NOTHING_NEW = 2**62
"""A cursor behind which no task is ever closed: for reading the counts only."""

Source = Callable[[int], Iterator[Mapping[str, Any]]]


class WorkloadError(Exception):
    """The workload's source cannot be used."""


def load_source(path: str) -> Source:
    """Return the function that `path` ("package.module:name") names.

    Raises:
        WorkloadError: It does not import or is no function.
    """
    module, _, name = path.partition(":")
    try:
        source = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise WorkloadError(f"workload source {path!r} does not import: {error}") from error
    if not callable(source):
        raise WorkloadError(f"workload source {path!r}: want a function (seed) that yields tasks")
    return source  # type: ignore[no-any-return]


class Workload:
    """An endless stream of tasks, the same for the same seed.

    Args:
        source: Yields mappings with `body`, and optionally `kind`, `role`, `conversation`,
            `attributes`, `timeout_s`.
        rate: Tasks a second; the gaps are exponential, so arrivals come in bursts as real ones.
        in_flight: Above so many running tasks none is given.
        timeout_s: Deadline of a task that names none.
        seed: Seeds the source and the gaps.
        name: Begins every task id.
    """

    def __init__(
        self,
        source: Source,
        *,
        rate: float,
        in_flight: int,
        timeout_s: float,
        seed: int = 0,
        name: str = "t",
    ) -> None:
        self._tasks = source(seed)
        self._rate = rate
        self._in_flight = in_flight
        self._timeout_s = timeout_s
        self._random = random.Random(seed)
        self._name = name
        self._given = 0

    @property
    def given(self) -> int:
        """Tasks given to the fleet so far."""
        return self._given

    async def run(self, runtime: Runtime) -> None:
        """Give tasks until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            pace_ends = loop.time() + PACE_S
            running = (await runtime.observe(NOTHING_NEW)).counts.running
            room = self._in_flight - running
            while due < pace_ends and room > 0:
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                await self._give(runtime)
                room -= 1
                due += self._random.expovariate(self._rate)
            if loop.time() < pace_ends:
                await asyncio.sleep(pace_ends - loop.time())
            # What a full fleet could not take is not caught up with later in one burst.
            due = max(due, loop.time())

    async def _give(self, runtime: Runtime) -> None:
        task = next(self._tasks)
        request = TaskRequest(
            id=f"{self._name}-{self._given + 1}",
            body=task.get("body"),
            kind=task.get("kind", "task"),
            role=task.get("role", ""),
            conversation=task.get("conversation", ""),
            attributes=task.get("attributes", {}),
            timeout_s=task.get("timeout_s", self._timeout_s),
        )
        try:
            await runtime.submit(request)
        except Overloaded:
            return
        self._given += 1
