"""Sends one process's messages: picks the replica, carries, times, records, and types the failure.

Both a replica's invocations and the gateway send through one. It holds no state about
conversations; what travels with a task (its table, trace and what is left of its time) is given
with each call as an `Envelope`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rolewise.agents.errors import AgentError, Failure, LoopGuard, NoReplica
from rolewise.agents.message import Address, Draft, Message, Nature, Reply, seal
from rolewise.fleet.ids import IdSource
from rolewise.fleet.link import LinkTo
from rolewise.fleet.patience import Patience
from rolewise.fleet.recording.measured import MeasuredShare
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.recording.reply_kinds import reply_kind
from rolewise.fleet.routing.router import Router
from rolewise.graphs.digests import measure
from rolewise.graphs.interactions import Arm, Happening

RESENDS = 2
"""How often a request to an idempotent role is sent again after its replica was lost."""

_RESENDABLE = frozenset({"replica_lost", "drained"})
_SENT = Happening.SENT  # members are slow to look up
NOT_MEASURED = (0, 0)
"""Digest and size of a body that is not looked into."""


@dataclass(slots=True, kw_only=True)
class Envelope:
    """What every message of one invocation has in common.

    Attributes:
        sender: The sending replica, or `OUTSIDE`.
        task_key: `rolewise.fleet.task.task_key` of the task.
        parent: The sending invocation; 0 from outside.
        deadline: Event loop time at which the task or the invocation ends; None for never.
        arm: Arm of the task, for the records.
        received: Kind that the sending invocation last received, for the records.
        retry_of: Id of the task that this one tries again; its arms are drawn by that id.
    """

    sender: Address
    task: str
    task_key: int
    conversation: str
    table: int
    attributes: Mapping[str, Any]
    parent: int = 0
    deadline: float | None = None
    hop: int = 0
    traceparent: str = ""
    arm: Arm = Arm.NONE
    received: str = ""
    retry_of: str = ""


class Messenger:
    """Asks and tells on behalf of one process.

    Args:
        router: Which replica gets the next message.
        link_to: How it gets there.
        recorder: Where it is noted.
        ids: Where message ids come from.
        now: Seconds for measuring; event loops may have a coarser clock.
        hops: Longest chain of messages, each caused by the one before; 0 for no limit.
    """

    def __init__(
        self,
        *,
        router: Router,
        link_to: LinkTo,
        recorder: Recorder,
        ids: IdSource,
        now: Callable[[], float],
        hops: int = 0,
    ) -> None:
        self.now = now
        self.hops = hops
        self._share = MeasuredShare()
        self.router = router
        self.recorder = recorder
        self.ids = ids
        self._link_to = link_to

    async def ask(
        self,
        envelope: Envelope,
        role: str,
        body: Any,
        *,
        kind: str,
        timeout_s: float | None,
        awaited: int = 1,
        message_id: int = 0,
        on_sent: Callable[[int, Address], None] | None = None,
    ) -> Any:
        """Send a request and return the answer's body.

        Args:
            envelope: What the asking invocation gives to all its messages.
            role: Role that is asked.
            body: Body of the request.
            kind: Kind of the request.
            timeout_s: Own bound of this ask; the envelope's deadline bounds it too.
            awaited: 1 alone or with others (AND), 2 the first of several (OR).
            message_id: Id that the caller has drawn already; 0 draws one.
            on_sent: Told the id of each sending, and the replica that it goes to; a request that
                is sent again has a new id.

        Raises:
            AgentError: Why there is no answer, typed; `asyncio.CancelledError` passes through.
        """
        deadline = _earlier(envelope.deadline, timeout_s)
        attempt, patience = 0, None
        while True:
            since = self.router.changes
            reply = await self._ask_once(
                envelope,
                role,
                body,
                kind=kind,
                deadline=deadline,
                awaited=awaited,
                message_id=message_id or self.ids.next(),
                attempt=attempt,
                on_sent=on_sent,
            )
            failure = reply.failure
            if failure is None:
                return reply.body
            if failure.code == NoReplica.code:
                patience = patience or Patience(self.router, role, deadline)
                await patience.wait(failure, since)
            elif (
                failure.code in _RESENDABLE
                and attempt < RESENDS
                and self.router.is_idempotent(role)
            ):
                attempt += 1
            else:
                raise failure.as_error()
            message_id = self.ids.next()

    async def tell(self, envelope: Envelope, role: str, body: Any, *, kind: str) -> None:
        """Send an event; returns when the far queue has taken it.

        Raises:
            AgentError: It was not taken.
        """
        patience = None
        while True:
            since = self.router.changes
            refused = await self._tell_once(envelope, role, body, kind=kind)
            if refused is None:
                return
            if refused.code != NoReplica.code:
                raise refused.as_error()
            patience = patience or Patience(self.router, role, envelope.deadline)
            await patience.wait(refused, since)

    async def _tell_once(
        self, envelope: Envelope, role: str, body: Any, *, kind: str
    ) -> Failure | None:
        try:
            address = self.router.pick(role, envelope, envelope.table)
        except AgentError as error:
            return _failure(error, role)
        message = self._message(
            envelope,
            role,
            body,
            kind=kind,
            message_id=self.ids.next(),
            nature=Nature.EVENT,
            timeout_s=_remaining(envelope.deadline),
            awaited=0,
        )
        now = self.now()
        is_measured = self._share.wants(envelope.task_key, now)
        digest, size = (
            measure(envelope.sender.role, role, kind, body) if is_measured else NOT_MEASURED
        )
        received = envelope.received
        self.recorder.happened(_SENT, message, address, now, 0.0, received, "", digest, size)
        self._check_hops(message, address, now)
        refused = await self._link_to(address).tell(message)
        return None if refused is None else refused.failure

    async def _ask_once(
        self,
        envelope: Envelope,
        role: str,
        body: Any,
        *,
        kind: str,
        deadline: float | None,
        awaited: int,
        message_id: int,
        attempt: int,
        on_sent: Callable[[int, Address], None] | None,
    ) -> Reply:
        router, recorder = self.router, self.recorder
        try:
            address = router.pick(role, envelope, envelope.table)
        except AgentError as error:
            return _refusal(message_id, envelope.sender, error, role)
        if on_sent is not None:
            on_sent(message_id, address)
        bound = _remaining(deadline)
        message = self._message(
            envelope,
            role,
            body,
            kind=kind,
            message_id=message_id,
            nature=Nature.REQUEST,
            timeout_s=bound,
            awaited=awaited,
            attempt=attempt,
        )
        happening, code = Happening.CANCELLED, ""
        began_s, received, asker = self.now(), envelope.received, envelope.sender.role
        is_measured = self._share.wants(envelope.task_key, began_s)
        digest, size = measure(asker, role, kind, body) if is_measured else NOT_MEASURED
        row = recorder.happened(_SENT, message, address, began_s, 0.0, received, "", digest, size)
        try:
            self._check_hops(message, address, began_s)
        except LoopGuard as error:
            return _refusal(message_id, envelope.sender, error, role)
        router.opened(address)
        try:
            if bound is None:
                reply = await self._link_to(address).ask(message)
            else:
                async with asyncio.timeout(bound):
                    reply = await self._link_to(address).ask(message)
            if reply.failure is None:
                happening, code = Happening.REPLIED, reply_kind(reply.body)
                if is_measured:
                    digest, size = measure(role, asker, kind, reply.body)
            else:
                code = reply.failure.code
                happening = Happening.TIMED_OUT if code == "ask_timed_out" else Happening.FAILED
        except TimeoutError:
            happening, code = Happening.TIMED_OUT, "ask_timed_out"
            reply = Reply(
                to=message_id,
                sender=address,
                failure=Failure(
                    code="ask_timed_out",
                    message=f"{address.node} did not answer {kind!r} within {bound:.3g} s",
                    role=role,
                    version=address.version,
                ),
            )
        finally:
            router.closed(address)
            ended_s = self.now()
            if not recorder.answered(row, happening, ended_s, code, digest, size):
                recorder.happened(
                    happening, message, address, began_s, ended_s, received, code, digest, size
                )
        return reply

    def _check_hops(self, message: Message, address: Address, now_s: float) -> None:
        """Refuse a message at the end of too long a chain: whoever sends it would go on for ever.

        It is on record as sent and failed, so that the task shows how far it came.

        Raises:
            LoopGuard: The limit is broken.
        """
        if not self.hops or message.hop <= self.hops:
            return
        self.recorder.happened(Happening.FAILED, message, address, now_s, now_s, "", LoopGuard.code)
        raise LoopGuard(
            f"task {message.task!r}: {message.hop} messages one caused by the other, "
            f"the limit is {self.hops}: {message.kind!r} to {message.to} was not sent"
        )

    @staticmethod
    def _message(
        envelope: Envelope,
        role: str,
        body: Any,
        *,
        kind: str,
        message_id: int,
        nature: Nature,
        timeout_s: float | None,
        awaited: int,
        attempt: int = 0,
    ) -> Message:
        draft = Draft(
            id=message_id,
            nature=nature,
            kind=kind,
            sender=envelope.sender,
            to=role,
            body=body,
            task=envelope.task,
            conversation=envelope.conversation,
            attributes=envelope.attributes,
            parent=envelope.parent,
            table=envelope.table,
            timeout_s=timeout_s,
            hop=envelope.hop + 1,
            traceparent=envelope.traceparent,
            arm=int(envelope.arm),
            awaited=awaited,
            attempt=attempt,
            retry_of=envelope.retry_of,
            task_key=envelope.task_key,
        )
        return seal(draft)


def _earlier(deadline: float | None, timeout_s: float | None) -> float | None:
    """Return the event loop time at which an ask must have ended."""
    if timeout_s is None:
        return deadline
    own = asyncio.get_running_loop().time() + timeout_s
    return own if deadline is None else min(deadline, own)


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())


def _failure(error: AgentError, role: str) -> Failure:
    return Failure(code=error.code, message=str(error), role=role)


def _refusal(message_id: int, sender: Address, error: AgentError, role: str) -> Reply:
    return Reply(to=message_id, sender=sender, failure=_failure(error, role))
