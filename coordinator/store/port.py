"""The store: where the truth about rollouts is kept. Memory and Redis keep one contract.

A stream is a list of entries numbered from 1 without gaps. `append` names the number of the last
entry that the writer has read: if somebody else appended meanwhile, it is refused with
`Conflict`, nothing is written, and the writer reads on and decides again. When `append` returns,
the entries survive the death of the store's process (the embedded server syncs to disk first).

The lease makes one controller the leader of a fleet. Each grant has a larger fencing number than
all before; an `append` with a fencing number that is no longer the latest is refused with
`Fenced`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """The store could not do it."""


class Conflict(StoreError):  # noqa: N818
    """Somebody else appended first; nothing was written. `last` is the stream's last number."""

    def __init__(self, stream: str, expected: int, last: int) -> None:
        super().__init__(f"{stream}: expected entry {expected} to be the last, but it is {last}")
        self.last = last


class LeaseLost(StoreError):  # noqa: N818
    """A newer lease was granted; this writer is no longer the leader. Nothing was written."""


class StoreUnavailable(StoreError):  # noqa: N818
    """The store does not answer; whether the last call was carried out is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Leadership of a fleet until `ttl_s` after the last renewal, under this fencing number."""

    name: str
    holder: str
    fencing: int
    ttl_s: float


class Store(Protocol):
    """Streams, values and leases. Entries and values are bytes; coding is the caller's."""

    async def append(
        self, stream: str, entries: Sequence[bytes], *, after: int, lease: Lease | None = None
    ) -> int:
        """Append entries behind number `after`, all or none; return the last number.

        Raises:
            Conflict: The stream's last number is not `after`.
            LeaseLost: `lease` was given and a newer one was granted.
            StoreUnavailable: See there.
        """
        ...

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """Return up to `limit` entries behind number `after`, with their numbers."""
        ...

    async def wait(self, stream: str, *, after: int, timeout_s: float) -> bool:
        """Return true as soon as the stream has an entry behind `after`, false after the timeout."""
        ...

    async def put(self, key: str, value: bytes, *, only_if_absent: bool = False) -> bool:
        """Set a value; with `only_if_absent`, return false and change nothing if there is one."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return a value, or None."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Return the names of values that begin with `prefix`, sorted."""
        ...

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Take or renew the lease; None while another holder has it.

        Renewal by the same holder keeps the fencing number; a new grant gets a larger one.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease up if it is still held; the next grant has a larger number all the same."""
        ...
