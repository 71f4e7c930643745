"""The agents of `abort.py`, apart so that fifty processes need not import a whole coordinator."""

from __future__ import annotations

import time
from typing import Any

from rolewise.agents import Agent, Context, Message


class Entry(Agent):
    """Asks a worker, and passes on what it says."""

    async def handle(self, message: Message, ctx: Context) -> Any:  # noqa: ARG002
        """Answer."""
        return await ctx.ask("worker")


class Worker(Agent):
    """Says which version it is, and when it began."""

    async def handle(self, message: Message, ctx: Context) -> Any:  # noqa: ARG002
        """Answer."""
        began = time.time()
        await ctx.sleep(0.02)
        return {"version": ctx.version, "began": began}
