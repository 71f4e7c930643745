"""Store, Ray, fleets and coordinators, from start to end.

Everything that is built is built here (and in the coordinator's actor). What this process starts
it also ends: an own Ray, the embedded store, and the fleets.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets, bring_up, register
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.plan.capacity import Capacity
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.redis import RedisStore, connect_store
from rolewise.fleet.spec import FleetSpec, guard_limits, parse_fleet

LEASE_S = 30.0

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
        say: Told what is being done.
    """

    def __init__(
        self,
        files: Sequence[FleetFile],
        *,
        data: Path,
        ray_address: str | None = None,
        redis_url: str | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self._files = files
        self._data = data
        self._ray_address = ray_address
        self._redis_url = redis_url
        self._say = say
        self._embedded: EmbeddedServer | None = None
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
        self._store = await connect_store(store_url)
        journal = Journal(self._store, lambda: datetime.now(UTC))
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
        self._embedded = EmbeddedServer(self._data / "store")
        self._embedded.start()
        return self._embedded.url

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
        from rolewise.coordinator.actor import start_coordinator  # noqa: PLC0415
        from rolewise.fleet.ray.environment import read_search_path  # noqa: PLC0415
        from rolewise.fleet.ray.runtime import RayRuntime  # noqa: PLC0415

        spec = file.spec
        self._say(f"starting fleet {spec.fleet}: {len(spec.roles)} roles")
        assert self._store is not None  # noqa: S101
        lease = await self._store.acquire(f"fleet/{spec.fleet}", f"up-{os.getpid()}", LEASE_S)
        if lease is None:
            raise RolewiseError(
                "unavailable", f"fleet {spec.fleet!r} is led by another Rolewise on this store"
            )
        runtime = await RayRuntime.launch(
            spec.fleet,
            entry=tuple(spec.entry),
            guards=guard_limits(spec.guards),
            fencing=lease.fencing,
        )
        self._runtimes[spec.fleet] = runtime
        state = await register(journal, spec, text=file.text, file=file.file, by="up")
        await bring_up(runtime, spec, state, fencing=lease.fencing)
        await self._store.release(lease)
        await start_coordinator(spec.fleet, store_url, read_search_path())

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
        if self._store is not None:
            await self._store.close()
            self._store = None
        if self._embedded is not None:
            self._embedded.stop()
            self._embedded = None


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
