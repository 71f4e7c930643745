"""The local runtime's network: carries messages between replicas of one process.

Bodies are pickled and loaded again, so that two agents never share an object and a body that
would not travel on a cluster fails here too. Latency is drawn from the seed, message by message.
"""

from __future__ import annotations

import asyncio
import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from rolewise.agents.errors import Failure
from rolewise.agents.message import Address, Message, Reply
from rolewise.fleet.replica import ReplicaCore


class Faults(Protocol):
    """What goes wrong with messages under way."""

    def delay_s(self, message: Message, *, is_reply: bool) -> float | None:
        """Return the seconds that a request, or the reply to it, is held up; None: it is lost."""
        ...


class Network:
    """Latency and reachability of a fleet in one process.

    Args:
        seed: Seeds the latencies.
        latency_s: Smallest and largest one-way latency, drawn uniformly.
        faults: What goes wrong beside them.
    """

    def __init__(
        self,
        *,
        seed: int,
        latency_s: tuple[float, float] = (0.0005, 0.0015),
        faults: Faults | None = None,
    ) -> None:
        self._random = random.Random(seed)
        self._latency_s = latency_s
        self.faults = faults

    async def cross(self, message: Message, *, is_reply: bool = False) -> None:
        """Wait as long as one message is under way; for ever when it is lost."""
        low, high = self._latency_s
        if high > 0:
            await asyncio.sleep(low + (high - low) * self._random.random())
        if self.faults is None:
            return
        held_up_s = self.faults.delay_s(message, is_reply=is_reply)
        if held_up_s is None:
            await asyncio.get_running_loop().create_future()
        elif held_up_s > 0:
            await asyncio.sleep(held_up_s)


class LocalLink:
    """The link to one replica of this process; see `rolewise.fleet.link.Link`."""

    def __init__(
        self, address: Address, find: Callable[[Address], ReplicaCore | None], network: Network
    ) -> None:
        self._address = address
        self._find = find
        self._network = network
        self._hangs = False
        self._open: dict[int, asyncio.Future[Reply]] = {}
        self._handling: set[asyncio.Task[None]] = set()

    async def ask(self, message: Message) -> Reply:
        """Carry a request to the replica and its reply back."""
        try:
            message = _copied(message)
        except Exception as error:  # noqa: BLE001 (pickling fails in many ways)
            return self._failed(message.id, "message_refused", _unpicklable(message.kind, error))
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._open[message.id] = future
        try:
            await self._network.cross(message)
            replica = self._find(self._address)
            if replica is None:
                return self._lost(message.id)
            task = asyncio.get_running_loop().create_task(self._handle(replica, message, future))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
            try:
                reply = await future
            except asyncio.CancelledError:
                replica.withdraw(message.id)
                raise
            await self._network.cross(message, is_reply=True)
            try:
                return replace(reply, body=_copied_body(reply.body))
            except Exception as error:  # noqa: BLE001
                text = f"{self._address.node}: " + _unpicklable(f"reply to {message.kind}", error)
                return self._failed(message.id, "ask_failed", text)
        finally:
            self._open.pop(message.id, None)

    async def tell(self, message: Message) -> Reply | None:
        """Carry an event to the replica's queue."""
        try:
            message = _copied(message)
        except Exception as error:  # noqa: BLE001
            return self._failed(message.id, "message_refused", _unpicklable(message.kind, error))
        await self._network.cross(message)
        replica = self._find(self._address)
        return self._lost(message.id) if replica is None else await replica.accept(message)

    def hang(self) -> None:
        """Never answer what is open, nor fail it: the replica is gone, and nobody hears of it."""
        self._hangs = True

    def close(self) -> None:
        """Fail every open ask: the replica is gone."""
        if self._hangs:
            return
        for message_id, future in list(self._open.items()):
            if not future.done():
                future.set_result(self._lost(message_id))

    async def _handle(
        self, replica: ReplicaCore, message: Message, future: asyncio.Future[Reply]
    ) -> None:
        reply = await replica.handle(message)
        if not future.done() and not self._hangs:
            future.set_result(reply)

    def _lost(self, message_id: int) -> Reply:
        return self._failed(message_id, "replica_lost", f"{self._address} died before it answered")

    def _failed(self, message_id: int, code: str, text: str) -> Reply:
        return Reply(
            to=message_id,
            sender=self._address,
            failure=Failure(
                code=code,
                message=text,
                role=self._address.role,
                version=self._address.version,
            ),
        )


def _unpicklable(what: str, error: Exception) -> str:
    return f"body of {what} cannot be pickled, so it cannot travel: {error}"


def _copied(message: Message) -> Message:
    return replace(message, body=_copied_body(message.body))


def _copied_body(body: Any) -> Any:
    if body is None or isinstance(body, str | int | float | bool):
        return body
    return pickle.loads(pickle.dumps(body, pickle.HIGHEST_PROTOCOL))  # noqa: S301 (our own bytes)
