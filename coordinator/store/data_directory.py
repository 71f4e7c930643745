"""The data directory of the bundled server: who owns it, whether its server lives, and where.

The directory belongs to the store alone (mode 0700) and holds

    owner.lock         locked (flock) by the process that owns the server; holds its pid and
                       since when
    server.lock        locked by the server itself, as long as it lives
    server.json        where its socket is, and whether it dies with its parent; a new start
                       keeps the address, because coordinators that live on know no other
    server.pid, .log   written by the server
    appendonlydir/     the data: synced to disk before a write is confirmed

Locks, not pids, tell who is alive: a pid may be another's by now.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rolewise.coordinator.store.port import StoreError

_SOCKET_PATH_LIMIT = 100  # bytes; the kernel takes 107 on Linux and 103 on macOS
_LOG_TAIL_LINES = 3


class DataDirectoryInUse(StoreError):
    """Another living process owns the data directory; nothing was changed."""

    code = "data_directory_in_use"
    definite = True


class DataDirectoryUnusable(StoreError):
    """The directory cannot be made, made private or written to."""

    code = "data_directory_unusable"
    definite = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDescription:
    """What one start tells the next about its server."""

    socket: str
    dies_with_parent: bool
    directory: str = ""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Reads and writes the files above; `path` is absolute."""

    path: Path

    def own(self) -> int:
        """Make the directory this process's; return the file descriptor that holds the lock.

        Raises:
            DataDirectoryInUse: Another living process owns it.
            DataDirectoryUnusable: See there.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            lock = _try_lock(self.path / "owner.lock")
        except OSError as error:
            raise DataDirectoryUnusable(f"data directory {self.path}: {error.strerror}") from error
        if lock is None:
            raise DataDirectoryInUse(f"data directory {self.path} is in use by {self._owner()}")
        os.ftruncate(lock, 0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.pwrite(lock, f"{os.getpid()}\n{since}\n".encode(), 0)
        return lock

    def _owner(self) -> str:
        """Say which process owns the directory, and since when."""
        pid, _, since = (self.path / "owner.lock").read_text().strip().partition("\n")
        if not pid:  # it has the lock and is about to write this
            return "a process that has only just begun"
        return f"process {pid}, since {since}" if since else f"process {pid}"

    def lock_server(self) -> int | None:
        """Return the server's lock, to be handed to a new one; None while a server lives."""
        return _try_lock(self.path / "server.lock")

    def is_server_alive(self) -> bool:
        """Tell whether a server holds its lock."""
        lock = self.lock_server()
        if lock is not None:
            os.close(lock)
        return lock is None

    def describe(self, *, dies_with_parent: bool) -> ServerDescription:
        """Choose the socket of a server that is about to start, and write it down.

        The path has to fit into a socket address; where the directory's own is too long, the
        socket goes to a private temporary directory, the last one's if it is there still.
        """
        socket = self.path / "server.sock"
        if len(os.fsencode(socket)) > _SOCKET_PATH_LIMIT:
            socket = self._last_socket() or Path(tempfile.mkdtemp(prefix="rolewise-")) / socket.name
        description = ServerDescription(
            socket=str(socket), dies_with_parent=dies_with_parent, directory=str(self.path)
        )
        draft = self.path / "server.json.new"
        draft.write_text(json.dumps(asdict(description)))
        draft.replace(self.path / "server.json")
        return description

    def description(self) -> ServerDescription | None:
        """Return what the last start wrote down, None after a stop in good order.

        A copied directory still has what was written in the one that it was copied from: that
        is another's, and may live.
        """
        try:
            found = ServerDescription(**json.loads((self.path / "server.json").read_text()))
        except FileNotFoundError:
            return None
        return found if found.directory in {"", str(self.path)} else None

    def server_pid(self) -> int | None:
        """Return the pid of a living server, None when it has not written it yet."""
        try:
            return int((self.path / "server.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _last_socket(self) -> Path | None:
        """Return where the last server's socket was, if a new one may have the same place."""
        last = self.description()
        if last is None:
            return None
        folder = Path(last.socket).parent
        try:
            found = folder.lstat()
        except FileNotFoundError:
            return None
        is_private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        return Path(last.socket) if is_private and found.st_uid == os.geteuid() else None

    def clear_server(self) -> None:
        """Remove what a dead server left behind besides its data and its address."""
        description = self.description()
        if description is not None:
            Path(description.socket).unlink(missing_ok=True)
        (self.path / "server.pid").unlink(missing_ok=True)

    def forget_server(self) -> None:
        """Remove its address, too."""
        self.clear_server()
        description = self.description()
        if description is None:
            return
        folder = Path(description.socket).parent
        if folder != self.path:
            with contextlib.suppress(OSError):  # gone already, or not empty and so not ours
                folder.rmdir()
        (self.path / "server.json").unlink()

    def read_log_tail(self) -> str:
        """Return the last lines of the server's log as one."""
        lines = (self.path / "server.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-_LOG_TAIL_LINES:])


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
