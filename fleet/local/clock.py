"""Virtual time: an event loop that jumps to its next timer instead of waiting for it.

A rehearsal of hours runs in seconds and, with equal seeds, in the same order every time. The loop
does no real I/O: when nothing is ready and no timer is set, nothing can ever happen again, and
that is reported instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingLeft(RuntimeError):
    """All tasks wait for something that nothing in this loop will ever do."""


class _JumpingSelector(selectors.SelectSelector):
    """Instead of waiting for the timeout, moves the loop's time forward by it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []  # something is ready; what comes from outside has time until nothing is
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise NothingLeft("nothing is ready and no timer is set: all tasks wait for ever")
        self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when everything in it waits. Starts at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        # Timers within one resolution of now count as due: keep it below any latency we model.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the virtual seconds since the loop's start."""
        return self._jumping.now


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time and return its result.

    Raises:
        NothingLeft: It can never end.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class LoopClock:
    """The running event loop's time as a `Clock`: virtual or real, as the loop is."""

    def now(self) -> float:
        """Return the loop's time in seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop's time."""
        await asyncio.sleep(seconds)
