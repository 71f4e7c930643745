"""The store on a Redis-protocol server: the bundled one (see `embedded`) or one outside.

Keys, for the prefix `rolewise` (all of one store in one hash slot, so that scripts may touch a
stream together with its lease on a cluster, too; give each fleet its own prefix to spread them):

    {rolewise}:stream:NAME    stream; entry N has the id `N-0`, and fields `e` (it) and `h` (digest)
    {rolewise}:values         hash of values: listing them never scans the keys of other people
    {rolewise}:lease:NAME     holder's name, expires with the lease
    {rolewise}:fencing:NAME   the last fencing number granted, never expires
    {rolewise}:forked         set when entries were found to be gone: what was seen, in words

Whatever reads before it writes is one script (`rolewise.coordinator.store.scripts`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from rolewise.coordinator.store import scripts
from rolewise.coordinator.store.port import (
    Conflict,
    Lease,
    LeaseLost,
    StoreError,
    StoreForked,
    StoreReadOnly,
    StoreUnavailable,
)
from rolewise.coordinator.store.refusals import refusal_of

_ANSWER_TIMEOUT_S = 5.0
# A blocking read is cut into pieces, so that a server that went away unheard is noticed.
_BLOCK_S = 5.0
# Each waiter holds a connection; the client's own limit of 100 is too few for many watchers.
_MAX_CONNECTIONS = 1000
_SCHEMES = ("redis", "rediss", "unix")
_TLS_DOUBTS = {
    "redis": "; if the server wants TLS at this port, the address begins with rediss://",
    "rediss": "; does the server speak TLS at this port? Without it, it just waits",
}
_NOTHING_SEEN = (0, b"")


class StoreUrlInvalid(StoreError):
    """The store's address cannot be used as it is written; nothing was tried."""

    code = "store_url_invalid"
    definite = True


class RedisStore:
    """Keeps the contract of `Store` on a Redis-protocol server.

    Args:
        client: Gives bytes, not strings, and does not retry by itself: a call repeated after a
            lost reply would meet its own first try and report a conflict that is none. It has
            no socket timeout either: the client keeps that with `asyncio.wait_for`, which can
            swallow a cancellation before Python 3.12. `connect_store` builds such a client.
        prefix: Sets the store's keys apart from others' and is their hash tag; without braces.
        timeout_s: Limit for each answer of the server.
        explain: Asked why the server does not answer, by who may know; empty when it does not.
    """

    def __init__(
        self,
        client: Redis,
        prefix: str = "rolewise",
        *,
        timeout_s: float = _ANSWER_TIMEOUT_S,
        explain: Callable[[], str] | None = None,
    ) -> None:
        if not prefix or set(prefix) & set("{}"):
            raise ValueError(f"prefix is {prefix!r}: it may not be empty or contain {{ or }}")
        self._client = client
        self._execute: Callable[..., Awaitable[Any]] = client.execute_command
        self._prefix = prefix
        self._values = self._key("values")
        self._mark = self._key("forked")
        self._append = client.register_script(scripts.APPEND)
        self._read = client.register_script(scripts.READ)
        self._forget = client.register_script(scripts.FORGET)
        self._put = client.register_script(scripts.PUT)
        self._acquire = client.register_script(scripts.ACQUIRE)
        self._release = client.register_script(scripts.RELEASE)
        self._timeout_s = timeout_s
        self._explain = explain
        self._seen: dict[str, tuple[int, bytes]] = {}

    async def append(
        self, stream: str, entries: Sequence[bytes], *, after: int, lease: Lease | None = None
    ) -> int:
        """See `Store.append`."""
        keys = [self._key("stream", stream), self._mark]
        if lease is not None:
            keys.append(self._key("fencing", lease.name))
        fencing = 0 if lease is None else lease.fencing
        seen = self._seen.get(stream, _NOTHING_SEEN)
        answer = await self._answer(self._append(keys, [after, fencing, *seen, *entries]))
        outcome, number = answer[:2]
        if lease is not None and outcome == b"lease lost":
            raise LeaseLost(lease, number)
        if outcome == b"forked":
            raise StoreForked(number.decode())
        if outcome == b"conflict":
            raise Conflict(stream, after, number)
        self._note_seen(stream, int(number), answer[2])
        return int(number)

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """See `Store.read`."""
        keys = [self._key("stream", stream), self._mark]
        seen = self._seen.get(stream, _NOTHING_SEEN)
        outcome, digest, *found = await self._answer(self._read(keys, [after, limit, *seen]))
        if outcome == b"forked":
            raise StoreForked(digest.decode())
        entries = list(zip(map(int, found[::2]), found[1::2], strict=True))
        if entries:
            self._note_seen(stream, entries[-1][0], digest)
        return entries

    async def forget(self, stream: str, numbers: Collection[int]) -> None:
        """See `Store.forget`."""
        if numbers:
            await self._answer(self._forget([self._key("stream", stream)], list(numbers)))

    async def wait(self, stream: str, *, after: int, timeout_s: float) -> bool:
        """See `Store.wait`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        key = self._key("stream", stream)
        while (left_s := until_s - loop.time()) > 0:
            block_s = min(left_s, _BLOCK_S)
            block_ms = max(1, int(block_s * 1000))  # 0 would block for ever
            command = ("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", key, f"{after}-0")
            if await self._answer(self._execute(*command), block_s=block_s):
                return True
        return bool(await self.read(stream, after=after, limit=1))

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        only_if_absent: bool = False,
        lease: Lease | None = None,
    ) -> bool:
        """See `Store.put`."""
        keys, fencing = [self._values], 0
        if lease is not None:
            keys.append(self._key("fencing", lease.name))
            fencing = lease.fencing
        outcome, number = await self._answer(
            self._put(keys, [key, value, int(only_if_absent), fencing])
        )
        if lease is not None and outcome == b"lease lost":
            raise LeaseLost(lease, number)
        return bool(number)

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        value: bytes | None = await self._ask("HGET", self._values, key)
        return value

    async def remove(self, key: str) -> None:
        """See `Store.remove`."""
        await self._ask("HDEL", self._values, key)

    async def keys(self, prefix: str) -> list[str]:
        """See `Store.keys`."""
        names = (name.decode() for name in await self._ask("HKEYS", self._values))
        return sorted(name for name in names if name.startswith(prefix))

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Store.acquire`."""
        if ttl_s <= 0:
            raise ValueError(f"ttl_s is {ttl_s}: a lease lasts for more than 0 seconds")
        keys = [self._key("lease", name), self._key("fencing", name)]
        fencing = await self._answer(self._acquire(keys, [holder, max(1, round(ttl_s * 1000))]))
        return Lease(name=name, holder=holder, fencing=fencing, ttl_s=ttl_s) if fencing else None

    async def release(self, lease: Lease) -> None:
        """See `Store.release`."""
        keys = [self._key("lease", lease.name), self._key("fencing", lease.name)]
        await self._answer(self._release(keys, [lease.holder, lease.fencing]))

    async def check_whole(self) -> None:
        """See that nobody has found entries of this store to be gone.

        Raises:
            StoreForked: Somebody has.
        """
        mark = await self._ask("GET", self._mark)
        if mark is not None:
            raise StoreForked(mark.decode())

    async def accept_loss(self) -> None:
        """Go on from the entries that are left: what a person has decided to do about a fork."""
        await self._ask("DEL", self._mark)
        self._seen.clear()

    async def close(self) -> None:
        """Close the connections; the store's data are not touched."""
        await self._client.aclose()

    async def check(self) -> None:
        """See that the server answers and would not evict entries to make room for others' keys.

        Raises:
            StoreUnavailable: It does not, or it would.
        """
        memory = await self._ask("INFO", "memory")
        policy = str(memory.get("maxmemory_policy", "noeviction"))
        if memory.get("maxmemory", 0) and policy.startswith("allkeys"):
            raise StoreUnavailable(
                f"maxmemory-policy is {policy}: it would drop entries when memory is full;"
                " allowed are noeviction and the volatile-* policies"
            )

    def _key(self, *parts: str) -> str:
        return ":".join((f"{{{self._prefix}}}", *parts))

    async def _ask(self, *command: str | bytes | float) -> Any:
        return await self._answer(self._execute(*command))

    async def _answer(self, call: Awaitable[Any], *, block_s: float = 0.0) -> Any:
        """Await the server's answer; what it refuses and what gets lost are `StoreUnavailable`."""
        try:
            async with asyncio.timeout(self._timeout_s + block_s) as limit:
                return await call
        except (RedisError, OSError) as error:
            if limit.expired():
                raise StoreUnavailable(f"no answer within {self._timeout_s:g} s") from error
            refusal = refusal_of(error)
            if isinstance(refusal, StoreReadOnly):
                # The address may lead to another server by now: look it up anew.
                await self._client.connection_pool.disconnect(inuse_connections=False)
            if type(refusal) is StoreUnavailable and self._explain is not None:
                refusal = StoreUnavailable(self._explain() or str(refusal))
            raise refusal from error

    def _note_seen(self, stream: str, number: int, digest: bytes) -> None:
        if number > self._seen.get(stream, _NOTHING_SEEN)[0]:
            self._seen[stream] = (number, digest)


async def connect_store(
    url: str,
    prefix: str = "rolewise",
    *,
    timeout_s: float = _ANSWER_TIMEOUT_S,
    explain: Callable[[], str] | None = None,
) -> RedisStore:
    """Connect to the server at `url` and see that it answers and will not forget.

    Args:
        url: `redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS (certificate and
            host name are checked), or `unix:///path/to/socket`; the client's options may follow
            as a query, such as `?ssl_ca_certs=FILE`.
        prefix: See `RedisStore`.
        timeout_s: Limit for each answer of the server, and for each connection to it.
        explain: See `RedisStore`.

    Raises:
        StoreUrlInvalid: The address cannot be used as it is written.
        StoreUnavailable: Nobody answers there, or the server is set to evict keys when its memory
            is full; its kinds say what else is wrong, such as the password.
    """
    place = _without_secrets(url)
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        allowed = ", ".join(f"{known}://" for known in _SCHEMES)
        raise StoreUrlInvalid(f"store address {place!r}: it must begin with one of {allowed}")
    options: dict[str, Any] = {
        "socket_timeout": None,
        "socket_connect_timeout": timeout_s,
        "max_connections": _MAX_CONNECTIONS,
        "retry": Retry(NoBackoff(), 0),
    }
    if scheme == "rediss":
        options["ssl_check_hostname"] = True
    try:
        store = RedisStore(
            Redis.from_url(url, **options), prefix, timeout_s=timeout_s, explain=explain
        )
        await store.check()
    except (ValueError, TypeError) as error:  # options in the query that the client does not know
        raise StoreUrlInvalid(f"store address {place!r}: {error}") from error
    except StoreUnavailable as error:
        await store.close()
        doubt = _TLS_DOUBTS.get(scheme, "") if type(error) is StoreUnavailable else ""
        raise type(error)(f"store at {place}: {error}{doubt}") from error
    return store


def _without_secrets(url: str) -> str:
    """Return the address without user, password and query, fit for messages."""
    bare = url.partition("?")[0]
    scheme, divider, rest = bare.partition("://")
    return scheme + divider + rest.rpartition("@")[2]
