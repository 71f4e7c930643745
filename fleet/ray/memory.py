"""What the roles of a fleet remember, kept by one actor for all of them.

A write is among the cluster's own values before it is acknowledged, so a keeper that dies is
followed by one that knows.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

from ray.exceptions import RayError

from rolewise.agents.errors import AgentError
from rolewise.fleet.ray.names import memory_prefix
from rolewise.fleet.ray.values import ClusterValues
from rolewise.fleet.ray.wire import dump_body


class MemoryKeeper:
    """The actor: values as the bytes they came in, by role and key.

    Args:
        fleet: Whose.
    """

    def __init__(self, fleet: str) -> None:
        self._kept = ClusterValues(memory_prefix(fleet))
        self._values: dict[bytes, bytes] | None = None
        self._changing = asyncio.Lock()

    async def read(self, role: str, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        return (await self._all()).get(_name(role, key))

    async def write(self, role: str, key: str, value: bytes) -> None:
        """Set the value."""
        values, name = await self._all(), _name(role, key)
        async with self._changing:
            await self._kept.put(name, value)
            values[name] = value

    async def delete(self, role: str, key: str) -> None:
        """Forget the key."""
        values, name = await self._all(), _name(role, key)
        async with self._changing:
            if name in values:
                await self._kept.drop(name)
                del values[name]

    async def _all(self) -> dict[bytes, bytes]:
        if self._values is None:
            async with self._changing:
                if self._values is None:
                    self._values = dict(await self._kept.read())
        return self._values


def _name(role: str, key: str) -> bytes:
    return f"{role}/{key}".encode("utf-8", "surrogatepass")


class RayMemory:
    """One role's memory; see `rolewise.agents.context.Memory`.

    Args:
        role: The role.
        find_keeper: Returns the keeper's handle; asked once, at first use.
    """

    def __init__(self, role: str, find_keeper: Callable[[], Awaitable[Any]]) -> None:
        self._role = role
        self._find_keeper = find_keeper
        self._keeper: Any = None

    async def read(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        value = await self._call("read", key)
        return default if value is None else pickle.loads(value)  # noqa: S301  (our own bytes)

    async def write(self, key: str, value: Any) -> None:
        """Set the value under `key`."""
        await self._call("write", key, dump_body(value))

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        await self._call("delete", key)

    async def _call(self, method: str, key: str, *more: Any) -> Any:
        try:
            if self._keeper is None:
                self._keeper = await self._find_keeper()
            return await getattr(self._keeper, method).remote(self._role, key, *more)
        except RayError as error:
            raise AgentError(f"memory of {self._role}: {method} {key!r}: {error}") from error
