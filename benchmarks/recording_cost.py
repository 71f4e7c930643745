"""What recording costs: the same fleet, with it and without it, in alternating rounds.

Recording is switched off and on in the running processes, so that both sides use the same links,
replicas and collector. Off, nothing is looked into either: no kinds of replies, no digests. Of each
round the first second does not count. By then a process knows how busy it is, and so of which tasks
it measures bodies (`MeasuredShare`); and what it ships and has folded in the seconds that count is
as much as it notes in them, for it ships once a second.

Rounds go in fours, with, without, without, with, then the other way round, so that a machine that
becomes slower or faster meanwhile does the same to both sides. Two figures are taken of each four:
asks a second, and processor seconds an ask of all processes of the fleet and of Ray. The second
does not see what else the machine does.
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

from rolewise.fleet import invocation, messenger
from rolewise.fleet.recording.measured import MeasuredShare
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.recording.reply_kinds import reply_kind

SETTLE_S = 1.0
SECONDS = 3.0
ROUNDS = ((True, False, False, True), (False, True, True, False))
NOTING = ("happened", "answered", "note")
_ORIGINAL = {name: Recorder.__dict__[name] for name in NOTING}
_WANTS = MeasuredShare.wants
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def switch_recording(*, on: bool) -> None:
    """Make all recorders of this process note, or do nothing when they are called."""
    for name, method in _ORIGINAL.items():
        setattr(Recorder, name, method if on else _nothing)
    MeasuredShare.wants = _WANTS if on else _no  # type: ignore[method-assign]
    for module in (messenger, invocation):
        module.reply_kind = reply_kind if on else _no_kind  # type: ignore[attr-defined]


def _no(*_figures: Any) -> bool:
    return False


def _no_kind(_body: Any) -> str:
    return ""


def _nothing(*_figures: Any, **_named: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Side:
    """One round: asks a second, and processor microseconds an ask."""

    per_second: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Four:
    """The sums of two rounds with and two without, one after another."""

    on: Side
    off: Side


async def compare(
    ask: Callable[[], Awaitable[Any]],
    at_once: int,
    *,
    fours: int,
    switch: Callable[..., Awaitable[Any]],
) -> list[Four]:
    """Measure with and without recording in turn.

    Args:
        ask: Makes one ask.
        at_once: How many are under way.
        fours: How many times four rounds.
        switch: Switches recording in all processes.
    """
    found = []
    for number in range(fours):
        sides: dict[bool, list[Side]] = {True: [], False: []}
        for on in ROUNDS[number % 2]:
            await switch(on=on)
            sides[on].append(await _one_round(ask, at_once))
        found.append(Four(on=_mean(sides[True]), off=_mean(sides[False])))
    await switch(on=True)
    return found


def _mean(sides: list[Side]) -> Side:
    """Return the mean of rounds that took the same time."""
    asks = sum(side.per_second for side in sides)
    return Side(asks / len(sides), sum(side.per_second * side.cpu_us for side in sides) / asks)


async def _one_round(ask: Callable[[], Awaitable[Any]], at_once: int) -> Side:
    asks, is_over = 0, False

    async def ask_on_and_on() -> None:
        nonlocal asks
        while not is_over:
            await ask()
            asks += 1

    askers = [asyncio.create_task(ask_on_and_on()) for _ in range(at_once)]
    await asyncio.sleep(SETTLE_S)
    before, cpu_s, start = asks, cpu_seconds(), time.perf_counter()
    await asyncio.sleep(SECONDS)
    counted, elapsed_s = asks - before, time.perf_counter() - start
    spent_s = cpu_seconds() - cpu_s
    is_over = True
    await asyncio.gather(*askers)
    return Side(counted / elapsed_s, spent_s / counted * 1e6)


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


def in_words(case: str, fours: list[Four]) -> str:
    """Say both sides, and how they compare: median and middle half of the ratios."""
    rates = [four.on.per_second / four.off.per_second for four in fours]
    costs = [four.on.cpu_us / four.off.cpu_us for four in fours]
    on, off = [four.on for four in fours], [four.off for four in fours]
    return (
        f"recording, {case}, {len(fours)} times four rounds:\n"
        f"  asks a second   on {median(s.per_second for s in on):7,.0f}"
        f"   off {median(s.per_second for s in off):7,.0f}   ratio {_spread(rates)}"
        " (wanted >= 0.97)\n"
        f"  CPU us an ask   on {median(s.cpu_us for s in on):7.1f}"
        f"   off {median(s.cpu_us for s in off):7.1f}   ratio {_spread(costs)}\n"
        f"  it costs {median(f.on.cpu_us - f.off.cpu_us for f in fours):.1f} us an ask,"
        " at both ends, on the way and folded"
    )


def _spread(ratios: list[float]) -> str:
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"
