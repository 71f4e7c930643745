"""Where the gateway's ledger keeps its pages: among the cluster's own values."""

from __future__ import annotations

from collections.abc import Mapping

from rolewise.fleet.ray.names import page_prefix
from rolewise.fleet.ray.values import ClusterValues


class ClusterPages:
    """See `rolewise.fleet.ledger.Pages`."""

    def __init__(self, fleet: str) -> None:
        self._values = ClusterValues(page_prefix(fleet))

    async def put(self, number: int, page: bytes) -> None:
        """Write a page."""
        await self._values.put(b"%08d" % number, page)

    async def drop(self, number: int) -> None:
        """Forget a page."""
        await self._values.drop(b"%08d" % number)

    async def read(self) -> Mapping[int, bytes]:
        """Return all pages."""
        return {int(name): page for name, page in (await self._values.read()).items()}
