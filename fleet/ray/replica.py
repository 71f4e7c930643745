"""The actor that is one replica.

Messages come in by `exchange` and run on the actor's main event loop. What the fleet asks about
the replica (snapshot, status, a new view) is in a concurrency group with an event loop and a
thread of its own: it is answered also while an agent blocks the main loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import ray

from rolewise.agents.agent import AgentImportError, load_agent
from rolewise.agents.message import Address
from rolewise.fleet.ray.desk import ExchangeServer
from rolewise.fleet.ray.environment import extend_search_path
from rolewise.fleet.ray.inquest import read_own_place
from rolewise.fleet.ray.memory import RayMemory
from rolewise.fleet.ray.meter import Meter
from rolewise.fleet.ray.process import FleetProcess
from rolewise.fleet.ray.view import Ticket, View
from rolewise.fleet.replica import ReplicaCore
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.graphs.rounds import Round

T = TypeVar("T")
CONTROL = "control"
CONCURRENCY_GROUPS = {CONTROL: 64}
BEAT_S = 0.25
"""How often the handlers' event loop shows that it turns."""
MAX_CONCURRENCY = 2000
"""Two exchanges for each process that sends to this replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """What a replica says of itself.

    Attributes:
        is_open: It has joined the fleet and takes messages.
        restarts: Lives before this one.
        table: Number of the routing table in force here.
        view: Number of the view in force here.
        lag_s: How long the event loop of its handlers has stood still.
    """

    is_open: bool = False
    restarts: int = 0
    table: int = 0
    running: int = 0
    queued: int = 0
    view: int = 0
    lag_s: float = 0.0


@dataclass(slots=True)
class _Life:
    """What there is once the replica has joined its fleet."""

    process: FleetProcess
    core: ReplicaCore
    server: ExchangeServer
    loop: asyncio.AbstractEventLoop
    post: asyncio.Task[None]


class ReplicaActor:
    """Hosts a `ReplicaCore`.

    Args:
        address: Which replica it is.
        version: What it runs.
        head: The fleet's head; it tells a restarted replica all that it must know.
        search_path: See `Settings`.
    """

    def __init__(
        self,
        address: Address,
        version: VersionDefinition,
        head: Any,
        search_path: tuple[str, ...] = (),
    ) -> None:
        extend_search_path(search_path)
        self._address = address
        self._version = version
        self._head = head
        self._life: _Life | None = None
        self._opening = asyncio.Lock()
        self._fault = ""
        self._beating: asyncio.Task[None] | None = None
        try:
            self._agent = load_agent(version.agent, version.config)
        except AgentImportError as error:
            self._fault = str(error)
        except Exception as error:  # noqa: BLE001  (a module may raise anything when imported)
            self._fault = f"agent {version.agent!r}: {type(error).__name__}: {error}"

    @ray.method(max_task_retries=-1)  # a process that dies meanwhile is followed by another
    async def ready(self) -> str:
        """Join the fleet; return why it cannot, empty when it takes messages."""
        if not self._fault:
            await self._open()
        return self._fault

    async def exchange(self, blob: bytes) -> bytes:
        """Carry one exchange; see `rolewise.fleet.ray.exchange`."""
        life = self._life or await self._open()
        return await life.server.exchange(blob)

    @ray.method(concurrency_group=CONTROL)
    async def waits(self, recent: bool) -> Round | None:
        """Return what runs and waits here; None before it takes messages."""
        return self._life.core.waits(recent=recent) if self._life else None

    @ray.method(concurrency_group=CONTROL)
    async def status(self) -> Vital:
        """Return how it is."""
        life = self._life
        if life is None:
            return Vital()
        return Vital(
            is_open=True,
            restarts=life.process.restarts,
            table=life.process.router.table.number,
            running=life.core.running,
            queued=life.core.queued,
            view=life.process.view_number,
            lag_s=life.core.lag_s,
        )

    @ray.method(concurrency_group=CONTROL)
    async def install(self, view: View) -> int:
        """Put a view in force; return the number of the table in force."""
        life = self._life
        if life is None:
            return 0  # it gets the newest view when it joins
        return await _on(life.loop, lambda: life.process.install(view))

    @ray.method(concurrency_group=CONTROL)
    async def install_table(self, table: RoutingTable) -> int:
        """Put a table in force; return the number of the one in force."""
        life = self._life
        if life is None:
            return 0  # it gets the newest view when it joins
        return await _on(life.loop, lambda: life.process.install_table(table))

    @ray.method(concurrency_group=CONTROL)
    async def withdraw_all(self, reason: str) -> int:
        """End all that runs or waits here; return how many."""
        life = self._life
        return await _on(life.loop, lambda: life.core.withdraw_all(reason=reason)) if life else 0

    @ray.method(concurrency_group=CONTROL)
    async def end_task(self, task: str) -> int:
        """End all that runs or waits here for a task; return how many."""
        life = self._life
        return await _on(life.loop, lambda: life.core.end_task(task)) if life else 0

    async def post(self) -> None:
        """Ship the telemetry now: the replica is about to be stopped."""
        if self._life is not None:
            await self._life.process.post()

    async def _open(self) -> _Life:
        async with self._opening:
            if self._life is None:
                self._life = self._begin(
                    await self._head.join.remote(self._address, read_own_place())
                )
            return self._life

    def _begin(self, ticket: Ticket) -> _Life:
        address, version = self._address, self._version
        loop = asyncio.get_running_loop()
        process = FleetProcess(
            name=str(address), node=address.node, number=address.replica, ticket=ticket
        )
        core = ReplicaCore(
            address=address,
            agent=self._agent,
            slots=version.slots,
            queue_limit=version.queue_limit,
            messenger=process.messenger,
            memory=RayMemory(address.role, self._find_memory),
            config=version.config,
            now=loop.time,
            life=process.incarnation,
        )
        process.meter = Meter(lambda: core.begun, core.running_tasks)
        server = ExchangeServer(
            address,
            process.incarnation,
            handle=core.handle,
            accept=core.accept,
            withdraw=core.withdraw,
        )
        self._beating = loop.create_task(_beat_for_ever(core))
        return _Life(process, core, server, loop, loop.create_task(process.post_for_ever()))

    async def _find_memory(self) -> Any:
        return await self._head.memory.remote()


async def _beat_for_ever(core: ReplicaCore) -> None:
    """Show that the handlers' event loop turns; a handler that blocks it stops this too."""
    while True:
        core.beat()
        await asyncio.sleep(BEAT_S)


async def _on(loop: asyncio.AbstractEventLoop, call: Callable[[], T]) -> T:
    """Make a call on another thread's event loop, where the state it changes is at home."""

    async def on_that_loop() -> T:
        return call()

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(on_that_loop(), loop))
