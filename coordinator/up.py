"""`rolewise up` and `rolewise down`: a server with its REST API, from start to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from rolewise.coordinator.errors import RolewiseError, error_of
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.rehearse import workload_of
from rolewise.coordinator.server import FleetFile, Say, Server, read_fleet_files
from rolewise.coordinator.store.port import StoreError
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.spec import SpecError

DESCRIPTION = "server.json"
INTERRUPTED = 130
STOP_LIMIT_S = 60.0
ANSWER_LIMIT_S = 3.0
STALL_S = 60.0
"""What a connection may take nothing of what is sent to it."""
STREAMS_END_S = 2
"""What open event streams get when the server ends."""


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
    accepts_loss: bool = False,
    say: Say = print,
) -> int:
    """Start everything and serve until interrupted; return the exit code.

    With `workload` every fleet also gets the traffic that its file describes. With `accepts_loss`
    it starts on a store that was found to have lost entries, with those that are left.

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
    listen(host, port).close()  # what cannot be had later is better told now
    server = Server(
        read,
        data=data,
        ray_address=ray_address,
        redis_url=redis_url,
        accepts_loss=accepts_loss,
        say=say,
    )
    try:
        return asyncio.run(_serve(server, read, data, host, port, token_file, workload, say))
    except asyncio.CancelledError:  # SIGTERM before it served
        return INTERRUPTED
    except StoreError as error:
        raise error_of(error) from error
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
            app = create_app(fleets, access=access, ready=partial(_find_silent, fleets))
            web = uvicorn.Server(
                uvicorn.Config(
                    app,
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
                await web.serve(sockets=[listen(host, port)])
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


async def _find_silent(fleets: Fleets) -> list[str]:
    """Name the fleets that do not answer, for `/readyz`."""
    silent = []
    for fleet in fleets.running:
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                await fleets.runtime(fleet).observe(NOTHING_NEW)
        except Exception as error:  # noqa: BLE001 (whatever keeps it from answering)
            silent.append(f"fleet {fleet} does not answer: {type(error).__name__}: {error}")
    return silent


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


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        RolewiseError: `bad_input`: it cannot be had.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Connections inherit it: the kernel drops one whose peer takes nothing for so long.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALL_S * 1000))
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise RolewiseError(
            "bad_input", f"cannot listen at {host}:{port}: {error.strerror}", hint="--port"
        ) from error
    return bound


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
