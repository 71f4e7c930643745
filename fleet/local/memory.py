"""What the roles of a local fleet remember: one dictionary a role, copied in and out."""

from __future__ import annotations

import pickle
from typing import Any


class LocalMemory:
    """Memory of one role, shared by its replicas in this process.

    Values are kept pickled, so that nobody can change one without `write`.
    """

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def read(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        value = self._values.get(key)
        return default if value is None else pickle.loads(value)  # noqa: S301 (our own bytes)

    async def write(self, key: str, value: Any) -> None:
        """Set the value under `key`."""
        self._values[key] = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self._values.pop(key, None)
