"""How long a message waits for a replica of its role while there is none.

The only replica of a role may have died a moment ago, and is being made anew. A message that was
given to nobody has done nothing, so it may wait for the next one, whatever its role.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rolewise.agents.errors import AgentError, AskTimedOut, Failure
from rolewise.fleet.routing.router import Router

PATIENCE_S = 10.0
"""A process that died is replaced in two to five seconds; what takes longer, people should know."""


class Patience:
    """That of one message.

    Args:
        router: Hears of new replicas.
        role: Role that the message is for.
        deadline: Event loop time at which the message has no time left; None for never.
    """

    __slots__ = ("_began", "_deadline", "_ends", "_role", "_router")

    def __init__(self, router: Router, role: str, deadline: float | None) -> None:
        self._router = router
        self._role = role
        self._deadline = deadline
        self._began = asyncio.get_running_loop().time()
        ends = self._began + PATIENCE_S
        self._ends = ends if deadline is None else min(ends, deadline)

    async def wait(self, failure: Failure, since: int) -> None:
        """Return as soon as it may be given to somebody.

        Args:
            failure: Why it was not.
            since: What `Router.changes` was when a replica was looked for.

        Raises:
            AgentError: It waited long enough, or there is nothing to wait for.
        """
        if not self._router.has_role(self._role):
            raise failure.as_error()  # nobody is to come
        left = self._ends - asyncio.get_running_loop().time()
        if not await self._router.changed(since, left):
            raise self._end(failure)

    def _end(self, failure: Failure) -> AgentError:
        now = asyncio.get_running_loop().time()
        if self._deadline is not None and now >= self._deadline:
            return AskTimedOut(f"{failure.message}, and no time is left to wait for one")
        words = f"{failure.message}, and none came in {now - self._began:.3g} s"
        return replace(failure, message=words).as_error()
