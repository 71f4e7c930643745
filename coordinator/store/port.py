"""The store: where the truth about rollouts is kept. Memory and Redis keep one contract.

A stream is a list of entries numbered from 1 without gaps. `append` names the number of the last
entry that the writer has read: if somebody else appended meanwhile, it is refused with
`Conflict`, nothing is written, and the writer reads on and decides again. When `append` returns,
the entries survive the death of the store's process (the embedded server syncs to disk first).

The lease makes one controller the leader of a fleet. Each grant has a larger fencing number than
all before; an `append` or `put` under a lease that is not the latest is refused with `LeaseLost`.
A lease that has run out but was not granted anew still counts as the latest: what is refused is
the writer that has been replaced. An expired lease is always granted with a new number, also to
its last holder. A holder's name stands for one incarnation of a controller, not for its place.

The store's history may not change behind a writer's back. A writer that has read or written entry
N and later finds another entry there, or none, meets `StoreForked`: a replica that lacked the
newest entries has taken over. Nothing is appended to such a log until a person has decided.

    StoreError               code, definite
    |- Conflict              another writer was first; nothing happened
    |- LeaseLost             this writer has been replaced; nothing happened
    `- StoreUnavailable      no answer; not known whether it happened
       |- StoreFull          no memory or disk left; nothing happened
       |- StoreReadOnly      a replica, or one without its replicas; nothing happened
       |- StoreLoginRefused  password missing or wrong, or too few rights; nothing happened
       |- StoreNotTrusted    no TLS connection comes about; nothing happened
       `- StoreForked        entries that were there are gone; nothing happened
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol


class StoreError(Exception):
    """The store could not do it; `definite` is true when it surely changed nothing."""

    code: ClassVar[str] = "store_error"
    definite: ClassVar[bool] = False


class Conflict(StoreError):
    """Somebody else appended first; nothing was written. `last` is the stream's last number."""

    code = "store_conflict"
    definite = True

    def __init__(self, stream: str, expected: int, last: int) -> None:
        super().__init__(f"{stream}: expected entry {expected} to be the last, but it is {last}")
        self.stream = stream
        self.expected = expected
        self.last = last


class LeaseLost(StoreError):
    """A newer lease was granted; this writer is no longer the leader. Nothing was written."""

    code = "lease_lost"
    definite = True

    def __init__(self, lease: Lease, latest: int) -> None:
        super().__init__(
            f"lease {lease.name!r}: {lease.holder} holds number {lease.fencing},"
            f" but the latest is {latest}"
        )
        self.lease = lease
        self.latest = latest


class StoreUnavailable(StoreError):
    """The store does not answer; whether the last call was carried out is not known."""

    code = "store_unavailable"


class StoreFull(StoreUnavailable):
    """The server has no memory, or no disk, for more; it refuses what would write."""

    code = "store_full"
    definite = True


class StoreReadOnly(StoreUnavailable):
    """The server takes no writes now: it is a replica, or has too few replicas of its own."""

    code = "store_read_only"
    definite = True


class StoreLoginRefused(StoreUnavailable):
    """The server does not know this user or password, or does not let them do this."""

    code = "store_login_refused"
    definite = True


class StoreNotTrusted(StoreUnavailable):
    """No TLS connection comes about: one side has none, or a certificate is not trusted."""

    code = "store_not_trusted"
    definite = True


class StoreForked(StoreUnavailable):
    """The log is not the one that was read before: its newest entries are gone. See the module."""

    code = "store_forked"
    definite = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Leadership of a fleet until `ttl_s` after the last renewal, under this fencing number."""

    name: str
    holder: str
    fencing: int
    ttl_s: float

    def number(self, rollout: int = 0, event: int = 0) -> int:
        """Return the number that a command to the fleet carries; see `rolewise.fleet.runtime`.

        Args:
            rollout: Which of the fleet's rollouts it belongs to, from 1.
            event: The event of its log that asks for it.
        """
        return self.fencing << 64 | rollout << 32 | event


class Store(Protocol):
    """Streams, values and leases. Entries and values are bytes; coding is the caller's."""

    async def append(
        self, stream: str, entries: Sequence[bytes], *, after: int, lease: Lease | None = None
    ) -> int:
        """Append entries behind number `after`, all or none; return the last number.

        Raises:
            LeaseLost: `lease` was given and a newer one was granted. Checked first.
            StoreForked: The stream lacks entries that this writer has seen.
            Conflict: The stream's last number is not `after`.
            StoreUnavailable: Not known whether it was written: read on, then decide again. (Its
                definite kinds: nothing was written.)
        """
        ...

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """Return up to `limit` entries behind number `after`, with their numbers.

        Raises:
            StoreForked: The stream lacks entries that this reader has seen.
            StoreUnavailable: It cannot be read now.
        """
        ...

    async def forget(self, stream: str, numbers: Collection[int]) -> None:
        """Drop these entries of a stream; the others keep their numbers, and the last one stays."""
        ...

    async def wait(self, stream: str, *, after: int, timeout_s: float) -> bool:
        """Return true once the stream has an entry behind `after`, false after the timeout."""
        ...

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        only_if_absent: bool = False,
        lease: Lease | None = None,
    ) -> bool:
        """Set a value; with `only_if_absent`, return false and change nothing if there is one.

        Raises:
            LeaseLost: `lease` was given and a newer one was granted. Checked first.
            StoreUnavailable: Not known whether it was set.
        """
        ...

    async def get(self, key: str) -> bytes | None:
        """Return a value, or None."""
        ...

    async def remove(self, key: str) -> None:
        """Drop a value; nothing happens when there is none."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Return the names of values that begin with `prefix`, sorted."""
        ...

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Take or renew the lease; None while another holder has it.

        Renewal by the same holder, before the lease runs out, keeps the fencing number; a new
        grant gets a larger one.

        Raises:
            ValueError: `ttl_s` is not above zero.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease up if it is still held; the next grant has a larger number anyway."""
        ...
