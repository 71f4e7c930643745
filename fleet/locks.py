"""Locks among the invocations of one replica, with their holders in the open.

`asyncio.Lock` does not say who holds it; a deadlock over two of them would be invisible. First
come, first served: also readers queue behind a writer, so that it gets its turn.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from rolewise.graphs.snapshots import Lock, LockMode


class _Held(NamedTuple):
    """Who holds a lock; replaced as a whole, so that another thread can read it."""

    epoch: int
    holders: tuple[int, ...]
    is_shared: bool


@dataclass(slots=True)
class _Asked:
    """Somebody in a lock's queue."""

    holder: int
    shared: bool
    turn: asyncio.Future[None]


@dataclass(slots=True)
class _State:
    """One lock."""

    id: int
    name: str
    permits: int
    held: _Held
    queue: deque[_Asked] = field(default_factory=deque)


class ReplicaLocks:
    """All locks of one life of a replica.

    Args:
        life: Name of that life: equal names of two lives are two locks.
    """

    def __init__(self, life: str) -> None:
        self._life = life
        self._locks: dict[str, _State] = {}
        self._changes = 0  # of all locks: one that is gone and comes again repeats no epoch

    def id_of(self, name: str) -> int:
        """Return the id under which a lock stands in snapshots."""
        digest = hashlib.blake2b(f"{self._life}/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little")

    def ask(
        self, name: str, holder: int, *, shared: bool = False, permits: int = 1
    ) -> asyncio.Future[None]:
        """Ask for a lock; the future is done once it is held. Give it back with `let_go`.

        Args:
            name: The lock; it begins to exist when it is first asked for.
            holder: Invocation that asks.
            shared: Together with others that share it.
            permits: How many may hold it at a time; the same in every call.

        Raises:
            ValueError: `permits` is below 1, or not what those say that have it now.
        """
        state = self._locks.get(name)
        wanted = permits if state is None else state.permits
        if permits < 1 or permits != wanted:
            raise ValueError(f"lock {name!r}: permits = {permits}: want {max(wanted, 1)}")
        if state is None:
            nobody = _Held(self._changes, (), is_shared=False)
            state = self._locks[name] = _State(self.id_of(name), name, permits, nobody)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        state.queue.append(_Asked(holder, shared, turn))
        self._hand_out(state)
        return turn

    def let_go(self, name: str, holder: int, turn: asyncio.Future[None]) -> None:
        """Give a lock back, or give up waiting for it."""
        state = self._locks[name]
        if turn.done() and not turn.cancelled():
            left = list(state.held.holders)
            left.remove(holder)
            self._hold(state, tuple(left), is_shared=state.held.is_shared)
        else:
            state.queue = deque(asked for asked in state.queue if asked.turn is not turn)
        self._hand_out(state)
        if not state.held.holders and not state.queue:
            del self._locks[name]

    def snapshot(self) -> tuple[Lock, ...]:
        """Return the locks that are held; callable from another thread."""
        return tuple(
            Lock(
                id=state.id,
                epoch=held.epoch,
                holders=held.holders,
                mode="shared" if held.is_shared else _MODE[state.permits > 1],
                permits=state.permits if state.permits > 1 else 0,
                name=state.name,
            )
            for state in list(self._locks.values())
            if (held := state.held).holders
        )

    def _hand_out(self, state: _State) -> None:
        while state.queue:
            asked, held = state.queue[0], state.held
            if held.holders and asked.shared != held.is_shared:
                return
            if not asked.shared and len(held.holders) >= state.permits:
                return
            state.queue.popleft()
            if asked.turn.done():
                continue  # its invocation was cancelled a moment ago
            self._hold(state, (*held.holders, asked.holder), is_shared=asked.shared)
            asked.turn.set_result(None)

    def _hold(self, state: _State, holders: tuple[int, ...], *, is_shared: bool) -> None:
        self._changes += 1
        state.held = _Held(self._changes, holders, is_shared)


_MODE: dict[bool, LockMode] = {False: "exclusive", True: "semaphore"}
