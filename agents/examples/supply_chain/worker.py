"""What the fleet's agents have in common: work takes time and pretended tokens."""

from __future__ import annotations

from rolewise.agents import Agent, Context
from rolewise.agents.examples.supply_chain.market import between

USD_PER_TOKEN = 2e-6


class Worker(Agent):
    """An agent that thinks before it acts.

    Args:
        pace: How much longer it works than usual; 1 is usual.
        verbosity: How many more tokens it uses than usual; 1 is usual.
    """

    fastest_s = 0.001
    slowest_s = 0.005

    def __init__(self, *, pace: float = 1.0, verbosity: float = 1.0) -> None:
        if pace < 0 or verbosity < 0:
            raise ValueError(f"pace = {pace}, verbosity = {verbosity}: want numbers from 0")
        self._pace = pace
        self._verbosity = verbosity

    async def think(self, ctx: Context, order_id: str, about: str, *, tokens: int) -> None:
        """Spend the time and the tokens of one decision about an order."""
        seconds = between(order_id, f"{ctx.role} {about}", self.fastest_s, self.slowest_s)
        used = round(tokens * self._verbosity)
        ctx.usage(input_tokens=4 * used, output_tokens=used, cost=5 * used * USD_PER_TOKEN)
        await ctx.sleep(seconds * self._pace)
