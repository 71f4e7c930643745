"""An agent that plays what its version's config says, and the traffic that it gets.

`config: {does: {KIND: [STEP, ...]}}` with steps such as `{sleep: 0.1}`, `{ask: b.work}`,
`{all: [b.work, c.work]}`, `{any: [...]}`, `{tell: b.note}`, `{lock: till, then: [STEP, ...]}`.
A step with `once: true` is played by the first message of each replica only. What a kind does not
say is done at once; kind `pid` is answered with the process's number.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rolewise.agents import Agent, Ask, Context, Message

Step = Mapping[str, Any]


class Player(Agent):
    def __init__(self, does: Mapping[str, Sequence[Step]] | None = None) -> None:
        self._does = does or {}
        self._played: set[int] = set()

    async def handle(self, message: Message, ctx: Context) -> str | int:
        if message.kind == "pid":
            return os.getpid()
        await self._play(self._does.get(message.kind, ()), ctx)
        return message.kind

    async def _play(self, steps: Sequence[Step], ctx: Context) -> None:
        for step in steps:
            if step.get("once"):
                if id(step) in self._played:
                    continue
                self._played.add(id(step))
            await self._take(step, ctx)

    async def _take(self, step: Step, ctx: Context) -> None:
        timeout = step.get("timeout")
        match step:
            case {"sleep": seconds}:
                await ctx.sleep(seconds)
            case {"block": seconds}:
                time.sleep(seconds)  # noqa: ASYNC251 (the whole point)
            case {"ask": to}:
                role, kind = to.split(".")
                await ctx.ask(role, kind=kind, timeout=timeout)
            case {"all": to}:
                await ctx.ask_all(*(_ask(one, timeout) for one in to))
            case {"any": to}:
                await ctx.ask_any(*(_ask(one, timeout) for one in to))
            case {"tell": to}:
                role, kind = to.split(".")
                await ctx.tell(role, kind=kind)
            case {"lock": name, "then": inner}:
                async with ctx.lock(name):
                    await self._play(inner, ctx)
            case _:
                raise ValueError(f"no such step: {step}")


def _ask(to: str, timeout: float | None) -> Ask:
    role, kind = to.split(".")
    return Ask(role, kind=kind, timeout=timeout)


def tasks(_seed: int) -> Iterator[dict[str, Any]]:
    """Give the first entry role a task, again and again."""
    return itertools.repeat({"kind": "task"})


def patient_tasks(_seed: int) -> Iterator[dict[str, Any]]:
    """The same, without any deadline."""
    return itertools.repeat({"kind": "task", "timeout_s": math.inf})


def patient_ring(_seed: int) -> Iterator[dict[str, Any]]:
    """Give the roles a, b, c and d tasks in turn, without any deadline."""
    return itertools.cycle({"kind": "task", "role": role, "timeout_s": math.inf} for role in "abcd")


def two_kinds(_seed: int) -> Iterator[dict[str, Any]]:
    """Tasks of two kinds in turn, without any deadline."""
    return itertools.cycle({"kind": kind, "timeout_s": math.inf} for kind in ("task", "other"))
