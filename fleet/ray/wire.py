"""The wire form of messages and replies between processes: plain tuples, pickled once a batch.

A `Message` is a frozen slotted dataclass, which pickles slowly and by field name; a tuple does
not. The body is pickled apart from its envelope, when the message is given to the link: so a body
that does not pickle fails its own message and never the batch, and its size is known.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ray import cloudpickle

from rolewise.agents.errors import Failure
from rolewise.agents.message import Address, Draft, Message, Nature, Reply, seal

MessageWire = tuple[Any, ...]
"""The fields of `Message` in their order; the sender as a tuple, the body as bytes."""
ReplyWire = tuple[int, tuple[str, str, int], bytes, tuple[str, ...] | None]
PROTOCOL = 5
_MAIN = b"__main__"
_NATURES = tuple(Nature)
"""By number: to call the class takes several times as long."""


def dump_body(body: Any) -> bytes:
    """Return a body as bytes that another process can read.

    The fast pickler names classes by their module, and `__main__` is another module elsewhere:
    bodies that need it go by value.

    Raises:
        Exception: Whatever pickling raises: `TypeError`, `PicklingError`, or the body's own.
    """
    try:
        data = pickle.dumps(body, PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        data = _MAIN
    if _MAIN in data:
        by_value: bytes = cloudpickle.dumps(body, PROTOCOL)  # type: ignore[no-untyped-call]
        return by_value
    return data


@dataclass(slots=True)
class Exchange:
    """What one exchange call hands over, from one caller to one replica.

    Attributes:
        caller: Who asks; one name for each life of a process.
        incarnation: The life of the replica that the caller last spoke with; empty at first.
        number: Counts this caller's exchanges with this replica, from 1.
        got: Numbers of exchanges whose replies arrived: the replica may forget those.
        lost: Numbers of exchanges of which the caller will never hear: their replies go again.
        withdrawn: Ids of requests that nobody waits for any more.
        messages: Requests and events.
    """

    caller: str
    incarnation: str
    number: int
    got: tuple[int, ...]
    lost: tuple[int, ...]
    withdrawn: tuple[int, ...]
    messages: list[MessageWire]

    def dump(self) -> bytes:
        """Return it as one blob."""
        return pickle.dumps(
            (
                self.caller,
                self.incarnation,
                self.number,
                self.got,
                self.lost,
                self.withdrawn,
                self.messages,
            ),
            PROTOCOL,
        )

    @classmethod
    def load(cls, blob: bytes) -> Exchange:
        """Read one blob."""
        return cls(*pickle.loads(blob))  # noqa: S301  (processes of one fleet trust each other)


def dump_answer(incarnation: str, replies: list[ReplyWire] | None) -> bytes:
    """Return the answer to an exchange; no list of replies says that it was not taken."""
    return pickle.dumps((incarnation, replies), PROTOCOL)


def load_answer(blob: bytes) -> tuple[str, list[ReplyWire] | None]:
    """Read the answer to an exchange."""
    incarnation, replies = pickle.loads(blob)  # noqa: S301  (processes of one fleet trust each other)
    return incarnation, replies


def pack_message(message: Message) -> MessageWire:
    """Return a message in its wire form."""
    sender = message.sender
    return (
        message.id,
        int(message.nature),
        message.kind,
        (sender.role, sender.version, sender.replica),
        message.to,
        dump_body(message.body),
        message.task,
        message.conversation,
        message.attributes,
        message.parent,
        message.table,
        message.timeout_s,
        message.hop,
        message.traceparent,
        message.arm,
        message.awaited,
        message.attempt,
        message.retry_of,
        message.task_key,
    )


def unpack_message(wire: MessageWire) -> Message:
    """Return the message of a wire form.

    Raises:
        Exception: The body's class does not import here, or its own unpickling raises.
    """
    draft = Draft(
        id=wire[0],
        nature=_NATURES[wire[1]],
        kind=wire[2],
        sender=_address(*wire[3]),
        to=wire[4],
        body=pickle.loads(wire[5]),  # noqa: S301  (processes of one fleet trust each other)
        task=wire[6],
        conversation=wire[7],
        attributes=wire[8],
        parent=wire[9],
        table=wire[10],
        timeout_s=wire[11],
        hop=wire[12],
        traceparent=wire[13],
        arm=wire[14],
        awaited=wire[15],
        attempt=wire[16],
        retry_of=wire[17],
        task_key=wire[18],
    )
    return seal(draft)


def pack_reply(reply: Reply) -> ReplyWire:
    """Return a reply in its wire form; a body that does not pickle makes it a failure."""
    sender, failure = reply.sender, reply.failure
    body = b""
    if failure is None:
        try:
            body = dump_body(reply.body)
        except Exception as error:  # noqa: BLE001  (pickling runs the body's own code)
            failure = Failure(
                code="ask_failed",
                message=f"the answer, a {type(reply.body).__name__}, does not pickle: {error}",
                role=sender.role,
                version=sender.version,
                cause=type(error).__name__,
            )
    return (
        reply.to,
        (sender.role, sender.version, sender.replica),
        body,
        None
        if failure is None
        else (failure.code, failure.message, failure.role, failure.version, failure.cause),
    )


def unpack_reply(wire: ReplyWire) -> Reply:
    """Return the reply of a wire form; a body that does not load here makes it a failure."""
    to, address, data, failed = wire
    sender = _address(*address)
    if failed is not None:
        code, message, role, version, cause = failed
        failure = Failure(code=code, message=message, role=role, version=version, cause=cause)
        return Reply(to=to, sender=sender, failure=failure)
    try:
        body = pickle.loads(data)  # noqa: S301  (processes of one fleet trust each other)
    except Exception as error:  # noqa: BLE001  (unpickling runs the body's own code)
        failure = Failure(
            code="ask_failed",
            message=f"the answer does not load at the asker: {error}",
            role=sender.role,
            version=sender.version,
            cause=type(error).__name__,
        )
        return Reply(to=to, sender=sender, failure=failure)
    return Reply(to=to, sender=sender, body=body)


@lru_cache(maxsize=4096)
def _address(role: str, version: str, replica: int) -> Address:
    return Address(role=role, version=version, replica=replica)
