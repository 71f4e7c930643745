"""Where a local fleet's ledger keeps its pages: in this process, for as long as it lives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

WRITE_S = 0.0005
"""About what a write to a cluster's key-value store takes."""


class LocalPages:
    """See `rolewise.fleet.ledger.Pages`."""

    def __init__(self) -> None:
        self._pages: dict[int, bytes] = {}

    async def put(self, number: int, page: bytes) -> None:
        """Keep a page, after the time that a write takes."""
        await asyncio.sleep(WRITE_S)
        self._pages[number] = page

    async def drop(self, number: int) -> None:
        """Forget a page."""
        self._pages.pop(number, None)

    async def read(self) -> Mapping[int, bytes]:
        """Return all pages."""
        return dict(self._pages)
