"""The controller of one fleet as a Ray actor: detached, named, restarted for ever, without truth.

It runs in a thread with an event loop of its own, so that it leads again as soon as its process
is back, without waiting for anybody to call it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rolewise.coordinator.controller import Controller
from rolewise.coordinator.crash_points import armed_by_file, watch
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import definitions_of
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.store.port import Store, StoreUnavailable
from rolewise.coordinator.store.redis import connect_store
from rolewise.fleet.ray.names import NAMESPACE, prefix
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.runtime import Runtime
from rolewise.fleet.spec import parse_fleet

log = logging.getLogger(__name__)

CONNECT_S = 1.0
"""Time between two tries to reach a store that is away."""


class Coordinator:
    """Leads one fleet from its first moment on.

    Args:
        fleet: The fleet; it must be registered in the store.
        store_url: See `connect_store`.
        search_path: Folders to import from beside what is installed.
    """

    def __init__(self, fleet: str, store_url: str, search_path: Sequence[str]) -> None:
        self._fleet = fleet
        self._store_url = store_url
        self._holder = f"coordinator-{uuid.uuid4().hex[:12]}"
        sys.path.extend(folder for folder in search_path if folder not in sys.path)
        threading.Thread(target=self._lead, name="controller", daemon=True).start()

    def holder(self) -> str:
        """Return the name under which this life of the actor takes the lease."""
        return self._holder

    def _lead(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException:
            # Ray starts a fresh process, which reads the log and goes on.
            log.exception("the controller of fleet %s ended", self._fleet)
        os._exit(1)

    async def _run(self) -> None:
        store: Store = await self._connect()
        runtime: Runtime = RayRuntime.attach(self._fleet)
        passing = armed_by_file()
        if passing is not None:
            store, runtime = watch(store, passing), watch(runtime, passing)
        journal = Journal(store, lambda: datetime.now(UTC))
        registered = (await journal.fleet(self._fleet)).registered
        assert registered is not None  # noqa: S101 (`fleet` refuses a fleet that is not)
        spec = parse_fleet(registered.text, registered.file)
        await Controller(
            fleet=self._fleet,
            journal=journal,
            runtime=runtime,
            definitions=definitions_of(spec),
            holder=self._holder,
        ).run()

    async def _connect(self) -> Store:
        """Return the store, as soon as there is one: a fresh process would find it no sooner."""
        told = ""
        while True:
            try:
                return await connect_store(self._store_url)
            except StoreUnavailable as error:
                if str(error) != told:
                    log.warning("fleet %s: %s", self._fleet, error)
                told = str(error)
                await asyncio.sleep(CONNECT_S)


def coordinator_name(fleet: str) -> str:
    """Return the name of a fleet's coordinator actor."""
    return f"{prefix(fleet)}coordinator"


async def start_coordinator(fleet: str, store_url: str, search_path: Sequence[str]) -> None:
    """Start the coordinator of a fleet, or keep the one that runs; returns when it is up.

    Raises:
        RolewiseError: `unavailable`: its process does not start.
    """
    options: dict[str, Any] = {}
    if store_url.startswith("unix:"):
        # The store's socket is on this machine only.
        here = ray.get_runtime_context().get_node_id()
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
    actor: Any = ray.remote(Coordinator).options(
        name=coordinator_name(fleet),
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        num_cpus=0,
        **options,
    )
    try:
        await actor.remote(fleet, store_url, tuple(search_path)).holder.remote()
    except RayError as error:
        message = f"the coordinator of fleet {fleet!r} does not start: {error}"
        raise RolewiseError("unavailable", message) from error


def stop_coordinator(fleet: str) -> None:
    """End the coordinator of a fleet; nothing happens when there is none."""
    try:
        actor = ray.get_actor(coordinator_name(fleet), namespace=NAMESPACE)
    except ValueError:
        return
    ray.kill(actor, no_restart=True)
