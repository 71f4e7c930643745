"""What the roles of a fleet remember, kept by one actor for all of them.

It lives as long as the actor: a keeper that dies starts empty.
"""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from typing import Any

from ray.exceptions import RayError

from rolewise.agents.errors import AgentError
from rolewise.fleet.ray.wire import dump_body


class MemoryKeeper:
    """The actor: one dictionary for each role, values as the bytes they came in."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], bytes] = {}

    async def read(self, role: str, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        return self._values.get((role, key))

    async def write(self, role: str, key: str, value: bytes) -> None:
        """Set the value."""
        self._values[role, key] = value

    async def delete(self, role: str, key: str) -> None:
        """Forget the key."""
        self._values.pop((role, key), None)


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
