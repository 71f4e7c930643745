"""`rolewise up`: store, Ray, fleets, coordinators and the REST API, from start to end.

Everything that is built is built here (and in the coordinator's actor). What this process starts
it also ends: an own Ray, the embedded store, and the fleets.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets, bring_up, register
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.plan.capacity import Capacity
from rolewise.coordinator.rehearse import workload_of
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.port import StoreError
from rolewise.coordinator.store.redis import RedisStore, connect_store
from rolewise.fleet.spec import FleetSpec, SpecError, parse_fleet

LEASE_S = 30.0
DESCRIPTION = "server.json"
STOP_LIMIT_S = 60.0
STREAMS_END_S = 2
"""What open event streams get when the server ends."""

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
        runtime = await RayRuntime.launch(spec.fleet, entry=tuple(spec.entry))
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


def check_binding(host: str, token_file: Path | None) -> None:
    """Refuse to listen beyond this machine without tokens.

    Raises:
        RolewiseError: `bad_input`.
    """
    if host == "localhost":
        return
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = False
    if not is_local and token_file is None:
        raise RolewiseError(
            "bad_input",
            f"--host {host} is open to other machines: it needs --token-file",
            hint="rolewise up --host 127.0.0.1 FILE, or write a token file (docs: access)",
        )


def run_up(
    files: list[Path],
    *,
    ray_address: str | None,
    redis_url: str | None,
    data: Path,
    host: str,
    port: int,
    token_file: Path | None,
    workload: bool = False,
    say: Say = print,
) -> int:
    """Start everything and serve until interrupted; return the exit code.

    With `workload` every fleet also gets the traffic that its file describes.

    Raises:
        RolewiseError: Bad input, or something that is needed cannot be started.
    """
    check_binding(host, token_file)
    # Agents of the user's own stand beside the fleet's file or in the working directory.
    for folder in (str(Path.cwd()), *(str(path.resolve().parent) for path in files)):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        read = read_fleet_files(files)
    except SpecError as error:
        raise RolewiseError("bad_input", str(error)) from error
    if workload:
        for file in read:
            workload_of(file.spec, seed=1)  # refuses a file that describes none
    _check_port(host, port)
    server = Server(read, data=data, ray_address=ray_address, redis_url=redis_url, say=say)
    try:
        return asyncio.run(_serve(server, read, data, host, port, token_file, workload, say))
    except StoreError as error:
        raise RolewiseError("unavailable", str(error)) from error
    except ConnectionError as error:
        raise RolewiseError(
            "unavailable",
            str(error),
            hint="is it up? a cluster that asks for a token wants RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN; one that does not wants RAY_AUTH_MODE=disabled",
        ) from error


async def _serve(
    server: Server,
    files: Sequence[FleetFile],
    data: Path,
    host: str,
    port: int,
    token_file: Path | None,
    workload: bool,
    say: Say,
) -> int:
    import uvicorn  # noqa: PLC0415

    from rolewise.coordinator.api.access import TokenFileInvalid, read_tokens  # noqa: PLC0415
    from rolewise.coordinator.api.app import create_app  # noqa: PLC0415

    try:
        access = None if token_file is None else read_tokens(token_file)
    except TokenFileInvalid as error:
        raise RolewiseError("bad_input", str(error)) from error
    serves = False
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None  # noqa: S101
    loop.add_signal_handler(signal.SIGTERM, this.cancel)
    try:
        async with server as fleets:
            app = create_app(fleets, access=access)
            web = uvicorn.Server(
                uvicorn.Config(
                    app,
                    host=host,
                    port=port,
                    log_level="warning",
                    lifespan="off",
                    timeout_graceful_shutdown=STREAMS_END_S,
                )
            )
            url = f"http://{host}:{port}"
            _describe(data, url)
            serves = True
            names = ", ".join(file.spec.fleet for file in files)
            say(f"ready: {names} at {url} (docs at {url}/docs); Ctrl-C ends it")
            traffic = _give_work(files, fleets) if workload else []
            for ending in (signal.SIGINT, signal.SIGTERM):
                # The web server takes these signals, and raises them again when it has ended:
                # they must not cut off what is ended after it.
                loop.add_signal_handler(ending, lambda: None)
            try:
                await web.serve()
            finally:
                for task in traffic:
                    task.cancel()
                await asyncio.gather(*traffic, return_exceptions=True)
                say("ending the fleets")
    finally:
        if serves:
            (data / DESCRIPTION).unlink(missing_ok=True)
        say("ended")
    return 0


def _give_work(files: Sequence[FleetFile], fleets: Fleets) -> list[asyncio.Task[None]]:
    # Ids of another start's tasks may still be in the accounts, so they begin with the time.
    name = f"t-{int(time.time())}"
    return [
        asyncio.create_task(
            workload_of(file.spec, seed=1, name=name).run(fleets.runtime(file.spec.fleet))
        )
        for file in files
    ]


def _describe(data: Path, url: str) -> None:
    """Write down who serves with this data folder, for `rolewise down`; gone when all has ended."""
    data.mkdir(parents=True, exist_ok=True)
    (data / DESCRIPTION).write_text(json.dumps({"pid": os.getpid(), "url": url}))


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise RolewiseError(
                "bad_input", f"cannot listen at {host}:{port}: {error.strerror}", hint="--port"
            ) from error


def take_down(data: Path, *, say: Say = print) -> int:
    """End the server that `rolewise up` runs with this data folder; return the exit code.

    Raises:
        RolewiseError: `unavailable`: none runs, or it does not end.
    """
    description = data / DESCRIPTION
    try:
        pid = int(json.loads(description.read_text())["pid"])
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError, KeyError) as error:
        raise RolewiseError(
            "unavailable", f"no server runs with data folder {data}", hint="--data FOLDER"
        ) from error
    say(f"ending the server (process {pid})")
    end = time.monotonic() + STOP_LIMIT_S
    while description.exists() and _is_alive(pid):
        if time.monotonic() > end:
            raise RolewiseError("unavailable", f"process {pid} has not ended in {STOP_LIMIT_S} s")
        time.sleep(0.1)
    say("ended")
    return 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
