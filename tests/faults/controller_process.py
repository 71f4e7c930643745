"""A controller in a process of its own, and a fleet that other processes reach by a socket.

    python -m tests.faults.controller_process SOCKET STORE_URL HOLDER

So real signals can be sent to a real process without Ray. A command that has reached the fleet
goes on when its sender dies, as it does with the actors of a fleet.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from rolewise.coordinator.controller import Controller
from rolewise.coordinator.crash_points import armed_by_file, watch
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.store.redis import connect_store
from rolewise.fleet.runtime import Fenced, Runtime
from tests.faults.chaos.fleets import FLEET, definitions

SHAPE = "asking"
TICK_S = 0.05
LEASE_S = 1.0


class FarFleet:
    """The fleet at the other end of a socket."""

    def __init__(self, socket: str) -> None:
        self._socket = socket

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            reader, writer = await asyncio.open_unix_connection(self._socket)
            try:
                writer.write(pickle.dumps((name, args, kwargs)))
                writer.write_eof()
                fault, answer = pickle.loads(await reader.read())  # noqa: S301
            finally:
                writer.close()
            if fault is not None:
                raise fault
            return answer

        return call


class Desk:
    """Answers those who call the fleet by a socket.

    Attributes:
        refused: Names of the calls that were refused by their number.
    """

    def __init__(self, fleet: Runtime) -> None:
        self._fleet = fleet
        self._calls: set[asyncio.Task[Any]] = set()
        self.refused: list[str] = []
        self.news = asyncio.Event()

    @asynccontextmanager
    async def serve(self, socket: Path) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._answer, str(socket))
        async with server:
            yield

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read()
        if not asked:
            writer.close()
            return  # its sender was killed before it could ask
        name, args, kwargs = pickle.loads(asked)  # noqa: S301
        call = asyncio.ensure_future(getattr(self._fleet, name)(*args, **kwargs))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        answer, fault = None, None
        try:
            answer = await asyncio.shield(call)
        except Exception as error:
            fault = error
            if isinstance(error, Fenced):
                self.refused.append(name)
                self.news.set()
        writer.write(pickle.dumps((fault, answer)))
        writer.close()


async def lead(socket: str, store_url: str, holder: str) -> None:
    """Lead the fleet until this process is ended."""
    store: Any = await connect_store(store_url)
    fleet: Any = FarFleet(socket)
    passing = armed_by_file()
    if passing is not None:
        store, fleet = watch(store, passing), watch(fleet, passing)
    await Controller(
        fleet=FLEET,
        journal=Journal(store, lambda: datetime.now(UTC)),
        runtime=cast("Runtime", fleet),
        definitions=definitions(SHAPE),
        holder=holder,
        tick_s=TICK_S,
        lease_s=LEASE_S,
    ).run()


if __name__ == "__main__":
    asyncio.run(lead(*sys.argv[1:]))
