"""What it costs to keep tasks' accounts where they outlive the gateway.

    python benchmarks/accounts.py [--rounds 9] [--json]

Two gateways in this process, one with a ledger in the key-value store of a local Ray and one
without, take turns. Their tasks are answered at once, so that all that is measured is theirs: lone
tasks one after the other, and 500 at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import time
from statistics import median
from typing import Any

from rolewise.agents.message import Address, Message, Reply
from rolewise.fleet.gateway import Gateway
from rolewise.fleet.ids import IdSource
from rolewise.fleet.ledger import Ledger
from rolewise.fleet.messenger import Messenger
from rolewise.fleet.ray.cluster import leave_ray, start_local_ray
from rolewise.fleet.ray.names import page_prefix
from rolewise.fleet.ray.pages import ClusterPages
from rolewise.fleet.ray.values import forget_values
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.routing.router import Router
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.task import TaskRequest

BODY = {"sku": "bolt-m8", "quantity": 40, "offer": 12.5}
LONE, AT_ONCE = 100, 500
FLEET = "accounts-benchmark"
ids = itertools.count(1)


class AtOnce:
    """A link to a replica that answers before it is asked."""

    async def ask(self, message: Message) -> Reply:
        """Answer with the body."""
        return Reply(to=message.id, sender=ADDRESS, body=message.body)

    async def tell(self, _message: Message) -> Reply | None:
        """Take it."""
        return None


ADDRESS = Address(role="entry", version="v1", replica=1)


def make_gateway(*, is_kept: bool) -> Gateway:
    """Return a gateway whose role is idempotent, so that bodies are kept too."""
    router = Router()
    router.install(
        RoutingTable(number=1, routes=(RoleRoute(role="entry", stable="v1", idempotent=True),))
    )
    router.set_replicas([ADDRESS])
    messenger = Messenger(
        router=router,
        link_to=lambda _: AtOnce(),
        recorder=Recorder("gateway.0", ""),
        ids=IdSource(0, 0),
        now=time.perf_counter,
    )
    ledger = Ledger(ClusterPages(FLEET)) if is_kept else None
    return Gateway(messenger=messenger, entry=("entry",), ledger=ledger, clock=time.time)


async def run(gateway: Gateway, many: int) -> tuple[float, float]:
    """Submit so many tasks at once and wait for their ends; return wall and CPU seconds."""
    tasks = [f"task-{next(ids)}" for _ in range(many)]
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(gateway.submit(TaskRequest(id=task, body=BODY)) for task in tasks))
    await asyncio.gather(*(gateway.result(task, 30.0) for task in tasks))
    return time.perf_counter() - wall, time.process_time() - cpu


async def measure(rounds: int) -> dict[str, Any]:
    """Return milliseconds a task, by way and load."""
    ways = {"kept": make_gateway(is_kept=True), "not kept": make_gateway(is_kept=False)}
    lone: dict[str, list[float]] = {way: [] for way in ways}
    wall: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, gateway in ways.items():
            lone[way].append(median([(await run(gateway, 1))[0] for _ in range(LONE)]))
            seconds, used = await run(gateway, AT_ONCE)
            wall[way].append(seconds / AT_ONCE)
            cpu[way].append(used / AT_ONCE)
    return {
        way: {
            "lone_ms": median(lone[way]) * 1e3,
            "at_once_ms": median(wall[way]) * 1e3,
            "at_once_cpu_ms": median(cpu[way]) * 1e3,
        }
        for way in ways
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    start_local_ray()
    try:
        figures = asyncio.run(measure(options.rounds))
    finally:
        forget_values(page_prefix(FLEET))
        leave_ray()
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'milliseconds a task':<22}{'kept':>10}{'not kept':>10}{'more':>10}")
    for name, what in {
        "lone_ms": "one at a time",
        "at_once_ms": f"{AT_ONCE} at once",
        "at_once_cpu_ms": f"{AT_ONCE} at once, CPU",
    }.items():
        kept, bare = figures["kept"][name], figures["not kept"][name]
        print(f"{what:<22}{kept:>10.3f}{bare:>10.3f}{kept - bare:>10.3f}")


if __name__ == "__main__":
    main()
