"""What one invocation waits for, in a form that can be read at any moment and from any thread.

A request that is sent again, because its first replica was lost, gets another id: whoever reads
sees the id under which it is on its way now.
"""

from __future__ import annotations

from typing import NamedTuple

from rolewise.agents.message import Address, Message
from rolewise.graphs.snapshots import RunningInvocation


class _Wait(NamedTuple):
    """Replaced as a whole, so that another thread never reads half of it.

    Attributes:
        epoch: Counts the changes.
        ids: Requests whose replies are outstanding.
        to: Where each of them was sent; empty until it is.
        locks: Locks that it waits for.
        need: How many of both must be met.
        deadline: Loop time at which it ends by itself.
        since: Loop time at which it began.
    """

    epoch: int
    ids: tuple[int, ...]
    to: tuple[str, ...]
    locks: tuple[int, ...]
    need: int
    deadline: float | None
    since: float


class Waiting:
    """The wait of one invocation, or that it waits for nothing.

    Args:
        now: Loop time at which the invocation began.
    """

    __slots__ = ("_sendings", "_wait")

    def __init__(self, now: float) -> None:
        self._wait = _Wait(0, (), (), (), 0, None, now)
        self._sendings: dict[int, int] = {}

    def begin(
        self,
        ids: tuple[int, ...],
        need: int,
        deadline: float | None,
        now: float,
        *,
        locks: tuple[int, ...] = (),
    ) -> None:
        """Wait for replies or locks from now on; see `_Wait`."""
        self._sendings = dict(zip(ids, ids, strict=True))
        self._wait = _Wait(self._wait.epoch + 1, ids, ("",) * len(ids), locks, need, deadline, now)

    def end(self, now: float) -> None:
        """Wait for nothing from now on."""
        self._wait = _Wait(self._wait.epoch + 1, (), (), (), 0, None, now)

    def settle(self, message_id: int, *, met: int) -> None:
        """Wait no longer for this reply; `met` is 1 when it came, 0 when that branch failed."""
        wait = self._wait
        now_sent_as = self._sendings.get(message_id, message_id)
        kept = [(i, to) for i, to in zip(wait.ids, wait.to, strict=True) if i != now_sent_as]
        self._wait = wait._replace(
            epoch=wait.epoch + 1,
            ids=tuple(i for i, _ in kept),
            to=tuple(to for _, to in kept),
            need=wait.need - met,
        )

    def sent(self, first: int, now: int, address: Address) -> None:
        """Note where a request went, and under which id it is sent now."""
        wait = self._wait
        before = self._sendings.get(first)
        if before not in wait.ids:
            return  # not of the wait that is shown
        at = wait.ids.index(before)
        self._sendings[first] = now
        self._wait = wait._replace(
            # Being sent is no change of what is awaited; being sent again is.
            epoch=wait.epoch + (before != now),
            ids=(*wait.ids[:at], now, *wait.ids[at + 1 :]),
            to=(*wait.to[:at], str(address), *wait.to[at + 1 :]),
        )

    def shown(self, message: Message, now: float) -> RunningInvocation:
        """Return how a snapshot shows the invocation that handles this message."""
        wait = self._wait
        return RunningInvocation(
            id=message.id,
            epoch=wait.epoch,
            task=message.task,
            state="wait" if wait.ids or wait.locks else "active",
            waits=wait.ids,
            locks=wait.locks,
            need=wait.need,
            sent_to=wait.to,
            deadline=None if wait.deadline is None else max(0.0, wait.deadline - now),
            since=max(0.0, now - wait.since),
            arm=message.arm,
            kind=message.kind,
        )
