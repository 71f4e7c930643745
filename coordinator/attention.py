"""Lets the controller hear its rollout's log while it is busy: a verb must not wait for a look.

A pass looks at the fleet, and a fleet in trouble may be slow to answer. Somebody who says `abort`
just then shall not have to wait for that: the look is broken off, and the next one begins anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.store.port import StoreError
from rolewise.fleet.runtime import Fenced

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_LIMIT_S = 3.0
"""A look that takes longer is broken off: without the fleet's word no step moves. Less than a lease
lasts, which is renewed between looks."""
LISTEN_S = 30.0


class Attention:
    """Listens to the log of one rollout at a time.

    Args:
        journal: The logs.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._heard_to = ("", 0)
        self._news: asyncio.Task[bool] | None = None
        self._trouble = ""

    async def unless_news(self, state: Rollout, work: Coroutine[Any, Any, T]) -> T | None:
        """Look at the fleet; return None when that is broken off by news, fails, or takes too long.

        Args:
            state: The rollout; what its log has behind this is news.
            work: The look; it may be begun again after it was cancelled at any point.

        Raises:
            Fenced, RolewiseError, StoreError: As the look does: they are not the fleet's silence.
        """
        working = asyncio.ensure_future(work)
        try:
            await self._first_of(working, state, LOOK_LIMIT_S)
            if working.done():
                found = working.result()
                self._trouble = ""
                return found
            if not self._has_news():
                self._tell(state, f"the fleet has not answered within {LOOK_LIMIT_S:g} s")
        except (Fenced, RolewiseError, StoreError):
            raise
        except Exception as error:
            self._tell(state, f"{type(error).__name__}: {error}")
            log.debug("the look that failed", exc_info=True)
        finally:
            await _end(working)
        return None

    async def rest(self, state: Rollout | None, seconds: float) -> None:
        """Wait for so long, or until the rollout's log has news."""
        if state is None:
            await asyncio.sleep(seconds)
            return
        resting = asyncio.ensure_future(asyncio.sleep(seconds))
        try:
            await self._first_of(resting, state, seconds)
            if self._news is not None and self._news.done() and not self._has_news():
                await resting  # the store is away, or nothing came for long
        finally:
            resting.cancel()

    async def forget(self) -> None:
        """Listen no more."""
        news, self._news = self._news, None
        if news is not None:
            await _end(news)

    def _tell(self, state: Rollout, trouble: str) -> None:
        """Log why nothing moves, once while it lasts."""
        if trouble != self._trouble:
            log.warning("rollout %s: nothing moves: %s", state.id, trouble)
        self._trouble = trouble

    async def _first_of(self, work: asyncio.Future[Any], state: Rollout, limit_s: float) -> None:
        end = asyncio.get_running_loop().time() + limit_s
        waited_for: set[asyncio.Future[Any]] = {work, await self._listen(state)}
        while (left_s := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(waited_for, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if work.done() or self._has_news():
                return
            # It listened in vain, or the store is away: go on without it.
            waited_for = {work}

    async def _listen(self, state: Rollout) -> asyncio.Task[bool]:
        place = (state.id, state.sequence)
        if self._news is None or self._heard_to != place or self._news.done():
            await self.forget()
            self._heard_to = place
            self._news = asyncio.get_running_loop().create_task(
                self._journal.wait(state.id, after=state.sequence, timeout_s=LISTEN_S)
            )
        return self._news

    def _has_news(self) -> bool:
        news = self._news
        if news is None or not news.done() or news.cancelled():
            return False
        return news.exception() is None and news.result()


async def _end(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended, whatever it ends with."""
    if not task.done():
        task.cancel()
        # To await the task itself would swallow our own cancellation, if it came just now.
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
