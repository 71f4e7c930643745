"""Row 9: a busy fleet with timeouts and hedges, asked by many observers, each of them slowly.

Nothing in it is ever deadlocked for good: every wait has a timeout, and the true state is looked
at whenever a report comes.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.task import TaskRequest
from rolewise.graphs.deadlock import analyse_waits
from rolewise.graphs.rounds import Round, join_rounds

OBSERVERS = 25
SKEW_S = 5.0
ROLES = "abcd"


def does(role: str) -> dict[str, Any]:
    """Ask one role with a short patience, or two and take the first; now and then ask back."""
    others = [other for other in ROLES if other != role]
    return {
        "task": [{"any": [f"{others[0]}.work", f"{others[1]}.work"], "timeout": 1.5}],
        "work": [{"sleep": 0.3}, {"ask": f"{others[2]}.more", "timeout": 0.7}],
        "more": [{"sleep": 0.2}, {"any": [f"{other}.last" for other in others], "timeout": 0.6}],
        "last": [{"sleep": 0.1}],
    }


def count_reports(*, rounds: int, seed: int = 3) -> tuple[int, int, int]:
    """Return (pairs of rounds, false reports among them, reports by single rounds).

    A report is false when what it says is stuck was not at an instant between its rounds.
    """
    return run_virtual(_count(rounds, seed))


async def _count(rounds: int, seed: int) -> tuple[int, int, int]:
    runtime = LocalRuntime(entry=tuple(ROLES), seed=seed)
    for role in ROLES:
        definition = VersionDefinition(
            role=role,
            version="v1",
            content_hash=role,
            agent="tests.support.players:Player",
            config={"does": does(role)},
            slots=1,
        )
        await runtime.scale(definition, 2, fencing=1)
    routes = tuple(RoleRoute(role=role, stable="v1") for role in ROLES)
    await runtime.install(RoutingTable(number=1, routes=routes), fencing=1)
    traffic = asyncio.create_task(_give(runtime, random.Random(seed)))
    each = -(-rounds // OBSERVERS)
    found = await asyncio.gather(
        *(_observe(runtime, each, random.Random(f"{seed}/{i}")) for i in range(OBSERVERS))
    )
    traffic.cancel()
    return each * OBSERVERS, sum(a for a, _ in found), sum(b for _, b in found)


async def _give(runtime: LocalRuntime, draw: random.Random) -> None:
    number = 0
    while True:
        await asyncio.sleep(draw.expovariate(3.0))
        number += 1
        role = draw.choice(ROLES)
        await runtime.submit(TaskRequest(id=f"t-{number}", kind="task", role=role, timeout_s=4.0))


async def _observe(runtime: LocalRuntime, pairs: int, draw: random.Random) -> tuple[int, int]:
    first = await _slowly(runtime, draw)
    false = single = 0
    for _ in range(pairs):
        truth = analyse_waits(None, await runtime.waits())
        second = await _slowly(runtime, draw)
        found = analyse_waits(first, second)
        false += not set(found.soft.ids) <= set(truth.soft.ids)
        single += not set(analyse_waits(None, second).soft.ids) <= set(truth.soft.ids)
        first = second
    return false, single


async def _slowly(runtime: LocalRuntime, draw: random.Random) -> Round:
    """Ask every replica at a moment of its own."""
    names = [head.replica for head in (await runtime.waits()).heads]

    async def ask(name: str) -> Round:
        await asyncio.sleep(draw.uniform(0.0, SKEW_S))
        return await runtime.waits([name])

    return join_rounds(await asyncio.gather(*(ask(name) for name in names)))
