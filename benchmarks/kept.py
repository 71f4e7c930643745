"""What a collector keeps when a fleet has run for hours: its memory must stop growing.

    python benchmarks/kept.py [--hours 3] [--rate 10] [--tasks-kept 2000] [--ray]

A planner asks a supplier three times for each task. Their telemetry is made for each second of
these hours, in the form in which it comes on a cluster, and folded at once. Every few seconds one
of the two is replaced, as rollouts and faults do, and every half minute a trial begins: its tasks
have arms, and the next version of the supplier. Each line has the memory of the collector's process
and what the collector refers to, down to the last array.

With `--ray` the collector is an actor, as in a fleet, and all that it has is read every ten of
those seconds, as coordinators do: so its process needs room for copies of it, too.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import ray
from soak_memory import MIB

sys.path.insert(0, str(Path(__file__).parents[1]))

from rolewise.agents.message import OUTSIDE, Address, Message, Nature
from rolewise.fleet.limits import sums_kept
from rolewise.fleet.ray.cluster import leave_ray, start_local_ray
from rolewise.fleet.ray.collector import CollectorActor
from rolewise.fleet.ray.meter import read_memory
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.notes import Delivery
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.task import task_key
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interactions import Happening
from tests.support.sizes import size_of

START_S = 1e9
ASKS = 3
REPLACED_EVERY_S = 4
TRIAL_S = 30
READ_EVERY_S = 10
LINE_EVERY_S = 1800
CAPACITY = 4096


class Scene:
    """A fleet of two roles that only writes its telemetry."""

    def __init__(self, take: Callable[[Delivery, float], None]) -> None:
        self._take = take
        self._now_s = START_S
        self._numbers = count(1)
        self.lives = self._trials = 0
        self._gateway = self._recorder("gateway.0", "")
        self._planner = self._fresh("planner")
        self._supplier = self._fresh("supplier")

    def second(self, at_s: int, tasks: int) -> None:
        """Let one second pass."""
        for task in range(tasks):
            self._now_s = START_S + at_s + task / tasks
            self._task(f"task-{next(self._numbers)}")
        self._now_s = START_S + at_s + 1.0
        for recorder in (self._planner[1], self._supplier[1], self._gateway):
            self._post(recorder)
        self._trials = at_s // TRIAL_S
        if at_s % REPLACED_EVERY_S == 0:
            if at_s // REPLACED_EVERY_S % 2:
                self._planner = self._fresh("planner")
            else:
                self._supplier = self._fresh("supplier")

    def _task(self, task: str) -> None:
        (planner, plans), (supplier, supplies) = self._planner, self._supplier
        order = self._ask(task, "order", OUTSIDE, self._gateway, planner, plans)
        for _ in range(ASKS):
            offer = self._ask(task, "offer", planner, plans, supplier, supplies, order[1])
            plans.answered(offer[0], Happening.REPLIED, self._now_s + 0.01, "accept")
        self._gateway.answered(order[0], Happening.REPLIED, self._now_s + 0.05)

    def _ask(
        self,
        task: str,
        kind: str,
        asker: Address,
        notes: Recorder,
        target: Address,
        its_notes: Recorder,
        parent: int = 0,
    ) -> tuple[int, int]:
        """Note an ask at both ends; return its row at the asker's, and its id."""
        message = Message(
            id=next(self._numbers),
            nature=Nature.REQUEST,
            kind=kind,
            sender=asker,
            to=target.role,
            body=None,
            task=task,
            task_key=task_key(task),
            conversation=task,
            parent=parent,
            arm=1 + task_key(task) % 2,
        )
        began = self._now_s
        row = notes.happened(Happening.SENT, message, target, began, digest=message.id)
        its_notes.happened(Happening.STARTED, message, target, began, began + 0.001)
        return row, message.id

    def _fresh(self, role: str) -> tuple[Address, Recorder]:
        self.lives += 1
        address = Address(role=role, version=f"v{1 + self._trials % 2}", replica=self.lives)
        return address, self._recorder(f"{address}.0", address.node)

    def _recorder(self, source: str, node: str) -> Recorder:
        return Recorder(
            source,
            node,
            capacity=CAPACITY,
            now=lambda: self._now_s,
            clock_ns=lambda: int(self._now_s * 1e9),
        )

    def _post(self, recorder: Recorder) -> None:
        delivery = recorder.take()
        if delivery is not None:
            self._take(delivery, self._now_s)


class Here:
    """A collector in this process."""

    def __init__(self, tasks_kept: int) -> None:
        self._collector = Collector(tasks_kept=sums_kept(tasks_kept))

    def take(self, delivery: Delivery, now_s: float) -> None:
        """Fold what has travelled."""
        carried = pickle.loads(pickle.dumps(delivery))  # noqa: S301 (our own)
        self._collector.take(carried, now_s=now_s)

    def read(self) -> None:
        """Nobody reads it."""

    def sizes(self) -> tuple[float, float]:
        """Return the MB of its process, and its own."""
        return sizes_of(self._collector)


class Head:
    """As much of a fleet's head as a collector needs."""

    async def join_collector(self, _shard: int) -> int:
        """Say that it is the first life."""
        return 0


class AgedActor(CollectorActor):
    """A fleet's collector that is told the time."""

    async def take_at(self, delivery: Delivery, now_s: float) -> None:
        """Fold a delivery."""
        (await self._open()).take(delivery, now_s=now_s)

    async def sizes(self) -> tuple[float, float]:
        """Return the MB of its process, and its own."""
        return sizes_of(await self._open())


class OnRay:
    """A collector in an actor."""

    def __init__(self, tasks_kept: int) -> None:
        head = ray.remote(Head).options(num_cpus=0).remote()
        actor: Any = ray.remote(AgedActor).options(num_cpus=0)
        self._actor = actor.remote(head, 0, tasks_kept)

    def take(self, delivery: Delivery, now_s: float) -> None:
        """Send a delivery, and wait until it is folded."""
        ray.get(self._actor.take_at.remote(delivery, now_s))

    def read(self) -> None:
        """Read all that a coordinator reads."""
        actor = self._actor
        reads = (actor.windows, actor.task_rows, actor.task_trees)
        ray.get([read.remote() for read in reads] + [actor.breaches.remote(GuardLimits())])

    def sizes(self) -> tuple[float, float]:
        """Return the MB of its process, and its own."""
        found: tuple[float, float] = ray.get(self._actor.sizes.remote())
        return found


def sizes_of(collector: Collector) -> tuple[float, float]:
    """Return the MB of this process, and the collector's."""
    gc.collect()
    return (read_memory() or 0) / MIB, size_of(collector) / MIB


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--rate", type=int, default=10, help="tasks a second")
    parser.add_argument("--tasks-kept", type=int, default=2000, help="as in a fleet's file")
    parser.add_argument("--ray", action="store_true", help="the collector in an actor")
    options = parser.parse_args()
    if options.ray:
        start_local_ray()
    try:
        live(options)
    finally:
        if options.ray:
            leave_ray()


def live(options: argparse.Namespace) -> None:
    """Let the hours pass, and print."""
    host = (OnRay if options.ray else Here)(options.tasks_kept)
    scene, began = Scene(host.take), time.monotonic()
    print(f"{options.rate} tasks a second, {options.tasks_kept} kept, one replica every 4 s anew")
    print(f"{'hours':>6} {'tasks':>9} {'replicas':>9} {'process MB':>11} {'collector MB':>13}")
    for at_s in range(int(options.hours * 3600) + 1):
        scene.second(at_s, options.rate)
        if at_s % READ_EVERY_S == 0:
            host.read()
        if at_s and at_s % LINE_EVERY_S == 0:
            process, kept = host.sizes()
            tasks = at_s * options.rate
            print(
                f"{at_s / 3600:6.1f} {tasks:9} {scene.lives:9} {process:11.1f} {kept:13.2f}",
                flush=True,
            )
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
