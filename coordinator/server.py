"""Store, Ray, fleets and coordinators, from start to end.

Everything that is built is built here (and in the coordinator's actor). What this process starts
it also ends: an own Ray, the embedded store, and the fleets.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets, bring_up, register
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.last_known import look
from rolewise.coordinator.plan.capacity import Capacity
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.keeper import StoreKeeper
from rolewise.coordinator.store.port import Lease, StoreError
from rolewise.coordinator.store.redis import RedisStore, connect_store
from rolewise.coordinator.tidying import tidy
from rolewise.fleet.spec import FleetSpec, guard_limits, parse_fleet

LEASE_S = 30.0
SERVING_S = 6.0
"""A server that has not been heard of for so long serves its fleets no more."""
LEASE_WAIT_S = 8.0
LOOK_S = 1.0
TIDY_EVERY = 60
"""Looks between two times that logs which are long over are packed."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFile:
    """A fleet's file as it was read."""

    spec: FleetSpec
    text: str
    file: str


def read_fleet_files(files: Sequence[Path]) -> tuple[FleetFile, ...]:
    """Read fleets' files.

    Raises:
        SpecError: One cannot be used.
        RolewiseError: `bad_input`: two name the same fleet.
    """
    read: dict[str, FleetFile] = {}
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RolewiseError("bad_input", f"{path} cannot be read: {error}") from error
        spec = parse_fleet(text, str(path))
        if spec.fleet in read:
            other = read[spec.fleet].file
            raise RolewiseError("bad_input", f"{path} and {other} both name fleet {spec.fleet!r}")
        read[spec.fleet] = FleetFile(spec=spec, text=text, file=str(path))
    return tuple(read.values())


class Server:
    """Store, Ray, fleets and coordinators; an async context that ends what it began.

    Args:
        files: The fleets.
        data: Folder of the embedded store.
        ray_address: A cluster to join; None starts a Ray of our own.
        redis_url: A store to use; None starts the embedded one.
        accepts_loss: Go on although the store was found to have lost entries.
        say: Told what is being done.
    """

    def __init__(
        self,
        files: Sequence[FleetFile],
        *,
        data: Path,
        ray_address: str | None = None,
        redis_url: str | None = None,
        accepts_loss: bool = False,
        say: Say = lambda _: None,
    ) -> None:
        self._files = files
        self._data = data
        self._ray_address = ray_address
        self._redis_url = redis_url
        self._accepts_loss = accepts_loss
        self._say = say
        self._keeper: StoreKeeper | None = None
        self._looking: asyncio.Task[None] | None = None
        self._holder = f"up-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._leases: dict[str, Lease] = {}
        self._store: RedisStore | None = None
        self._runtimes: dict[str, Any] = {}
        self._has_ray = False
        self._owns_ray = False

    async def __aenter__(self) -> Fleets:
        """Start everything; what was started is ended again when something cannot be."""
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started."""
        await self.stop()

    async def _start(self) -> Fleets:
        store_url = self._redis_url or self._start_store()
        self._store = await connect_store(store_url, explain=self._explain)
        if self._accepts_loss:
            await self._store.accept_loss()
        await self._store.check_whole()
        journal = Journal(self._store, lambda: datetime.now(UTC))
        self._looking = asyncio.create_task(self._serve_on(journal))
        await asyncio.to_thread(self._start_ray)
        await asyncio.gather(*(self._start_fleet(file, journal, store_url) for file in self._files))
        return Fleets(
            journal=journal,
            runtimes=self._runtimes,
            draw_salt=lambda: secrets.token_hex(8),
            capacity=_capacity,
        )

    def _start_store(self) -> str:
        self._say(f"starting the embedded store in {self._data}")
        keeper = StoreKeeper(EmbeddedServer(self._data / "store"), self._say)
        keeper.start()
        self._keeper = keeper
        return keeper.url

    def _explain(self) -> str:
        return "" if self._keeper is None else self._keeper.trouble

    def _start_ray(self) -> None:
        if self._ray_address is not None:
            _use_known_token()
        from rolewise.fleet.ray import cluster  # noqa: PLC0415 (Ray takes a second to import)

        self._owns_ray = not cluster.is_connected()
        self._has_ray = True
        if self._ray_address is None:
            self._say("starting Ray on this machine")
            cluster.start_local_ray()
        else:
            self._say(f"joining the Ray cluster at {self._ray_address}")
            cluster.join_ray(self._ray_address)

    async def _start_fleet(self, file: FleetFile, journal: Journal, store_url: str) -> None:
        from rolewise.coordinator.actor import (  # noqa: PLC0415
            start_coordinator,
            stop_coordinator,
        )
        from rolewise.fleet.ray.environment import read_search_path  # noqa: PLC0415
        from rolewise.fleet.ray.runtime import RayRuntime  # noqa: PLC0415

        spec = file.spec
        self._say(f"starting fleet {spec.fleet}: {len(spec.roles)} roles")
        assert self._store is not None  # noqa: S101
        await self._acquire(f"up/{spec.fleet}", SERVING_S)
        # Of a server that was killed: a new one follows, with the address of the store as it is.
        await asyncio.to_thread(stop_coordinator, spec.fleet)
        lease = await self._acquire(f"fleet/{spec.fleet}", LEASE_S)
        runtime = await RayRuntime.launch(
            spec.fleet,
            entry=tuple(spec.entry),
            guards=guard_limits(spec.guards),
            tasks_in_flight=spec.tasks_in_flight,
            results_kept_s=spec.results_kept,
            tasks_kept=spec.tasks_kept,
            fencing=lease.number(),
        )
        self._runtimes[spec.fleet] = runtime
        state = await register(journal, spec, text=file.text, file=file.file, by="up")
        last = await journal.last_rollout(state)
        await bring_up(runtime, spec, state, fencing=lease.number(), last=last)
        await self._store.release(lease)
        await start_coordinator(spec.fleet, store_url, read_search_path())

    async def _acquire(self, name: str, ttl_s: float) -> Lease:
        """Get a lease; one whose holder was killed runs out soon, so wait for a while.

        Raises:
            RolewiseError: `unavailable`: its holder lives.
        """
        assert self._store is not None  # noqa: S101
        until_s = time.monotonic() + LEASE_WAIT_S
        while True:
            lease = await self._store.acquire(name, self._holder, ttl_s)
            if lease is not None:
                self._leases[name] = lease
                return lease
            if time.monotonic() >= until_s:
                fleet = name.partition("/")[2]
                raise RolewiseError(
                    "unavailable", f"fleet {fleet!r} is led by another Rolewise on this store"
                )
            await asyncio.sleep(LOOK_S)

    async def _serve_on(self, journal: Journal) -> None:
        """Keep the fleets ours, know how the store is, and tidy it up, also while nobody asks."""
        for looks in itertools.count():
            try:
                for name in [name for name in self._leases if name.startswith("up/")]:
                    await journal.store.acquire(name, self._holder, SERVING_S)
                await look(journal)
                if looks % TIDY_EVERY == 0:
                    await tidy(journal)
            except (StoreError, RolewiseError):
                pass  # the store's watcher has logged it, and status pages say so
            await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """End what was started, in the opposite order; safe to call again."""
        if self._has_ray:
            from rolewise.coordinator.actor import stop_coordinator  # noqa: PLC0415
            from rolewise.fleet.ray import cluster  # noqa: PLC0415

            for fleet, runtime in list(self._runtimes.items()):
                with suppress(Exception):
                    stop_coordinator(fleet)
                    await runtime.shutdown()
            if self._owns_ray:
                await asyncio.to_thread(cluster.leave_ray)
            self._runtimes.clear()
            self._has_ray = False
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
        if self._store is not None:
            with suppress(StoreError):
                for lease in self._leases.values():
                    await self._store.release(lease)
            self._leases.clear()
            await self._store.close()
            self._store = None
        if self._keeper is not None:
            await asyncio.to_thread(self._keeper.stop)
            self._keeper = None


def _use_known_token() -> None:
    """Show the cluster the token that `ray start` has left on this machine, if there is one.

    Ray asks for tokens by default where it is started by hand, but a program that joins shows
    none unless its environment says so before Ray is imported.
    """
    known = Path.home() / ".ray" / "auth_token"
    if "RAY_AUTH_TOKEN" in os.environ or known.exists():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


async def _capacity() -> Capacity:
    from rolewise.fleet.ray.cluster import read_nodes  # noqa: PLC0415

    total: dict[str, float] = {}
    for node in await asyncio.to_thread(read_nodes):
        for name, amount in node.resources.items():
            total[name] = total.get(name, 0.0) + amount
    return Capacity(resources=total)
