"""The answering end of exchange links: one desk for each caller of this replica.

A desk takes a caller's messages, has them handled, and gives out replies as they get ready. It
keeps what it gave out until the caller says that it arrived, and knows by its id a message that
comes twice. A caller that has not been heard of for long has died: what runs for it is withdrawn,
so that it holds no slot for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rolewise.agents.errors import Failure
from rolewise.agents.message import Address, Message, Nature, Reply
from rolewise.fleet.ray.wire import (
    Exchange,
    MessageWire,
    ReplyWire,
    dump_answer,
    pack_reply,
    unpack_message,
)

POLL_S = 10.0
"""An exchange that found no reply in this time returns empty; a living caller sends the next."""
SILENCE_S = 30.0
"""A caller that sends no exchange for so long is dead."""

Handle = Callable[[Message], Awaitable[Reply]]
Accept = Callable[[Message], Awaitable[Reply | None]]
Withdraw = Callable[[int], bool]


class ExchangeServer:
    """All desks of one replica.

    Args:
        address: The replica.
        incarnation: Name of this life of it.
        handle: Handles a request; failures are replies too.
        accept: Takes an event; returns a reply only when it is refused.
        withdraw: Ends a request early; false when it is not here.
    """

    def __init__(
        self,
        address: Address,
        incarnation: str,
        *,
        handle: Handle,
        accept: Accept,
        withdraw: Withdraw,
        poll_s: float = POLL_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.incarnation = incarnation
        self._address = address
        self._handle = handle
        self._accept = accept
        self._withdraw = withdraw
        self._poll_s = poll_s
        self._silence_s = silence_s
        self._desks: dict[str, _Desk] = {}

    async def exchange(self, blob: bytes) -> bytes:
        """Take what one exchange brings; return the replies that are ready for its caller."""
        brought = Exchange.load(blob)
        if brought.incarnation and brought.incarnation != self.incarnation:
            return dump_answer(self.incarnation, None)
        desk = self._desks.get(brought.caller)
        if desk is None:
            desk = self._desks[brought.caller] = _Desk()
            self._look_after(brought.caller, desk)
        now = asyncio.get_running_loop().time()
        desk.heard_at = now
        if brought.number not in desk.void:
            desk.settle(brought.got, brought.lost)
            for message_id in brought.withdrawn:
                self._end(desk, message_id)
            for wire in brought.messages:
                self._start(desk, wire)
            await desk.wait(self._poll_s)
        return dump_answer(self.incarnation, desk.give_out(brought.number))

    def _start(self, desk: _Desk, wire: MessageWire) -> None:
        message_id = wire[0]
        if message_id in desk.taken:
            return
        desk.taken.add(message_id)
        task = asyncio.get_running_loop().create_task(self._serve(desk, wire))
        desk.running[message_id] = task
        # One that is cancelled before it began never gets to its own end.
        task.add_done_callback(lambda _: desk.finish(message_id, None))

    async def _serve(self, desk: _Desk, wire: MessageWire) -> None:
        # Not left to the callback: that runs a round of the loop later.
        desk.finish(wire[0], await self._answer(wire))

    async def _answer(self, wire: MessageWire) -> ReplyWire:
        try:
            message = unpack_message(wire)
        except Exception as error:  # noqa: BLE001  (unpickling runs the body's own code)
            text = f"the body does not load at {self._address.node}: {error}"
            return pack_reply(self._failed(wire[0], "message_refused", text, error))
        try:
            if message.nature is not Nature.EVENT:
                return pack_reply(await self._handle(message))
            refused = await self._accept(message)
            return pack_reply(refused or Reply(to=message.id, sender=self._address))
        except Exception as error:  # noqa: BLE001  (no fault of ours may leave an asker waiting)
            text = f"internal: {type(error).__name__}: {error}"
            return pack_reply(self._failed(message.id, "ask_failed", text, error))

    def _end(self, desk: _Desk, message_id: int) -> None:
        task = desk.running.get(message_id)
        if task is None:
            desk.forget(message_id)
            return
        desk.unwanted.add(message_id)
        if not self._withdraw(message_id):
            task.cancel()  # it came a moment ago and its handler has not begun

    def _failed(self, message_id: int, code: str, text: str, error: Exception) -> Reply:
        failure = Failure(
            code=code,
            message=text,
            role=self._address.role,
            version=self._address.version,
            cause=type(error).__name__,
        )
        return Reply(to=message_id, sender=self._address, failure=failure)

    def _look_after(self, caller: str, desk: _Desk) -> None:
        """Look from time to time whether the caller still lives; clear its desk when not."""
        loop = asyncio.get_running_loop()
        left = desk.heard_at + self._silence_s - loop.time() if desk.heard_at else self._silence_s
        if left > 0:
            loop.call_later(left, self._look_after, caller, desk)
            return
        del self._desks[caller]
        for message_id in list(desk.running):
            self._end(desk, message_id)


class _Desk:
    """One caller's messages and replies.

    Attributes:
        taken: Ids that this desk knows: running, ready, or given out and not confirmed.
        running: What is being handled.
        unwanted: Running ones that the caller has withdrawn: nobody wants their replies.
        void: Numbers of exchanges that the caller has given up.
        heard_at: Loop time of the last exchange.
    """

    __slots__ = ("_given", "_ready", "_waiting", "heard_at", "running", "taken", "unwanted", "void")

    def __init__(self) -> None:
        self.taken: set[int] = set()
        self.running: dict[int, asyncio.Task[None]] = {}
        self.unwanted: set[int] = set()
        self.void: set[int] = set()
        self.heard_at = 0.0
        self._ready: list[ReplyWire] = []
        self._given: dict[int, list[ReplyWire]] = {}
        self._waiting: asyncio.Future[None] | None = None

    def settle(self, got: tuple[int, ...], lost: tuple[int, ...]) -> None:
        """Forget the replies that arrived; make ready again those that did not."""
        for number in got:
            for reply in self._given.pop(number, ()):
                self.taken.discard(reply[0])
        for number in lost:
            self.void.add(number)
            self._ready.extend(self._given.pop(number, ()))

    def finish(self, message_id: int, reply: ReplyWire | None) -> None:
        """Make a reply ready, unless nobody wants it; None: it was cancelled. Only once counts."""
        if self.running.pop(message_id, None) is None:
            return
        if message_id in self.unwanted or reply is None:
            self.unwanted.discard(message_id)
            self.taken.discard(message_id)
        else:
            self._ready.append(reply)
        # Also when the last one was withdrawn: an exchange must not wait for nothing.
        self._relieve()

    def forget(self, message_id: int) -> None:
        """Drop a reply that was withdrawn after it got ready."""
        self._ready = [reply for reply in self._ready if reply[0] != message_id]
        self.taken.discard(message_id)

    async def wait(self, limit_s: float) -> None:
        """Wait until a reply is ready, a newer exchange comes, or the limit is over."""
        self._relieve()
        if self._ready or not self.running:
            return
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        timer = loop.call_later(limit_s, self._relieve)
        try:
            await waiting
        finally:
            timer.cancel()

    def give_out(self, number: int) -> list[ReplyWire]:
        """Return the replies that are ready, and keep them until the caller confirms."""
        if number in self.void:
            return []
        replies, self._ready = self._ready, []
        if replies:
            self._given[number] = replies
        return replies

    def _relieve(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = None
