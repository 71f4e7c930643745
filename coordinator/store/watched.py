"""A store, and since when it has been away: what status pages and logs say while it is.

Reading and writing are told apart: a server whose disk is full answers every question and takes
no entry, and must not count as back with each answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from rolewise.coordinator.store.port import Lease, Store, StoreError, StoreUnavailable

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_Way = Literal["reading", "writing"]

PROBE = "probe"
"""Name of the value and of the empty stream by which `look` tries the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """The store cannot be used: since when, and the newest error."""

    since: datetime
    error: StoreUnavailable

    def sentence(self, now: datetime) -> str:
        """Return it in words, with what that means for fleets and rollouts."""
        for_s = max(0.0, (now - self.since).total_seconds())
        return (
            f"the store is away since {self.since:%Y-%m-%d %H:%M:%S} UTC ({for_s:.0f} s): "
            f"{self.error}; fleets serve on by their last routing tables, no rollout moves"
        )


class WatchedStore:
    """Passes all on to a store and notes whether it could do it; see `Store` for the contract.

    Args:
        store: The store.
        now: The time, aware UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._troubles: dict[_Way, Away] = {}

    @property
    def away(self) -> Away | None:
        """Since when the store has been away; None while it can be read and written."""
        return min(self._troubles.values(), key=lambda away: away.since, default=None)

    async def look(self) -> None:
        """Try to write, so that `away` is right although nobody uses the store.

        Raises:
            StoreUnavailable: It is away.
        """
        await self.put(PROBE, b"")
        await self.append(PROBE, (), after=0)  # a store that has lost entries refuses this, too

    async def append(
        self, stream: str, entries: Sequence[bytes], *, after: int, lease: Lease | None = None
    ) -> int:
        """See `Store.append`."""
        call = self._store.append(stream, entries, after=after, lease=lease)
        return await self._noted("writing", call)

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """See `Store.read`."""
        return await self._noted("reading", self._store.read(stream, after=after, limit=limit))

    async def forget(self, stream: str, numbers: Collection[int]) -> None:
        """See `Store.forget`."""
        await self._noted("writing", self._store.forget(stream, numbers))

    async def wait(self, stream: str, *, after: int, timeout_s: float) -> bool:
        """See `Store.wait`."""
        call = self._store.wait(stream, after=after, timeout_s=timeout_s)
        return await self._noted("reading", call)

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        only_if_absent: bool = False,
        lease: Lease | None = None,
    ) -> bool:
        """See `Store.put`."""
        call = self._store.put(key, value, only_if_absent=only_if_absent, lease=lease)
        return await self._noted("writing", call)

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        return await self._noted("reading", self._store.get(key))

    async def remove(self, key: str) -> None:
        """See `Store.remove`."""
        await self._noted("writing", self._store.remove(key))

    async def keys(self, prefix: str) -> list[str]:
        """See `Store.keys`."""
        return await self._noted("reading", self._store.keys(prefix))

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Store.acquire`."""
        return await self._noted("writing", self._store.acquire(name, holder, ttl_s))

    async def release(self, lease: Lease) -> None:
        """See `Store.release`."""
        await self._noted("writing", self._store.release(lease))

    async def _noted(self, way: _Way, call: Awaitable[_T]) -> _T:
        try:
            answer = await call
        except StoreUnavailable as error:
            self._note_away(way, error)
            raise
        except StoreError:  # it answered, and that is what counts here
            self._note_back(way)
            raise
        self._note_back(way)
        return answer

    def _note_away(self, way: _Way, error: StoreUnavailable) -> None:
        before = self._troubles.get(way)
        if before is None or type(before.error) is not type(error):
            log.warning("%s the store fails: %s", way, error)
        since = self._now() if before is None else before.since
        self._troubles[way] = Away(since=since, error=error)

    def _note_back(self, way: _Way) -> None:
        if (was := self._troubles.pop(way, None)) is not None:
            for_s = (self._now() - was.since).total_seconds()
            log.warning("%s the store works again, after %.1f s", way, for_s)
