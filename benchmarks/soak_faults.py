"""What the soak does to a fleet: real processes get a real SIGKILL."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ray
from soak_fleet import FLEET

from rolewise.coordinator.actor import coordinator_name
from rolewise.coordinator.store.data_directory import DataDirectory
from rolewise.fleet.ray import names

ANSWER_S = 5.0


class Faults:
    """Kills by lot, and counts what it has killed.

    Args:
        store: The store's data directory.
        seed: Of the lots.
    """

    def __init__(self, store: Path, seed: int) -> None:
        self._store = DataDirectory(store)
        self._lots = random.Random(seed)
        self.done: Counter[str] = Counter()

    def wait_s(self, mean_s: float) -> float:
        """Draw how long it is quiet until the next one."""
        return self._lots.uniform(0.3, 1.7) * mean_s

    async def strike(self) -> str:
        """Kill something; return what."""
        kinds: dict[str, Callable[[], Awaitable[int | None]]] = {
            "replica": self._replica,
            "coordinator": self._coordinator,
            "store": self._store_server,
        }
        kind = self._lots.choice(sorted(kinds))
        pid = await kinds[kind]()
        if pid is None:
            return f"{kind}: none was there"
        os.kill(pid, signal.SIGKILL)
        self.done[kind] += 1
        return f"{kind} killed (process {pid})"

    async def _replica(self) -> int | None:
        known = [
            one["name"]
            for one in ray.util.list_named_actors(all_namespaces=True)
            if one["name"].startswith(f"{names.prefix(FLEET)}replica:")
        ]
        return await pid_of(self._lots.choice(sorted(known))) if known else None

    async def _coordinator(self) -> int | None:
        return await pid_of(coordinator_name(FLEET))

    async def _store_server(self) -> int | None:
        return self._store.server_pid() if self._store.is_server_alive() else None


async def pid_of(actor: str) -> int | None:
    """Return the process of a named actor; None while it has none that answers."""
    try:
        handle: Any = ray.get_actor(actor, namespace=names.NAMESPACE)
        async with asyncio.timeout(ANSWER_S):
            pid: int = await handle.__ray_call__.remote(_own_pid)
            return pid
    except (ValueError, ray.exceptions.RayError, TimeoutError):
        return None


def _own_pid(_actor: Any) -> int:
    return os.getpid()
