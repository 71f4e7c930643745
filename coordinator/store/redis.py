"""The store on a Redis-protocol server: the bundled one (see `embedded`) or one outside.

Keys, for the prefix `rolewise` (all of one store in one hash slot, so that scripts may touch a
stream together with its lease on a cluster, too; give each fleet its own prefix to spread them):

    {rolewise}:stream:NAME    stream; entry N has the id `N-0` and one field, `e`
    {rolewise}:values         hash of values: listing them never scans the keys of other people
    {rolewise}:lease:NAME     holder's name, expires with the lease
    {rolewise}:fencing:NAME   the last fencing number granted, never expires

Whatever reads before it writes is one script: the server runs it whole or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from rolewise.coordinator.store.port import (
    Conflict,
    Lease,
    LeaseLost,
    StoreError,
    StoreUnavailable,
)

_ANSWER_TIMEOUT_S = 5.0
# A blocking read is cut into pieces, so that a server that went away unheard is noticed.
_BLOCK_S = 5.0
# Each waiter holds a connection; the client's own limit of 100 is too few for many watchers.
_MAX_CONNECTIONS = 1000
_SCHEMES = ("redis", "rediss", "unix")

_APPEND = """
-- KEYS: stream [, fencing]   ARGV: last number expected, lease's number, entries ...
if KEYS[2] then
    local latest = redis.call('GET', KEYS[2]) or '0'
    if latest ~= ARGV[2] then return {'lease lost', tonumber(latest)} end
end
local last = 0
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if newest then last = tonumber(string.match(newest[1], '^%d+')) end
if last ~= tonumber(ARGV[1]) then return {'conflict', last} end
for i = 3, #ARGV do
    last = last + 1
    redis.call('XADD', KEYS[1], string.format('%d-0', last), 'e', ARGV[i])
end
return {'appended', last}
"""

_ACQUIRE = """
-- KEYS: lease, fencing   ARGV: holder, milliseconds   returns the number, 0 if another holds it
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if not holder then redis.call('INCR', KEYS[2]) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return tonumber(redis.call('GET', KEYS[2]))
"""

_RELEASE = """
-- KEYS: lease, fencing   ARGV: holder, number
if redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('GET', KEYS[2]) == ARGV[2] then
    redis.call('DEL', KEYS[1])
end
"""


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
    """

    def __init__(
        self, client: Redis, prefix: str = "rolewise", *, timeout_s: float = _ANSWER_TIMEOUT_S
    ) -> None:
        if not prefix or set(prefix) & set("{}"):
            raise ValueError(f"prefix is {prefix!r}: it may not be empty or contain {{ or }}")
        self._client = client
        self._execute: Callable[..., Awaitable[Any]] = client.execute_command
        self._prefix = prefix
        self._values = self._key("values")
        self._append = client.register_script(_APPEND)
        self._acquire = client.register_script(_ACQUIRE)
        self._release = client.register_script(_RELEASE)
        self._timeout_s = timeout_s

    async def append(
        self, stream: str, entries: Sequence[bytes], *, after: int, lease: Lease | None = None
    ) -> int:
        """See `Store.append`."""
        keys = [self._key("stream", stream)]
        if lease is not None:
            keys.append(self._key("fencing", lease.name))
        fencing = 0 if lease is None else lease.fencing
        outcome, number = await self._answer(self._append(keys, [after, fencing, *entries]))
        if lease is not None and outcome == b"lease lost":
            raise LeaseLost(lease, number)
        if outcome == b"conflict":
            raise Conflict(stream, after, number)
        return int(number)

    async def read(
        self, stream: str, *, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, bytes]]:
        """See `Store.read`."""
        key = self._key("stream", stream)
        found = await self._ask("XRANGE", key, f"{after + 1}-0", "+", "COUNT", limit)
        return [(int(entry_id.partition(b"-")[0]), fields[b"e"]) for entry_id, fields in found]

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

    async def put(self, key: str, value: bytes, *, only_if_absent: bool = False) -> bool:
        """See `Store.put`."""
        if only_if_absent:
            return bool(await self._ask("HSETNX", self._values, key, value))
        await self._ask("HSET", self._values, key, value)
        return True

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        value: bytes | None = await self._ask("HGET", self._values, key)
        return value

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
        """Await the server's answer; what it refuses and what gets lost are `StoreUnavailable`.

        A refusal (out of memory, read-only replica, no permission) is not told apart from a lost
        reply: the caller can do the same about both, which is to say so and try later.
        """
        try:
            async with asyncio.timeout(self._timeout_s + block_s) as limit:
                return await call
        except (RedisError, OSError) as error:
            words = str(error)
            if limit.expired():
                words = f"no answer within {self._timeout_s:g} s"
            elif isinstance(error.__cause__ or error, AuthenticationError):
                words = f"the password is missing or wrong: {error}"
            raise StoreUnavailable(words) from error


async def connect_store(url: str, prefix: str = "rolewise") -> RedisStore:
    """Connect to the server at `url` and see that it answers and will not forget.

    Args:
        url: `redis://[user[:password]@]host[:port][/db]`, `rediss://` for TLS (certificate and
            host name are checked), or `unix:///path/to/socket`; the client's options may follow
            as a query, such as `?ssl_ca_certs=FILE`.
        prefix: See `RedisStore`.

    Raises:
        StoreUrlInvalid: The address cannot be used as it is written.
        StoreUnavailable: Nobody answers there, the password is refused, or the server is set to
            evict keys when its memory is full.
    """
    place = _without_secrets(url)
    scheme = urlsplit(url).scheme
    if scheme not in _SCHEMES:
        allowed = ", ".join(f"{known}://" for known in _SCHEMES)
        raise StoreUrlInvalid(f"store address {place!r}: it must begin with one of {allowed}")
    options: dict[str, Any] = {
        "socket_timeout": None,
        "socket_connect_timeout": _ANSWER_TIMEOUT_S,
        "max_connections": _MAX_CONNECTIONS,
        "retry": Retry(NoBackoff(), 0),
    }
    if scheme == "rediss":
        options["ssl_check_hostname"] = True
    try:
        store = RedisStore(Redis.from_url(url, **options), prefix)
        await store.check()
    except (ValueError, TypeError) as error:  # options in the query that the client does not know
        raise StoreUrlInvalid(f"store address {place!r}: {error}") from error
    except StoreUnavailable as error:
        await store.close()
        raise StoreUnavailable(f"store at {place}: {error}") from error
    return store


def _without_secrets(url: str) -> str:
    """Return the address without user, password and query, fit for messages."""
    bare = url.partition("?")[0]
    scheme, divider, rest = bare.partition("://")
    return scheme + divider + rest.rpartition("@")[2]
