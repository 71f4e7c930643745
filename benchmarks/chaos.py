"""Random histories of a fleet and its coordinator under faults, in virtual time.

    python benchmarks/chaos.py                    play 100,000 of them, on all cores
    python benchmarks/chaos.py --seed 4711        play one again, and print what happened in it

Prints how often each fault struck and how the histories ended; of a history that breaks what must
hold, its seed and what it broke. Exit code 1 if any did. What is played and checked is in
`tests/faults/chaos/`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rolewise.coordinator.rollout.codec import decode_event
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.wording import tell_event
from tests.faults.chaos.history import play
from tests.faults.chaos.invariants import find_broken

HISTORIES = 100_000
AT_ONCE = 200

Played = tuple[Counter[str], Counter[str], dict[int, list[str]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--first", type=int, default=0, help="seed of the first history")
    parser.add_argument("--seed", type=int, help="play only this one, and print its logs")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    if chosen.seed is not None:
        return show(chosen.seed)
    began = time.perf_counter()
    last = chosen.first + chosen.histories
    blocks = [
        range(first, min(first + AT_ONCE, last)) for first in range(chosen.first, last, AT_ONCE)
    ]
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    broken: dict[int, list[str]] = {}
    print(f"seeds {chosen.first} to {last - 1}, on {chosen.processes} processes")
    with ProcessPoolExecutor(chosen.processes) as pool:
        for some_faults, some_ends, some_broken in pool.map(play_block, blocks):
            faults += some_faults
            ends += some_ends
            broken |= some_broken
            for seed, words in some_broken.items():
                print(f"seed {seed}: {words[0]}", flush=True)
    print(f"{chosen.histories} histories in {time.perf_counter() - began:.0f} s")
    for title, counts in (("what struck", faults), ("how they ended", ends)):
        print(f"\n{title}")
        for what, count in sorted(counts.items()):
            print(f"{count:12,}  {what}")
    print(f"\n{len(broken)} histories broke what must hold")
    for seed in broken:
        print(f"  python benchmarks/chaos.py --seed {seed}")
    return 1 if broken else 0


def play_block(seeds: range) -> Played:
    logging.disable(logging.CRITICAL)
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    broken: dict[int, list[str]] = {}
    for seed in seeds:
        try:
            history = play(seed)
            words = find_broken(history)
        except Exception as error:  # noqa: BLE001 (a history that cannot be played is a finding)
            broken[seed] = [f"{type(error).__name__}: {error}"]
            continue
        faults += history.counts
        phase = "never started" if history.last is None else history.last.phase
        ends[f"{history.shape}, to {history.ending}: {phase}"] += 1
        faults["tasks"] += len(history.tasks)
        if words:
            broken[seed] = words
    return faults, ends, broken


def show(seed: int) -> int:
    history = play(seed)
    for stream, entries in history.logs.items():
        if not stream.startswith("rollout/"):
            continue
        print(stream)
        events = [decode_event(entry) for entry in entries]
        plan = replay(events).plan
        for number, event in enumerate(events, start=1):
            print(f"  {number:3}  {event.at:%H:%M:%S.%f}  {event.by:10} {tell_event(event, plan)}")
    for what, count in sorted(history.counts.items()):
        print(f"{count:6}  {what}")
    words = find_broken(history)
    print("\n".join(["", "broken:", *words] if words else ["", "all that must hold holds"]))
    return 1 if words else 0


if __name__ == "__main__":
    sys.exit(main())
