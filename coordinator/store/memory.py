"""The store in this process: for rehearsals in virtual time and for tests. Nothing outlives it.

Every change is made without an `await` in between, so that tasks of one event loop see it whole.
Leases run out by the given clock, and `wait` ends by it, so both follow a rehearsal's own time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice

from rolewise.coordinator.store.port import Conflict, Lease, LeaseLost
from rolewise.fleet.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    """A lease as it stands; it has run out when the clock reaches `until_s`."""

    lease: Lease
    until_s: float


class MemoryStore:
    """Keeps the contract of `Store`, short of durability, in one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._streams: defaultdict[str, dict[int, bytes]] = defaultdict(dict)
        self._values: dict[str, bytes] = {}
        self._grants: dict[str, _Grant] = {}
        self._fencings: defaultdict[str, int] = defaultdict(int)
        self._appended = asyncio.Event()

    async def append(
        self, stream: str, entries: Sequence[bytes], *, after: int, lease: Lease | None = None
    ) -> int:
        """See `Store.append`."""
        self._check(lease)
        log = self._streams[stream]
        last = self._last(stream)
        if last != after:
            raise Conflict(stream, after, last)
        log.update(enumerate(entries, start=last + 1))
        self._appended.set()
        self._appended = asyncio.Event()
        return self._last(stream)

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """See `Store.read`."""
        log, last = self._streams[stream], self._last(stream)
        numbers = (number for number in range(after + 1, last + 1) if number in log)
        return [(number, log[number]) for number in islice(numbers, limit)]

    async def forget(self, stream: str, numbers: Collection[int]) -> None:
        """See `Store.forget`."""
        log, last = self._streams[stream], self._last(stream)
        for number in numbers:
            if number != last:
                log.pop(number, None)

    async def wait(self, stream: str, *, after: int, timeout_s: float) -> bool:
        """See `Store.wait`; the timeout is in the clock's seconds."""
        if self._last(stream) > after or timeout_s <= 0:
            return self._last(stream) > after
        arrival = asyncio.ensure_future(self._arrival(stream, after))
        timer = asyncio.ensure_future(self._clock.sleep(timeout_s))
        try:
            await asyncio.wait({arrival, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
            timer.cancel()
        return self._last(stream) > after

    def _check(self, lease: Lease | None) -> None:
        if lease is not None and lease.fencing != self._fencings[lease.name]:
            raise LeaseLost(lease, self._fencings[lease.name])

    def _last(self, stream: str) -> int:
        return next(reversed(self._streams[stream]), 0)

    async def _arrival(self, stream: str, after: int) -> None:
        while self._last(stream) <= after:
            await self._appended.wait()

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        only_if_absent: bool = False,
        lease: Lease | None = None,
    ) -> bool:
        """See `Store.put`."""
        self._check(lease)
        if only_if_absent and key in self._values:
            return False
        self._values[key] = value
        return True

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        return self._values.get(key)

    async def remove(self, key: str) -> None:
        """See `Store.remove`."""
        self._values.pop(key, None)

    async def keys(self, prefix: str) -> list[str]:
        """See `Store.keys`."""
        return sorted(key for key in self._values if key.startswith(prefix))

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Store.acquire`."""
        if ttl_s <= 0:
            raise ValueError(f"ttl_s is {ttl_s}: a lease lasts for more than 0 seconds")
        now = self._clock.now()
        grant = self._grants.get(name)
        held = grant is not None and now < grant.until_s
        if held and grant is not None and grant.lease.holder != holder:
            return None
        if not held:
            self._fencings[name] += 1
        lease = Lease(name=name, holder=holder, fencing=self._fencings[name], ttl_s=ttl_s)
        self._grants[name] = _Grant(lease=lease, until_s=now + ttl_s)
        return lease

    async def release(self, lease: Lease) -> None:
        """See `Store.release`."""
        grant = self._grants.get(lease.name)
        if grant is not None and grant.lease.fencing == lease.fencing:
            del self._grants[lease.name]
