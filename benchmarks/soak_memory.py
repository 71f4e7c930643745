"""How fast the memory of processes grows, over all lives of each."""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np

from rolewise.fleet.ray.meter import read_memory

WARM_S = 60.0
"""A life's first minute does not count: it imports and fills its caches."""
MIB = 1024 * 1024

Sample = tuple[float, float]
"""When, and how many MB."""


class Memory:
    """Samples of the memory of processes, by what the process is and by its life.

    Accounts, task trees and windows of the last tasks fill up first: what grows in the second half
    of a long run is what to look at.
    """

    def __init__(self) -> None:
        self._samples: defaultdict[str, defaultdict[int, list[Sample]]]
        self._samples = defaultdict(lambda: defaultdict(list))

    def note(self, what: str, pid: int | None) -> None:
        """Note how much a process has now; None when it is not there."""
        used = None if pid is None else read_memory(pid)
        if pid is not None and used is not None:
            self._samples[what][pid].append((time.monotonic(), used / MIB))

    def lines(self, *, replicas_per_h: float) -> list[str]:
        """Return one line for each kind of process: lives, memory, growth.

        Args:
            replicas_per_h: Replicas that were started in an hour. Ray keeps a little of each in
                the processes that had to do with it; `lives.py` shows how much without Rolewise.
        """
        return [
            self._line(what, list(lives.values()), replicas_per_h)
            for what, lives in self._samples.items()
        ]

    def _line(self, what: str, lives: list[list[Sample]], replicas_per_h: float) -> str:
        last = lives[-1][-1][1]
        half = (lives[0][0][0] + lives[-1][-1][0]) / 2
        whole, later = _slope(lives), _slope(lives, after=half)
        grows = "no life was long enough for a slope"
        if whole is not None:
            grows = f"{whole:+.1f} MB/h"
        if later is not None:
            each = later * 1024 / replicas_per_h
            grows += f", in the second half {later:+.1f} MB/h, {each:+.0f} kB a replica"
        counted = "1 life" if len(lives) == 1 else f"{len(lives)} lives"
        return f"memory     {what}: {last:.0f} MB, {grows} ({counted})"


def _slope(lives: list[list[Sample]], *, after: float = 0.0) -> float | None:
    """Return the common slope of all lives in MB/h, each with a level of its own."""
    times, used = [], []
    for life in lives:
        warm = [(at, mb) for at, mb in life if at >= max(life[0][0] + WARM_S, after)]
        if len(warm) >= 3:
            at, mb = np.array(warm).T
            times.append(at - at.mean())
            used.append(mb - mb.mean())
    if not times:
        return None
    x, y = np.concatenate(times), np.concatenate(used)
    return float((x @ y) / (x @ x) * 3600)
