"""The fleet's clock: the one way to read time or to wait, so that a rehearsal can use its own."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Seconds since some start, never going back; and a wait on it."""

    def now(self) -> float:
        """Return the seconds since the clock's start."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on this clock."""
        ...
