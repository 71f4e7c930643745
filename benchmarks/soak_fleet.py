"""The fleet that is soaked: two roles that may both be asked again, and two versions of each."""

from __future__ import annotations

import asyncio
from typing import Any

from rolewise.agents import Agent, Context, Message

FLEET = "soak"
FILE = """
fleet: soak
entry: [front]
tasks_in_flight: 500
tasks_kept: 2000
results_kept: 1m
defaults: {replicas: 2, slots: 8, drain: 2s, timeout: 20s, resources: {cpu: 0.01}}
roles:
  front:
    calls: [back]
    idempotent: true
    versions:
      v1: {agent: "soak_fleet:Front"}
      v2: {agent: "soak_fleet:Front", model: newer}
  back:
    idempotent: true
    versions:
      v1: {agent: "soak_fleet:Back"}
      v2: {agent: "soak_fleet:Back", model: newer}
releases:
  v1: {front: v1, back: v1}
  v2: {front: v2, back: v2}
release: v1
strategy:
  canary:
    steps: [{set_weight: 20}, {pause: {duration: 2s}}, {set_weight: 100}]
    keep_stable_for: 1s
    drain: 2s
"""


class Front(Agent):
    """Asks the other role twice and adds up what it hears."""

    async def handle(self, message: Message, ctx: Context) -> Any:
        """Answer with the sum of two answers."""
        first = await ctx.ask("back", {"x": message.body["x"]})
        second = await ctx.ask("back", {"x": first})
        return {"sum": first + second}


class Back(Agent):
    """Takes a little time."""

    async def handle(self, message: Message, _ctx: Context) -> int:
        """Answer with one more."""
        await asyncio.sleep(0.01)
        return int(message.body["x"]) + 1


def is_right(x: int, result: Any) -> bool:
    """Tell whether a task's result is what the fleet should have answered."""
    return result == {"sum": 2 * x + 3}
