"""One history by one seed: a storm of faults and verbs over a fleet, then calm, then the end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rolewise.coordinator.rollout.requests import Verb
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.task import TaskRecord
from tests.faults.chaos.fleets import SHAPES
from tests.faults.chaos.operators import Asked, Operators
from tests.faults.chaos.weather import Weather
from tests.faults.chaos.wire import Process
from tests.faults.chaos.world import World

STORM_S = (2.0, 6.0)
END_LIMIT_S = 240.0
PROBES = 2
PASSED_BY = 0.9
JUMPS_S = (-3600.0, -30.0, -1.0, 1.0, 30.0, 3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a history leaves to be checked.

    Attributes:
        logs: Stream -> its entries as they are stored.
        last: Where the newest rollout ended; None when nobody started one.
        broken: What went wrong while it ran, in words.
        counts: Each fault and verb -> how often.
        ending: How it was brought to its end.
        served: Probe -> the versions that served it, by role.
    """

    seed: int
    shape: str
    ending: str
    logs: dict[str, list[bytes]]
    last: Rollout | None
    broken: tuple[str, ...]
    counts: Counter[str]
    asked: tuple[Asked, ...]
    tasks: tuple[str, ...]
    records: dict[str, TaskRecord | None]
    account: TaskCounts
    served: dict[str, dict[str, str]]
    table: int
    replicas: Counter[tuple[str, str]]


def play(seed: int) -> History:
    """Play the history of a seed, always the same one."""
    return run_virtual(_play(seed))


async def _play(seed: int) -> History:
    draw = random.Random(seed)
    shape = SHAPES[seed % len(SHAPES)]
    weather = Weather(draw)
    world = await World.open(shape, weather, seed)
    nemesis = Nemesis(world)
    try:
        await nemesis.storm(draw.uniform(*STORM_S))
        await nemesis.calm()
        ending = draw.choice(("abort", "finish"))
        await nemesis.end(ending)
        served = await nemesis.probe()
        return await nemesis.history(seed, ending, served)
    finally:
        await world.close()


class Nemesis:
    """Lets things go wrong, then lets them be right again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = world.weather.draw
        self.operators = Operators(world)
        self._acts: list[tuple[float, Callable[[], Awaitable[None]]]] = [
            (6.0, self.operators.press),
            (1.0, self.operators.acknowledge_again),
        ]
        may: dict[Callable[[], Awaitable[None]], float] = {
            self._kill_replica: 1.0,
            self._jump: 0.5,
            self._outage: 1.0,
            self._stop_leader: 1.0,
            self._kill_leader: 1.0,
            self._second_controller: 0.5,
        }
        self._acts += [(weight, act) for act, weight in may.items() if self._draw.random() < 0.5]

    async def storm(self, seconds: float) -> None:
        """Let things go wrong for a while; the first rollout starts in it."""
        world, draw = self._world, self._draw
        world.passing = self._at_crash_point
        world.lead()
        loop = asyncio.get_running_loop()
        world.work = [
            loop.create_task(world.supervise(lambda: draw.uniform(0.1, 0.8))),
            loop.create_task(world.give_tasks(lambda: draw.expovariate(0.8))),
        ]
        await self.operators.press()
        end = world.clock.now() + seconds
        weights = [weight for weight, _ in self._acts]
        while world.clock.now() < end:
            await self._draw.choices(self._acts, weights)[0][1]()
            await world.clock.sleep(draw.expovariate(2.0))

    async def calm(self) -> None:
        """End every fault; what is stopped goes on and finds out."""
        world = self._world
        world.weather.is_calm = True
        world.store.is_away = False
        for process in world.controllers:
            process.go_on()

    async def end(self, ending: str) -> None:
        """Bring the newest rollout to its end, as people would: by abort, or forwards."""
        world = self._world
        limit = world.clock.now() + END_LIMIT_S
        is_aborted = False
        while (state := await world.newest()) is not None:
            verb = self._next_verb(state, ending, is_aborted=is_aborted)
            if verb is None and state.phase.is_final:
                return
            if world.clock.now() > limit:
                world.fleet.broken.append(
                    f"after {END_LIMIT_S:g} s of calm it is {state.phase}: {state.reason}"
                )
                return
            if verb is not None:
                asked = await self.operators.ask(verb, state)
                is_aborted = is_aborted or (verb is Verb.ABORT and asked.answer == "taken")
            await world.clock.sleep(0.5)

    async def probe(self) -> dict[str, dict[str, str]]:
        """Return which versions serve new tasks now."""
        world, served = self._world, {}
        for number in range(PROBES):
            for role, body in (
                ("entry", None),
                ("worker", {"do": "relay", "body": {"do": "version"}}),
            ):
                name = f"probe-{role}-{number}"
                await world.submit(name, body, user=f"u{number}")
                record = await world.fleet.result(name, wait_s=20.0)
                result = record and record.result
                served.setdefault(name, {})[role] = (
                    result["version"] if role == "entry" and result else result
                )
                world.tasks.append(name)
        return served

    async def history(self, seed: int, ending: str, served: dict[str, dict[str, str]]) -> History:
        """End the work, wait for the last tasks, and return all that is to be checked."""
        world = self._world
        for task in world.work:
            task.cancel()
        while (seen := await world.fleet.observe(NOTHING_NEW)).counts.running:
            await world.clock.sleep(0.5)
        counts = world.weather.counts
        counts["command refused by its number"] = world.fleet.refused
        counts["controllers"] = world.lives
        return History(
            seed=seed,
            shape=world.shape,
            ending=ending,
            logs={name: list(log.values()) for name, log in world.store._streams.items()},
            last=await world.newest(),
            broken=tuple(world.fleet.broken),
            counts=counts,
            asked=tuple(self.operators.asked),
            tasks=tuple(world.tasks),
            records={task: await world.fleet.result(task) for task in world.tasks},
            account=seen.counts,
            served=served,
            table=world.fleet.table.number,
            replicas=Counter((replica.role, replica.version) for replica in seen.replicas),
        )

    def _next_verb(self, state: Rollout, ending: str, *, is_aborted: bool) -> Verb | None:
        if state.phase is Phase.FAILED:
            return Verb.RETRY
        if state.phase.is_final or is_aborted:
            return None
        if ending == "abort":
            return Verb.ABORT
        if state.phase is Phase.PAUSED or state.timer_ends is not None or state.judged_since:
            return Verb.PROMOTE_FULL
        return None

    # What goes wrong.

    async def _at_crash_point(self, process: Process, point: str) -> None:
        weather = self._world.weather
        if point.startswith(("lease", "save")) and self._draw.random() < PASSED_BY:
            return  # they are by far the most, and the least to be feared
        if weather.strikes("controller killed at a crash point"):
            weather.counts[f"killed at {point}"] += 1
            process.kill()
        elif weather.strikes("controller stopped at a crash point"):
            self._stop(process)

    def _stop(self, process: Process) -> None:
        process.stop()
        asyncio.get_running_loop().call_later(self._draw.uniform(0.3, 4.0), process.go_on)

    async def _kill_replica(self) -> None:
        fleet = self._world.fleet
        alive = list(fleet.staff.live)
        victim = self._draw.choice(alive)
        fleet.kill(victim.role, victim.version)
        self._count("replica killed")

    async def _jump(self) -> None:
        self._world.clock_off_s += self._draw.choice(JUMPS_S)
        self._count("clock jump")

    async def _outage(self) -> None:
        store = self._world.store

        def back() -> None:
            store.is_away = False

        store.is_away = True
        asyncio.get_running_loop().call_later(self._draw.uniform(0.3, 3.0), back)
        self._count("store away")

    async def _stop_leader(self) -> None:
        for process in self._alive():
            self._stop(process)
            self._count("controller stopped")

    async def _kill_leader(self) -> None:
        for process in self._alive():
            process.kill()
            self._count("controller killed")

    async def _second_controller(self) -> None:
        if len(self._alive()) < 2:
            self._world.lead()
            self._count("second controller")

    def _alive(self) -> list[Process]:
        return [process for process in self._world.controllers if not process.is_dead]

    def _count(self, what: str) -> None:
        self._world.weather.counts[what] += 1
