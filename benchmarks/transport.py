"""What one message costs: a bare actor call, a Ray Serve handle, and Rolewise, side by side.

    python benchmarks/transport.py [--rounds 7] [--fours 8] [--json]

Each way asks one receiving actor, which answers with what it got. Rolewise is measured as a fleet
uses it: routing, deadline, recording at both ends and the queue for a slot included. The rounds of
all ways alternate, so that what else the machine does falls on all of them. What recording costs
is measured at the end: see `recording_cost.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import ray
from recording_cost import Four, compare, in_words, switch_recording
from rich.console import Console
from rich.table import Table

from rolewise.agents import OUTSIDE, Agent, Context, Message
from rolewise.fleet.messenger import Envelope
from rolewise.fleet.ray import names
from rolewise.fleet.ray.cluster import leave_ray, start_local_ray
from rolewise.fleet.ray.inquest import read_own_place
from rolewise.fleet.ray.process import FleetProcess
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.task import task_key

BODY = {"sku": "bolt-m8", "quantity": 40, "offer": 12.5}
AT_ONCE = (1, 64, 500)
SECONDS = 0.5
WORK, WORK_S = "work", 200e-6
"""Kind of a message over which the agent works for a moment: less than a page of JSON takes."""
WAIT, WAIT_S = "wait", 10e-3
"""Kind of a message over which it waits, as for a model that is quicker than any there is."""
WAITING = 16
"""How many of these are under way: as many as slots of a replica in the example fleet."""
BARE, SERVE, ROLEWISE = "bare actor call", "Serve handle", "Rolewise"

Way = Callable[[], Awaitable[Any]]


class Echo(Agent):
    """Answers with what it got; can switch its process's recording off and on."""

    async def handle(self, message: Message, ctx: Context) -> Any:
        """Answer."""
        if message.kind == "record":
            switch_recording(on=message.body)
        if message.kind == WORK:
            until = time.perf_counter() + WORK_S
            while time.perf_counter() < until:
                pass
        if message.kind == WAIT:
            await ctx.sleep(WAIT_S)
        return message.body


class BareEcho:
    """The same without Rolewise."""

    async def echo(self, body: Any) -> Any:
        """Answer."""
        return body


@dataclass(frozen=True, slots=True)
class Figures:
    """One way at one load, in one round or as the medians over several."""

    per_second: float
    p50_ms: float
    p99_ms: float


Rounds = dict[int, dict[str, list[Figures]]]
"""How many at once -> way -> its figures in each round."""


async def measure(way: Way, at_once: int) -> Figures:
    """Keep so many asks under way for a while."""
    latencies: list[float] = []
    start = time.perf_counter()

    async def ask_on_and_on() -> None:
        while (began := time.perf_counter()) < start + SECONDS:
            await way()
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(ask_on_and_on() for _ in range(at_once)))
    elapsed = time.perf_counter() - start
    p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
    return Figures(len(latencies) / elapsed, float(p50), float(p99))


@contextlib.asynccontextmanager
async def bare() -> AsyncIterator[Way]:
    """Give the way of a bare actor call."""
    actor: Any = ray.remote(BareEcho).options(num_cpus=0, max_concurrency=1000).remote()
    yield lambda: actor.echo.remote(BODY)
    ray.kill(actor)


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[Way | None]:
    """Give the way of a Ray Serve handle; None when Serve is not installed."""
    try:
        from ray import serve  # noqa: PLC0415  (an extra)
    except ImportError as error:
        Console(stderr=True).print(
            f"Ray Serve is left out ({error}): pip install 'rolewise[bench]'"
        )
        yield None
        return

    class ServedEcho:
        async def __call__(self, body: Any) -> Any:
            return body

    serve.start(proxy_location="Disabled")
    deployment: Any = serve.deployment(
        ServedEcho, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0}
    )
    handle: Any = await asyncio.to_thread(serve.run, deployment.bind(), name="bench")

    async def ask() -> Any:
        return await handle.remote(BODY)

    yield ask
    await asyncio.to_thread(serve.shutdown)


@contextlib.asynccontextmanager
async def rolewise() -> AsyncIterator[RolewiseFleet]:
    """Give a fleet of one replica."""
    runtime = await RayRuntime.launch("bench", entry=("echo",))
    version = VersionDefinition(
        role="echo", version="v1", content_hash="", agent="transport:Echo", config={}, slots=1000
    )
    await runtime.scale(version, 1, fencing=1)
    table = RoutingTable(number=1, routes=(RoleRoute(role="echo", stable="v1"),))
    await runtime.install(table, fencing=1)
    head: Any = ray.get_actor(names.head_name("bench"), names.NAMESPACE)
    ticket = await head.join.remote(None, read_own_place())
    process = FleetProcess(name="asker", node="asker@v1", number=60_000, ticket=ticket)
    post = asyncio.create_task(process.post_for_ever())
    yield RolewiseFleet(process)
    post.cancel()
    await runtime.shutdown()


class RolewiseFleet:
    """The way of a Rolewise message, and a switch for its recording."""

    def __init__(self, process: FleetProcess) -> None:
        self._process = process
        self._numbers = itertools.count()

    def work(self) -> Awaitable[Any]:
        """Ask for something that takes a moment."""
        return self.ask(kind=WORK)

    def wait(self) -> Awaitable[Any]:
        """Ask for something that is waited for."""
        return self.ask(kind=WAIT)

    def ask(self, body: Any = BODY, kind: str = "offer") -> Awaitable[Any]:
        """Ask once; ten messages are one task."""
        number = next(self._numbers)
        if number % 10 == 0:  # as a gateway makes it: once for each task
            self._task = f"task-{number}"
            self._task_key = task_key(self._task)
        envelope = Envelope(
            sender=OUTSIDE,
            task=self._task,
            task_key=self._task_key,
            conversation=self._task,
            table=1,
            attributes={},
        )
        return self._process.messenger.ask(envelope, "echo", body, kind=kind, timeout_s=30.0)

    async def switch(self, *, on: bool) -> None:
        """Switch recording at both ends."""
        await self.ask(on, kind="record")
        switch_recording(on=on)


async def run(rounds: int, fours: int) -> tuple[Rounds, dict[str, list[Four]]]:
    """Measure all ways in alternating rounds, then recording."""
    figures: Rounds = {}
    async with bare() as bare_way, served() as serve_way, rolewise() as fleet:
        ways: dict[str, Way] = {BARE: bare_way, ROLEWISE: fleet.ask}
        if serve_way is not None:
            ways[SERVE] = serve_way
        for way in ways.values():
            await measure(way, 16)  # warm
        for at_once in AT_ONCE:
            taken: dict[str, list[Figures]] = {name: [] for name in ways}
            for number in range(rounds):
                order = list(ways.items())
                for name, way in order if number % 2 else reversed(order):
                    taken[name].append(await measure(way, at_once))
            figures[at_once] = taken
        cases: list[tuple[str, Way, int]] = [
            (f"{at_once} at once, an agent that echoes", fleet.ask, at_once) for at_once in AT_ONCE
        ]
        cases += [
            (f"64 at once, an agent that works {WORK_S * 1e3:g} ms", fleet.work, 64),
            (f"{WAITING} at once, an agent that waits {WAIT_S * 1e3:g} ms", fleet.wait, WAITING),
        ]
        recording = {
            words: await compare(way, many, fours=fours, switch=fleet.switch)
            for words, way, many in cases
        }
    return figures, recording


def show(figures: Rounds, recording: dict[str, list[Four]]) -> None:
    """Print the figures, and the ratios that are wanted."""
    table = Table(
        "at once", "way", "per second", "p50 ms", "p99 ms", title="One message and its answer"
    )
    for at_once, by_way in figures.items():
        for name, found in sorted(by_way.items()):
            f = middle(found)
            table.add_row(
                f"{at_once}", name, f"{f.per_second:,.0f}", f"{f.p50_ms:.2f}", f"{f.p99_ms:.2f}"
            )
        table.add_section()
    console = Console(width=100)
    console.print(table)
    lone = ratio(figures[1], ROLEWISE, BARE, lambda f: f.p50_ms)
    console.print(f"p50 of a lone ask, Rolewise to a bare call: {lone:.2f} (wanted <= 1.15)")
    wanted = {
        (64, BARE): ">= 4",
        (64, SERVE): ">= 10",
    }
    for at_once in AT_ONCE[1:]:
        for other in (BARE, SERVE):
            if other in figures[at_once]:
                found = ratio(figures[at_once], ROLEWISE, other, lambda f: f.per_second)
                want = wanted.get((at_once, other))
                console.print(
                    f"rate at {at_once} at once, Rolewise to {other}: {found:.2f}"
                    + (f" (wanted {want})" if want else "")
                )
    for case, fours in recording.items():
        console.print(in_words(case, fours), highlight=False)


def middle(found: list[Figures]) -> Figures:
    """Return the medians of several rounds."""
    return Figures(
        median(f.per_second for f in found),
        median(f.p50_ms for f in found),
        median(f.p99_ms for f in found),
    )


def ratio(
    by_way: dict[str, list[Figures]], one: str, other: str, of: Callable[[Figures], float]
) -> float:
    """Return how two ways compare: the median over rounds, so that each pair met one weather."""
    pairs = zip(by_way[one], by_way[other], strict=True)
    return median(of(a) / of(b) for a, b in pairs)


def main() -> None:
    """Run the benchmark on a local Ray."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--fours", type=int, default=8, help="times four rounds with and without recording"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    start_local_ray()
    try:
        figures, recording = asyncio.run(run(arguments.rounds, arguments.fours))
    finally:
        leave_ray()
    if arguments.json:
        medians = {
            at_once: {name: asdict(middle(found)) for name, found in by_way.items()}
            for at_once, by_way in figures.items()
        }
        fours = {case: [asdict(four) for four in found] for case, found in recording.items()}
        print(json.dumps({"ways": medians, "recording": fours}))
    else:
        show(figures, recording)


if __name__ == "__main__":
    main()
