"""A replica's slots, at the moments when two things happen at once."""

from __future__ import annotations

import asyncio
from typing import Any

from rolewise.agents import Agent, Context, Message
from rolewise.agents.message import OUTSIDE, Nature
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import VersionDefinition


class Held(Agent):
    """Answers once it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    async def handle(self, message: Message, ctx: Context) -> Any:
        await self.let_go.wait()
        return message.body


def request(number: int) -> Message:
    return Message(
        id=number,
        nature=Nature.REQUEST,
        kind="work",
        sender=OUTSIDE,
        to="worker",
        body=number,
        task=f"t-{number}",
        conversation=f"t-{number}",
    )


def test_a_message_may_be_withdrawn_just_as_a_slot_comes_free():
    async def scenario() -> None:
        runtime = LocalRuntime(entry=("worker",), seed=1)
        worker = VersionDefinition(
            role="worker",
            version="v1",
            content_hash="x",
            agent="tests.support.agents:Worker",
            config={},
            slots=1,
        )
        await runtime.scale(worker, 1, fencing=0)
        replica = next(iter(runtime.staff)).core
        replica.agent = held = Held()
        first, second = (asyncio.create_task(replica.handle(request(one))) for one in (1, 2))
        await asyncio.sleep(0)
        assert (replica.running, replica.queued) == (1, 1)

        held.let_go.set()  # the first one ends in the next turn of the loop and gives its slot on
        assert replica.withdraw(2)
        assert (await first).body == 1
        failure = (await second).failure
        assert failure is not None
        assert failure.code == "ask_cancelled"
        assert (replica.running, replica.queued) == (0, 0)
        assert (await replica.handle(request(3))).body == 3

    run_virtual(scenario())
