"""The asking end of an exchange link: one process's way to one replica, many messages a call.

One actor call a message is too slow. An *exchange* is a call that hands over what was asked in
the meantime and returns as soon as any reply for this caller is ready, its own or an earlier
one's. At most two are under way: one that waits at the replica, and a newer one that brings new
messages and relieves it. So a batch never waits for its slowest message, a lone ask travels like
a bare call, and the more is asked, the more each call carries. When much is asked while none is
under way, it goes in two halves: else all of it would go to and fro as one, and each end would
stand still while the other works.

What can go wrong, and what the asker sees:
- The replica's process died: `replica_lost` for what was handed over (it may have acted).
- It cannot be reached for a moment: the exchange is sent again. The replica knows each message
  by its id and handles it once; it keeps replies until this end says that they arrived.
- It is another life of the replica (`incarnation`): what the former one had is lost; what was
  never handed over goes to the new one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ray.exceptions import ActorUnavailableError

from rolewise.agents.errors import Failure
from rolewise.agents.message import Address, Message, Reply
from rolewise.fleet.ray.wire import (
    Exchange,
    MessageWire,
    ReplyWire,
    load_answer,
    pack_message,
    unpack_reply,
)

IN_FLIGHT = 2
BATCH_MESSAGES = 512
SPLIT_MESSAGES = 32
"""From so many on, halves gain more time than the second call costs."""
BATCH_BYTES = 4_000_000
RETRY_S = 0.2
_BODY = 5  # place of the body in a message's wire form

Carry = Callable[[bytes], "asyncio.Future[bytes]"]
"""Makes one exchange call. `ActorUnavailableError`: it may or may not have arrived, and the
replica may still live. Any other error: it is dead, or it cannot answer at all."""


def carry_by_actor(actor: Any) -> Carry:
    """Return the way to a replica's actor."""

    def carry(blob: bytes) -> asyncio.Future[bytes]:
        return asyncio.wrap_future(actor.exchange.remote(blob).future())

    return carry


@dataclass(slots=True)
class _Open:
    """A message whose reply is awaited.

    `exchange` is the number of the one that carries it, 0 while it is in the outbox; `doubtful`
    says that an exchange which carried it was lost, so that the replica may have it already.
    """

    wire: MessageWire
    reply: asyncio.Future[Reply]
    exchange: int = 0
    doubtful: bool = False

    @property
    def is_handed_over(self) -> bool:
        return self.exchange > 0 or self.doubtful


class ExchangeLink:
    """See `rolewise.fleet.link.Link`. All calls come from one event loop.

    Args:
        address: The replica.
        carry: Makes an exchange call to it.
        caller: Name of this process's life.
        outbox_limit: Messages that may wait to be handed over; a further asker waits its turn.
        unreachable_s: How long the replica may be out of reach until its messages are given up.
    """

    def __init__(
        self,
        address: Address,
        carry: Carry,
        caller: str,
        *,
        outbox_limit: int = 4096,
        unreachable_s: float = 3.0,
    ) -> None:
        self.address = address
        self._carry = carry
        self._caller = caller
        self._outbox_limit = outbox_limit
        self._unreachable_s = unreachable_s
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, _Open] = {}
        self._outbox: deque[int] = deque()
        self._turns: deque[asyncio.Future[None]] = deque()
        self._flying: dict[int, list[int]] = {}
        self._number = 0
        self._incarnation = ""
        self._got: list[int] = []
        self._lost: list[int] = []
        self._withdrawn: list[int] = []
        self._is_pump_due = False
        self._down_since: float | None = None
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether replies are awaited."""
        return bool(self._open)

    async def ask(self, message: Message) -> Reply:
        """Carry a request and return its reply."""
        try:
            wire = pack_message(message)
        except Exception as error:  # noqa: BLE001  (pickling runs the body's own code)
            text = f"the body, a {type(message.body).__name__}, does not pickle: {error}"
            return self._failed(message.id, "message_refused", text)
        while len(self._outbox) >= self._outbox_limit and not self._is_closed:
            turn = self._loop.create_future()
            self._turns.append(turn)
            await turn
        if self._is_closed:
            return self._failed(message.id, "no_replica", f"{self.address} is gone")
        entry = _Open(wire, self._loop.create_future())
        self._open[message.id] = entry
        self._outbox.append(message.id)
        self._pump_soon()
        try:
            return await entry.reply
        except asyncio.CancelledError:
            self._withdraw(message.id)
            raise

    async def tell(self, message: Message) -> Reply | None:
        """Carry an event; the far side answers as soon as its queue has taken it."""
        reply = await self.ask(message)
        return None if reply.failure is None else reply

    def close(self, why: str = "is gone") -> None:
        """Fail what is open, for this reason, and carry nothing more."""
        self._is_closed = True
        self._fail(list(self._open), why)
        self._next_turns()

    # Sending.

    def _pump_soon(self) -> None:
        # One round of the loop later, so that what is asked together travels together.
        if not self._is_pump_due:
            self._is_pump_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pump_due = False
        if self._is_closed:
            return
        in_flight = 1 if self._down_since is not None else IN_FLIGHT
        while (calls := in_flight - len(self._flying)) > 0 and (self._outbox or self._withdrawn):
            self._send(calls)
        if self._open and not self._flying:
            self._send()
        self._next_turns()

    def _send(self, calls: int = 1) -> None:
        """Make an exchange, the first of so many that may share what is in the outbox."""
        many = len(self._outbox)
        most = min(BATCH_MESSAGES, -(-many // calls) if many >= SPLIT_MESSAGES else many)
        self._number += 1
        ids: list[int] = []
        wires: list[MessageWire] = []
        size = 0
        while self._outbox and len(ids) < most and size < BATCH_BYTES:
            message_id = self._outbox.popleft()
            entry = self._open.get(message_id)
            if entry is None or entry.reply.done():
                continue  # cancelled before it left
            entry.exchange = self._number
            size += len(entry.wire[_BODY])
            ids.append(message_id)
            wires.append(entry.wire)
        blob = Exchange(
            caller=self._caller,
            incarnation=self._incarnation,
            number=self._number,
            got=tuple(self._got),
            lost=tuple(self._lost),
            withdrawn=tuple(self._withdrawn),
            messages=wires,
        ).dump()
        said = (tuple(self._got), tuple(self._lost), tuple(self._withdrawn))
        self._got.clear()
        self._lost.clear()
        self._withdrawn.clear()
        number = self._number
        self._flying[number] = ids
        self._carry(blob).add_done_callback(lambda answer: self._returned(number, said, answer))

    # Receiving.

    def _returned(
        self, number: int, said: tuple[tuple[int, ...], ...], answer: asyncio.Future[bytes]
    ) -> None:
        ids = self._flying.pop(number)
        if self._is_closed or answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self._down_since = None
            incarnation, replies = load_answer(answer.result())
            if replies is None:
                self._meet_another_life(incarnation, ids)
            else:
                self._incarnation = incarnation
                if replies:
                    self._got.append(number)
                    self._resolve(replies)
            # One round later: askers that were just answered often ask again.
            self._pump_soon()
        elif isinstance(error, ActorUnavailableError):
            for pending, again in zip((self._got, self._lost, self._withdrawn), said, strict=True):
                pending.extend(again)
            self._lost.append(number)
            self._try_again(ids)
        else:
            self._fail(list(self._open), "died before it answered")

    def _resolve(self, replies: Iterable[ReplyWire]) -> None:
        for wire in replies:
            entry = self._open.pop(wire[0], None)
            if entry is not None and not entry.reply.done():
                entry.reply.set_result(unpack_reply(wire))

    def _try_again(self, ids: list[int]) -> None:
        now = self._loop.time()
        if self._down_since is None:
            self._down_since = now
        again = [i for i in ids if i in self._open]
        for message_id in again:
            self._open[message_id].exchange = 0
            self._open[message_id].doubtful = True
        if not self._incarnation:
            # Never spoken to: a new life of it could not tell that this is a repetition.
            self._fail(again, "could not be reached")
            again = []
        self._outbox.extendleft(reversed(again))
        if now - self._down_since >= self._unreachable_s:
            self._down_since = None
            self._fail(list(self._open), f"was out of reach for {self._unreachable_s:g} s")
        elif self._open:
            self._loop.call_later(RETRY_S, self._pump)

    def _meet_another_life(self, incarnation: str, ids: list[int]) -> None:
        self._incarnation = incarnation
        self._got.clear()
        self._lost.clear()
        fresh = [i for i in ids if i in self._open and not self._open[i].doubtful]
        for message_id in fresh:
            self._open[message_id].exchange = 0
        self._outbox.extendleft(reversed(fresh))
        flying = {i for others in self._flying.values() for i in others}
        lost = [i for i, entry in self._open.items() if entry.is_handed_over and i not in flying]
        self._fail(lost, "died before it answered")
        self._withdrawn.clear()

    # Ending.

    def _withdraw(self, message_id: int) -> None:
        entry = self._open.pop(message_id, None)
        if entry is not None and entry.is_handed_over and not self._is_closed:
            self._withdrawn.append(message_id)
            self._pump_soon()

    def _fail(self, ids: Iterable[int], what: str) -> None:
        for message_id in ids:
            entry = self._open.pop(message_id)
            code = "no_replica"
            if entry.is_handed_over:
                code = "replica_lost"
                self._withdrawn.append(message_id)
            if not entry.reply.done():
                entry.reply.set_result(self._failed(message_id, code, f"{self.address} {what}"))

    def _failed(self, message_id: int, code: str, text: str) -> Reply:
        return Reply(
            to=message_id,
            sender=self.address,
            failure=Failure(
                code=code, message=text, role=self.address.role, version=self.address.version
            ),
        )

    def _next_turns(self) -> None:
        room = self._outbox_limit - len(self._outbox)
        while self._turns and (room > 0 or self._is_closed):
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1
