"""A wire between an exchange link and its server in one event loop, which a test can cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Literal

from ray.exceptions import ActorDiedError, ActorUnavailableError

from rolewise.agents.message import Address, Message, Nature, Reply
from rolewise.fleet.ray.desk import ExchangeServer
from rolewise.fleet.ray.exchange import ExchangeLink
from rolewise.fleet.ray.wire import Exchange

Fate = Literal["arrives", "lost on the way there", "lost on the way back", "dead"]
WORKER = Address(role="worker", version="v1", replica=1)


class Far:
    """The far side: its handler does what a message's body says, and counts what it did."""

    def __init__(self, incarnation: str = "worker.0", **limits: float) -> None:
        self.handled: list[int] = []
        self.withdrawn: list[int] = []
        self.accepted: list[Any] = []
        self.doors: dict[str, asyncio.Event] = {}
        self._running: dict[int, asyncio.Task[Any]] = {}
        self.server = ExchangeServer(
            WORKER,
            incarnation,
            handle=self._handle,
            accept=self._accept,
            withdraw=self._withdraw,
            **limits,
        )

    def door(self, name: str) -> asyncio.Event:
        return self.doors.setdefault(name, asyncio.Event())

    async def _handle(self, message: Message) -> Reply:
        self.handled.append(message.id)
        task = asyncio.current_task()
        assert task is not None
        self._running[message.id] = task
        try:
            match message.body:
                case {"behind": name}:
                    await self.door(name).wait()
                case {"raise": text}:
                    raise RuntimeError(text)
                case {"answer": "unpicklable"}:
                    return Reply(to=message.id, sender=WORKER, body=lambda: (yield))
        finally:
            del self._running[message.id]
        return Reply(to=message.id, sender=WORKER, body=message.body)

    async def _accept(self, message: Message) -> Reply | None:
        self.accepted.append(message.body)
        return None

    def _withdraw(self, message_id: int) -> bool:
        self.withdrawn.append(message_id)
        task = self._running.get(message_id)
        return task is not None and task.cancel()


class Wire:
    """Carries exchanges to a far side; each one meets the next fate, then all arrive.

    Attributes:
        messages: How many each exchange carried.
    """

    def __init__(self, far: Far, fates: Iterable[Fate] = ()) -> None:
        self.far = far
        self.fates = iter(fates)
        self.under_way = 0
        self.most_under_way = 0
        self.messages: list[int] = []
        self._calls: set[asyncio.Task[bytes]] = set()

    @property
    def carried(self) -> int:
        return len(self.messages)

    def carry(self, blob: bytes) -> asyncio.Future[bytes]:
        self.messages.append(len(Exchange.load(blob).messages))
        call = asyncio.get_running_loop().create_task(self._carry(blob))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    async def _carry(self, blob: bytes) -> bytes:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            fate = next(self.fates, "arrives")
            await asyncio.sleep(0.001)
            if fate == "dead":
                raise ActorDiedError
            if fate == "lost on the way there":
                raise ActorUnavailableError("cut", None)
            answer = await self.far.server.exchange(blob)
            await asyncio.sleep(0.001)
            if fate == "lost on the way back":
                raise ActorUnavailableError("cut", None)
            return answer
        finally:
            self.under_way -= 1

    def link(self, **limits: Any) -> ExchangeLink:
        return ExchangeLink(WORKER, self.carry, "caller.0", **limits)


def request(number: int, body: Any = None, nature: Nature = Nature.REQUEST) -> Message:
    return Message(
        id=number,
        nature=nature,
        kind="work",
        sender=Address(role="entry", version="v1", replica=2),
        to="worker",
        body=body,
        task=f"t{number}",
        conversation="c",
        attributes={"site": "north"},
        timeout_s=3.0,
        arm=2,
    )


async def until(holds: Callable[[], bool]) -> None:
    """Let (virtual) time pass until it holds."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came true")
