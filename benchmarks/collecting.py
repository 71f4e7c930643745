"""What a collector costs: CPU microseconds an ask, from two recorders' notes to folded sums.

    python benchmarks/collecting.py [--asks 4000] [--rounds 60]

An ask is three records: sent and answered, which the asker notes, and started, which the replica
notes. Both recorders are taken, their deliveries pickled and unpickled as on their way to the
collector, and folded by one collector that has been at work for a while. Every part is timed by
itself; time is processor time, medians over rounds.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any, TypeVar

from rolewise.agents.message import OUTSIDE, Address, Message, Nature
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.notes import Delivery
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.task import task_key
from rolewise.graphs.interactions import Happening

T = TypeVar("T")

TARGET = Address(role="supplier", version="v1", replica=7)
AGENT = Address(role="negotiator", version="v1", replica=3)
PER_TASK = 10


class Ends:
    """Both ends of a way: an asker's recorder and a replica's.

    Args:
        inside: An agent of the fleet asks; else the world outside.
    """

    def __init__(self, *, inside: bool) -> None:
        self._sender = AGENT if inside else OUTSIDE
        self._parent = 77 if inside else 0
        self.asker = Recorder("negotiator@v1#3.0", "negotiator@v1", capacity=1 << 16)
        self.replica = Recorder("supplier@v1#7.0", "supplier@v1", capacity=1 << 16)
        self._numbers = count(1)
        self._task = ""
        self._task_key = 0

    def ask(self, asks: int) -> None:
        """Note so many asks at both ends; ten are one task."""
        now = time.perf_counter
        for _ in range(asks):
            number = next(self._numbers)
            if number % PER_TASK == 1:
                self._task = f"task-{number}"
                self._task_key = task_key(self._task)
            message = Message(
                id=number,
                sender=self._sender,
                to="supplier",
                body=None,
                task=self._task,
                task_key=self._task_key,
                conversation=self._task,
                nature=Nature.REQUEST,
                kind="offer",
                parent=self._parent,
            )
            began = now()
            row = self.asker.happened(Happening.SENT, message, TARGET, began, 0.0, "task")
            self.replica.happened(Happening.STARTED, message, TARGET, began, now())
            self.asker.answered(row, Happening.REPLIED, now())


def one_round(ends: Ends, collector: Collector, asks: int, now_s: float) -> dict[str, float]:
    """Return the CPU microseconds an ask of each part."""
    spent: dict[str, float] = {}

    def timed(name: str, job: Callable[[], T]) -> T:
        begin = time.process_time()
        done = job()
        spent[name] = (time.process_time() - begin) / asks * 1e6
        return done

    ends.ask(asks)
    taken = timed("recorders' take", lambda: [ends.asker.take(), ends.replica.take()])
    carried: list[Delivery] = timed("pickled and back", lambda: _carried(taken))

    def fold() -> None:
        for delivery in carried:
            collector.take(delivery, now_s=now_s)

    timed("collector's take", fold)
    return spent


def _carried(deliveries: Any) -> Any:
    return pickle.loads(pickle.dumps(deliveries))  # noqa: S301 (our own)


def measure(asks: int, rounds: int, *, inside: bool) -> dict[str, float]:
    """Return medians over rounds, after some that only warm up."""
    ends, collector = Ends(inside=inside), Collector()
    found: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + rounds // 4):
        spent = one_round(ends, collector, asks, number / 2)
        if number >= rounds // 4:
            for name, figure in spent.items():
                found[name].append(figure)
    return {name: median(figures) for name, figures in found.items()}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--asks", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    for inside in (False, True):
        figures: dict[str, Any] = measure(arguments.asks, arguments.rounds, inside=inside)
        print(f"{arguments.asks} asks by {'an agent' if inside else 'the world outside'}:")
        for name, us in figures.items():
            wanted = " (wanted < 1.2)" if name == "collector's take" else ""
            print(f"  {us:5.2f} us an ask  {name}{wanted}")


if __name__ == "__main__":
    main()
