"""Small agents with one behaviour each, named by import path in tests of the runtimes."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from pydantic import BaseModel

from rolewise.agents import Agent, Ask, Context, Message


class Sum(BaseModel):
    a: int
    b: int


class Adder(Agent):
    """Answers `add`; refuses a body that is no `Sum`."""

    accepts = {"add": Sum}

    async def handle(self, message: Message, ctx: Context) -> int:
        return message.body.a + message.body.b


class Entry(Agent):
    """Does what the task's body says; every test's front door."""

    tools = {"double": lambda x: 2 * x}

    async def handle(self, message: Message, ctx: Context) -> Any:
        body = message.body if isinstance(message.body, dict) else {}
        match body.get("do"):
            case "add":
                return await ctx.ask("adder", {"a": body["a"], "b": body["b"]}, kind="add")
            case "wrong":
                return await ctx.ask("adder", {"a": "x", "b": 1}, kind="add")
            case "relay":
                return await ctx.ask("worker", body["body"], kind="work", timeout=body.get("s"))
            case "all":
                asks = [Ask("worker", {"do": "echo", "x": x}, "work") for x in range(3)]
                return await ctx.ask_all(*asks)
            case "any":
                return await ctx.ask_any(
                    Ask("worker", {"do": "sleep", "s": 5.0}, "work"),
                    Ask("worker", {"do": "echo", "x": "first"}, "work"),
                )
            case "tool":
                ctx.usage(input_tokens=10, output_tokens=5, cost=0.01)
                ctx.score("quality", 0.5)
                try:
                    await ctx.tool("missing")
                except Exception:
                    return await ctx.tool("double", {"x": 21})
            case "tell":
                await ctx.tell("worker", {"do": "echo", "x": 1}, kind="note")
                return "told"
            case "pause":
                await ctx.sleep(body["s"])
            case "remember":
                await ctx.memory.write("k", body["x"])
                return await ctx.memory.read("k")
            case _:
                return {"version": ctx.version, "task": ctx.task.id}


class Worker(Agent):
    """Echoes, sleeps, raises, dies, or asks back."""

    async def handle(self, message: Message, ctx: Context) -> Any:
        body = message.body
        match body["do"]:
            case "echo":
                return body["x"]
            case "sleep":
                await ctx.sleep(body["s"])
                return "slept"
            case "raise":
                raise ValueError("broken on purpose")
            case "die":
                os._exit(1)
            case "wait_for_ever":
                await asyncio.Event().wait()
            case "version":
                return ctx.version
            case "ask_back":
                return await ctx.ask("adder", {"a": 1, "b": 2}, kind="add")
            case "env":
                return os.environ.get(body["name"])
            case "circle":
                while True:
                    await ctx.ask("adder", {"a": 1, "b": 2}, kind="add")
            case "breed":
                for _ in range(2):
                    await ctx.tell("worker", {"do": "breed"}, kind="work")
            case "mutual":
                return await ctx.ask("worker", {"do": "mutual"}, kind="work")


async def plain(message: Message, ctx: Context) -> Any:
    """A plain function is an agent too."""
    return ["plain", message.body]
