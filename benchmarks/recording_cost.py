"""What recording costs: the same fleet, with it and without it, in alternating rounds.

Recording is switched off and on in the running processes, so that both sides use the same links,
replicas and collector. A round ends when all that it has noted is folded; that counts as its time.
Two figures are taken of each pair of rounds: asks a second, and processor seconds an ask of all
processes of the fleet and of Ray. The second does not see what else the machine does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rolewise.fleet.recording.recorder import Recorder

SECONDS = 1.0
NOTING = ("happened", "answered", "note")
_ORIGINAL = {name: Recorder.__dict__[name] for name in NOTING}
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def switch_recording(*, on: bool) -> None:
    """Make all recorders of this process note, or do nothing when they are called."""
    for name, method in _ORIGINAL.items():
        setattr(Recorder, name, method if on else _nothing)


def _nothing(*_figures: Any, **_named: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Side:
    """One round: asks a second, and processor microseconds an ask."""

    per_second: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rounds next to each other."""

    on: Side
    off: Side


async def compare(
    ask: Callable[[], Awaitable[Any]],
    at_once: int,
    *,
    pairs: int,
    switch: Callable[..., Awaitable[Any]],
    flush: Callable[[], Awaitable[Any]],
) -> list[Pair]:
    """Measure with and without recording in turn.

    Args:
        ask: Makes one ask.
        at_once: How many are under way.
        pairs: How many pairs of rounds.
        switch: Switches recording in all processes.
        flush: Returns when all that was noted is folded.
    """
    found = []
    for number in range(pairs):
        sides: dict[bool, Side] = {}
        for on in (True, False) if number % 2 else (False, True):
            await switch(on=on)
            sides[on] = await _one_round(ask, at_once, flush)
        found.append(Pair(on=sides[True], off=sides[False]))
    await switch(on=True)
    return found


async def _one_round(
    ask: Callable[[], Awaitable[Any]], at_once: int, flush: Callable[[], Awaitable[Any]]
) -> Side:
    asks = 0
    cpu_s, start = cpu_seconds(), time.perf_counter()

    async def ask_on_and_on() -> None:
        nonlocal asks
        while time.perf_counter() < start + SECONDS:
            await ask()
            asks += 1

    await asyncio.gather(*(ask_on_and_on() for _ in range(at_once)))
    await flush()
    elapsed_s = time.perf_counter() - start
    return Side(asks / elapsed_s, (cpu_seconds() - cpu_s) / asks * 1e6)


def cpu_seconds() -> float:
    """Return the processor seconds of this process and all that it has started, so far."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                # The name in parentheses may hold anything; behind it are state, parent, ...
                fields = (directory / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            pid = int(directory.name)
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    own, total = os.getpid(), 0
    for pid in parents:
        above = pid
        while above not in {own, 0}:
            above = parents.get(above, 0)
        if above == own:
            total += ticks[pid]
    return total * _TICK_S


def in_words(at_once: int, pairs: list[Pair]) -> str:
    """Say both sides, and how they compare: median and middle half of the pairs' ratios."""
    rates = [pair.on.per_second / pair.off.per_second for pair in pairs]
    costs = [pair.on.cpu_us / pair.off.cpu_us for pair in pairs]
    on, off = [p.on for p in pairs], [p.off for p in pairs]
    return (
        f"recording at {at_once} at once, {len(pairs)} pairs of rounds:\n"
        f"  asks a second   on {median(s.per_second for s in on):7,.0f}"
        f"   off {median(s.per_second for s in off):7,.0f}   ratio {_spread(rates)}"
        " (wanted >= 0.97)\n"
        f"  CPU us an ask   on {median(s.cpu_us for s in on):7.1f}"
        f"   off {median(s.cpu_us for s in off):7.1f}   ratio {_spread(costs)}"
    )


def _spread(ratios: list[float]) -> str:
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"
