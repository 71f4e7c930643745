"""Rollouts one after another while processes are killed by lot: nothing lost, memory flat.

    python benchmarks/soak.py [--minutes 30] [--seed 1] [--rate 5] [--every 8]

A small fleet on a Ray of its own, with the bundled store and the coordinator as `rolewise up` has
them. Tasks come at a steady rate, and every accepted one is asked for until it has ended. A fault
strikes every few seconds: SIGKILL to a replica, to the coordinator, or to the store's server.

It ends with the faults, the tasks by their end, how many were lost (accepted, but without an
account or an end: must be 0) or answered wrongly (must be 0), the rollouts by their end, and how
fast the memory of each process grows. The exit code is 1 when something was lost or got stuck.
The lots are drawn from the seed; what else happens on the machine is not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

os.environ["RAY_LOG_TO_DRIVER"] = "0"  # it tells of every death, at length
sys.path.append(str(Path(__file__).parent))  # the fleet's workers import its agents from here

from soak_faults import Faults, pid_of
from soak_fleet import FILE, FLEET, is_right
from soak_memory import Memory

from rolewise.agents.errors import Overloaded
from rolewise.coordinator import journal
from rolewise.coordinator.actor import coordinator_name
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.server import Server, read_fleet_files
from rolewise.coordinator.store.data_directory import DataDirectory
from rolewise.coordinator.store.port import StoreError
from rolewise.fleet.ray import names
from rolewise.fleet.task import Outcome, TaskRequest

journal.ROLLOUTS_REMEMBERED = 20
"""So few that this process, which is the API server, has as many within minutes."""

STUCK_S = 180.0
"""A rollout that has not ended by then is stuck; faults only hold it up for seconds."""
TASK_END_S = 60.0
SAMPLE_S = 5.0


class Stuck(Exception):
    """A rollout has not ended in its time."""


class Soak:
    """One run."""

    def __init__(self, fleets: Fleets, faults: Faults, store: Path, *, rate: float) -> None:
        self._fleets = fleets
        self._runtime = fleets.runtime(FLEET)
        self._faults = faults
        self._store = DataDirectory(store)
        self._rate = rate
        self._began_s = time.monotonic()
        self.tasks: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.rollouts: Counter[str] = Counter()
        self.memory = Memory()
        self._last_replica = 0

    def say(self, words: str) -> None:
        """Print a line with the time since the start."""
        print(f"{time.monotonic() - self._began_s:7.1f} s  {words}", flush=True)

    async def run(self, minutes: float, *, every_s: float, seed: int) -> None:
        """Let it all happen for some minutes, and then come to its end.

        Raises:
            Stuck: A rollout does not end.
        """
        ends = time.monotonic() + 60 * minutes
        jobs = [
            asyncio.create_task(self._strike(ends, every_s)),
            asyncio.create_task(self._sample(ends)),
            asyncio.create_task(self._give_tasks(ends, Random(seed))),
        ]
        release = "v2"
        try:
            while time.monotonic() < ends:
                await self._roll_out(release)
                release = "v1" if release == "v2" else "v2"
            await asyncio.gather(*jobs)
        finally:
            for job in jobs:
                job.cancel()

    async def _roll_out(self, to: str) -> None:
        while True:
            try:
                started = await self._fleets.start(FLEET, to, by="soak", key=f"{time.time()}")
                break
            except StoreError:
                await asyncio.sleep(0.5)
            except RolewiseError as refused:
                if refused.kind.code == "plan_refused":  # the last one was rolled back
                    return
                # The start before this one was taken, although its answer was lost.
                state = await self._fleets.journal.fleet(FLEET)
                self.say(f"{refused.message}: taken after all")
                await self._ends(state.rollouts[-1].rollout)
                return
        await self._ends(started.rollout)

    async def _ends(self, rollout: str) -> None:
        began = time.monotonic()
        state: Rollout | None = None
        while state is None or not state.phase.is_final or state.pending is not None:
            with suppress(StoreError):
                state = await self._fleets.journal.rollout(rollout)
                await self._fleets.journal.wait(rollout, after=state.sequence, timeout_s=1.0)
            if time.monotonic() - began > STUCK_S:
                self.rollouts["stuck"] += 1
                self.say(f"{rollout} is stuck: {state and state.phase}: {state and state.reason}")
                raise Stuck(rollout)
            await asyncio.sleep(0.1)
        self.rollouts[state.phase.value] += 1
        words = f"{rollout} {state.phase.value} in {time.monotonic() - began:.1f} s"
        self.say(f"{words}: {state.reason}" if state.reason else words)

    async def _strike(self, ends: float, every_s: float) -> None:
        while (now := time.monotonic()) < ends:
            await asyncio.sleep(min(self._faults.wait_s(every_s), max(ends - now, 0)))
            if time.monotonic() < ends:
                self.say(await self._faults.strike())

    async def _sample(self, ends: float) -> None:
        while time.monotonic() < ends:
            server = self._store.server_pid() if self._store.is_server_alive() else None
            self.memory.note("API server", os.getpid())
            self.memory.note("store", server)
            for what, actor in (
                ("coordinator", coordinator_name(FLEET)),
                ("gateway", names.gateway_name(FLEET)),
                ("head", names.head_name(FLEET)),
                ("collector", names.collector_name(FLEET, 0)),
            ):
                self.memory.note(what, await pid_of(actor))
            seen = (await self._runtime.observe()).replicas
            numbers = [int(one.replica.rpartition("#")[2]) for one in seen]
            self._last_replica = max([self._last_replica, *numbers])
            await asyncio.sleep(SAMPLE_S)

    async def _give_tasks(self, ends: float, lots: Random) -> None:
        running: set[asyncio.Task[None]] = set()
        number = 0
        while time.monotonic() < ends:
            number += 1
            one = asyncio.create_task(self._give(f"soak-{number}", lots.randrange(1000)))
            running.add(one)
            one.add_done_callback(running.discard)
            await asyncio.sleep(lots.expovariate(self._rate))
        await asyncio.gather(*running)

    async def _give(self, task: str, x: int) -> None:
        """Give one task, and follow it to its end."""
        try:
            await self._runtime.submit(TaskRequest(id=task, body={"x": x}, timeout_s=20.0))
        except Overloaded:
            self.tasks["refused"] += 1
            return
        self.tasks["accepted"] += 1
        ends = time.monotonic() + TASK_END_S
        record = None
        while time.monotonic() < ends:
            record = await self._runtime.result(task, wait_s=5.0)
            if record is None or record.outcome is not Outcome.RUNNING:
                break
        if record is None or record.outcome is Outcome.RUNNING:
            self.tasks["lost"] += 1
            self.say(f"{task} is lost: {record}")
            return
        self.tasks[record.outcome.value] += 1
        if record.outcome is Outcome.COMPLETED and not is_right(x, record.result):
            self.tasks["wrong"] += 1
        if record.error:
            self.errors[record.error.partition(":")[0]] += 1

    def report(self, seed: int, minutes: float) -> None:
        """Print what it came to."""
        print()
        print(f"soak, seed {seed}, {minutes:g} minutes")
        print(f"faults     {_counts(self._faults.done)}")
        asked = ("accepted", "completed", "failed", "timed_out", "refused")
        print(f"tasks      {_counts(Counter({name: self.tasks[name] for name in asked}))}")
        if self.errors:
            print(f"  failures {_counts(self.errors)}")
        print(f"lost       {self.tasks['lost']}")
        print(f"wrong      {self.tasks['wrong']}")
        print(f"rollouts   {_counts(self.rollouts)}")
        lives = self._last_replica + self._faults.done["replica"]
        print(f"replicas   {lives} lives")
        for line in self.memory.lines(replicas_per_h=lives * 60 / minutes):
            print(line)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counted.items())


async def _main(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="rolewise-soak-") as folder:
        data = Path(folder)
        (data / "soak.yaml").write_text(FILE)
        files = read_fleet_files([data / "soak.yaml"])
        async with Server(files, data=data, say=print) as fleets:
            faults = Faults(data / "store", options.seed)
            soak = Soak(fleets, faults, data / "store", rate=options.rate)
            with suppress(Stuck):  # the report says so
                await soak.run(options.minutes, every_s=options.every, seed=options.seed)
            soak.report(options.seed, options.minutes)
    return 1 if soak.tasks["lost"] or soak.tasks["wrong"] or soak.rollouts["stuck"] else 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=5.0, help="tasks a second")
    parser.add_argument(
        "--every", type=float, default=8.0, help="seconds between faults, on average"
    )
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
