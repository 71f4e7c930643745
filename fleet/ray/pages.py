"""Where the gateway's ledger keeps its pages: in the cluster's own key-value store.

It is in the process that the whole cluster depends on, so it outlives every other node and actor;
with a cluster that keeps its state in Redis it outlives that process too. A small write takes
about 0.4 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_list,
    internal_kv_get_gcs_client,
)

from rolewise.fleet.ray.names import NAMESPACE, page_prefix

_SPACE = NAMESPACE.encode()
_OVERWRITE = True
_BY_PREFIX = False


class ClusterPages:
    """See `rolewise.fleet.ledger.Pages`."""

    def __init__(self, fleet: str) -> None:
        self._prefix = page_prefix(fleet).encode()
        self._client: Any = internal_kv_get_gcs_client()  # type: ignore[no-untyped-call]

    async def put(self, number: int, page: bytes) -> None:
        """Write a page."""
        await self._client.async_internal_kv_put(self._key(number), page, _OVERWRITE, _SPACE)

    async def drop(self, number: int) -> None:
        """Forget a page."""
        await self._client.async_internal_kv_del(self._key(number), _BY_PREFIX, _SPACE)

    async def read(self) -> Mapping[int, bytes]:
        """Return all pages."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> dict[int, bytes]:
        keys = _internal_kv_list(self._prefix, namespace=_SPACE)
        pages = {key: _internal_kv_get(key, namespace=_SPACE) for key in keys}
        return {
            int(key.removeprefix(self._prefix)): page
            for key, page in pages.items()
            if page is not None
        }

    def _key(self, number: int) -> bytes:
        return self._prefix + b"%08d" % number


def forget_pages(fleet: str) -> None:
    """Forget all pages of a fleet: it was shut down."""
    _internal_kv_del(page_prefix(fleet).encode(), del_by_prefix=True, namespace=_SPACE)
