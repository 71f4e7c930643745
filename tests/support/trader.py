"""A fleet that buys things, whose roles misbehave as their config says: `mode`.

planner (entry) -> supplier: rfq            an offer for each item, or a rejection
                -> warehouse: reserve       an event for each offer
                -> verifier: verify         for tasks that want it
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from rolewise.agents import Agent, Context, Message
from rolewise.agents.errors import AgentError


class Rfq(BaseModel):
    model_config = ConfigDict(extra="ignore")
    item: int
    quantity: int


class Role(Agent):
    def __init__(self, mode: str = "usual") -> None:
        self.mode = mode


class Planner(Role):
    async def handle(self, message: Message, ctx: Context) -> Any:
        if message.kind == "counter":
            return await self.answer_counter(message.body, ctx)
        body = message.body
        deviates = getattr(self, self.mode, None)
        for item in range(body["items"]):
            await self.buy(item, body, ctx)
        if deviates is not None:
            await deviates(body, ctx)
        if body["verify"] and self.mode != "skips_verification":
            await ctx.ask("verifier", {"items": body["items"]}, kind="verify")
        return {"verdict": "done"}

    async def buy(self, item: int, body: Mapping[str, Any], ctx: Context) -> None:
        rfq: dict[str, Any] = {"item": item, "quantity": body["quantity"]}
        if self.mode == "sends_other_bodies":
            rfq = {"article": item}
        if self.mode == "adds_a_field":
            rfq["hint"] = "any"
        if self.mode == "wordy":
            rfq["context"] = "as we said before, " * 9
        if self.mode == "attaches" and body["seed"] % 80 == 0:
            rfq["context"] = "x" * 100_000
        tries = {"retries_hard": 6, "retries_once": 2}.get(self.mode, 1)
        for attempt in range(tries):
            try:
                offer = await ctx.ask("supplier", {**rfq, "seed": body["seed"]}, kind="rfq")
            except AgentError:
                if attempt == tries - 1 and self.mode == "sends_other_bodies":
                    return
                await ctx.sleep(0.05)
            else:
                if offer["verdict"] == "quote":
                    await ctx.tell("warehouse", {"item": item}, kind="reserve")
                return

    async def answer_counter(self, body: Mapping[str, Any], ctx: Context) -> None:
        if body["round"] < body["last"]:
            more = {**body, "round": body["round"] + 1, "price": body["price"] - body["step"]}
            if body["step"]:
                ctx.progress("closer")
            await ctx.tell("supplier", more, kind="counter")

    # What a mode does beside the usual.

    async def haggles_for_ever(self, body: Mapping[str, Any], ctx: Context) -> None:
        offer = {"round": 1, "price": 100.0, "step": 0.0, "last": 20}
        await ctx.tell("supplier", offer, kind="counter")

    async def haggles_to_an_end(self, body: Mapping[str, Any], ctx: Context) -> None:
        offer = {"round": 1, "price": 100.0, "step": 2.0, "last": 20}
        await ctx.tell("supplier", offer, kind="counter")

    async def goes_round(self, body: Mapping[str, Any], ctx: Context) -> None:
        for _ in range(6):
            for role in ("supplier", "verifier", "warehouse"):
                await ctx.ask(role, {"item": 0}, kind="poll")

    async def polls_items(self, body: Mapping[str, Any], ctx: Context) -> None:
        for item in range(6):
            for role in ("supplier", "verifier", "warehouse"):
                await ctx.ask(role, {"item": item}, kind="poll")

    async def rephrases(self, body: Mapping[str, Any], ctx: Context) -> None:
        for words in range(45):
            question = f"could you have another look at this, say for reason {words} of mine"
            await ctx.ask("verifier", {"text": question}, kind="review")

    async def brainstorms(self, body: Mapping[str, Any], ctx: Context) -> None:
        for words in range(45):
            question = f"could you have another look at this, say for reason {words} of mine"
            await ctx.ask("verifier", {"text": question}, kind="review")
            await ctx.memory.write(f"idea {body['seed']}/{words}", question)

    async def forgets_the_end(self, body: Mapping[str, Any], ctx: Context) -> None:
        await ctx.tell("warehouse", {"wait_s": 12.0}, kind="watch")

    async def closes_late(self, body: Mapping[str, Any], ctx: Context) -> None:
        await ctx.tell("warehouse", {"wait_s": 5.0}, kind="watch")

    async def delegates(self, body: Mapping[str, Any], ctx: Context) -> None:
        await ctx.ask("helper", {"left": 1000}, kind="help")

    async def delegates_twelve(self, body: Mapping[str, Any], ctx: Context) -> None:
        await ctx.ask("helper", {"left": 11}, kind="help")

    async def floods(self, body: Mapping[str, Any], ctx: Context) -> None:
        for number in range(50 * body["items"]):
            await ctx.tell("warehouse", {"item": number}, kind="reserve")

    async def calls_a_new_role(self, body: Mapping[str, Any], ctx: Context) -> None:
        await ctx.ask("helper", {"left": 0}, kind="help")


class Supplier(Role):
    accepts: ClassVar = {"rfq": Rfq}

    async def handle(self, message: Message, ctx: Context) -> Any:
        if message.kind == "poll":
            return {"state": "open", "item": message.body["item"]}
        if message.kind == "counter":
            body = message.body
            if body["step"]:
                ctx.progress("closer")
            await ctx.tell("planner", {**body, "round": body["round"] + 1}, kind="counter")
            return None
        chance = random.Random(f"{ctx.task.id} {message.body.item}")
        fails, rejects, pace_s = chance.random(), chance.random(), chance.uniform(0.02, 0.06)
        cold = self.mode == "starts_cold" and ctx.task.attributes["seed"] % 100 == 0
        pace_s *= {"slow": 1.8, "quick_and_wrong": 0.5, "quick": 0.5}.get(self.mode, 1.0)
        await ctx.sleep(20.0 if cold else pace_s)
        if fails < {"breaks": 0.25, "breaks_briefly": 0.25}.get(self.mode, 0.0):
            raise RuntimeError("out of order")
        ctx.score("quality", 0.2 if self.mode == "quick_and_wrong" else 0.9)
        share = {"rejects": 0.5, "slump": 0.5}.get(self.mode, 0.1)
        return {"verdict": "reject" if rejects < share else "quote", "price": round(100 * fails)}


class Warehouse(Role):
    async def handle(self, message: Message, ctx: Context) -> Any:
        if message.kind == "watch":
            await ctx.sleep(message.body["wait_s"])
            await ctx.tell("verifier", {"item": 0}, kind="report")
        return {"state": "open", "item": message.body.get("item")}


class Verifier(Role):
    async def handle(self, message: Message, ctx: Context) -> Any:
        return {"state": "open", "item": message.body.get("item")}


class Helper(Role):
    async def handle(self, message: Message, ctx: Context) -> Any:
        left = message.body["left"]
        if left:
            return await ctx.ask("helper", {"left": left - 1}, kind="help")
        return {"state": "helped"}


def orders(seed: int, *, verifying: float = 1.0) -> Iterator[dict[str, Any]]:
    chance = random.Random(seed)
    number = 0
    while True:
        number += 1
        yield {
            "items": min(1 + int(chance.expovariate(0.5)), 8),
            "quantity": chance.randrange(1, 9),
            "verify": chance.random() < verifying,
            "seed": number,
        }
