"""Agents that do to a replica's process what only a real process can suffer."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rolewise.agents import Agent, Context, Message


class Rough(Agent):
    """Blocks its process, ends it, or says what it runs in."""

    async def handle(self, message: Message, ctx: Context) -> Any:
        match message.body:
            case {"block on": fifo}:
                return Path(fifo).read_text()  # noqa: ASYNC240  (the whole point)
            case {"burn": seconds}:
                ends = time.process_time() + seconds
                while time.process_time() < ends:
                    pass
                return "burnt"
            case {"die": code}:
                os._exit(code)
            case {"read variable": name}:
                return os.environ.get(name)
            case _:
                return message.body
