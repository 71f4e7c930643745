"""One agent that does what its message says, to itself if need be."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from rolewise.agents import Agent, Context, Message


class Faulty(Agent):
    """Asks on, waits, blocks its event loop, or ends its process."""

    async def handle(self, message: Message, ctx: Context) -> Any:
        match message.body:
            case {"ask": role, "body": body}:
                return await ctx.ask(role, body)
            case {"remember": value}:
                await ctx.memory.write("what", value)
                return value
            case {"recall": _}:
                return await ctx.memory.read("what")
            case {"pid": _}:
                return os.getpid()
            case {"wait": seconds}:
                await asyncio.sleep(seconds)
                return "waited"
            case {"block on": fifo}:
                return Path(fifo).read_text()  # noqa: ASYNC240  (the whole point)
            case {"hog": megabytes}:
                held = []
                while len(held) < megabytes:
                    held.append(bytearray(os.urandom(1024)) * 1024)
                    await asyncio.sleep(0)
                return len(held)
            case {"die": code}:
                os._exit(code)
            case other:
                return other


class DiesAtStart(Agent):
    """Never lives to see a message."""

    def __init__(self, _config: Any = None) -> None:
        os._exit(7)

    async def handle(self, message: Message, ctx: Context) -> Any:
        raise NotImplementedError
