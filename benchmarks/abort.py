"""How fast an abort takes hold: from the verb to the last task and message that the canary gets.

    python benchmarks/abort.py [--replicas 50] [--aborts 5] [--rate 40] [--json]

A fleet on a local Ray with a real store and its coordinator, under steady traffic. Again and again
a rollout is started and aborted while half of the new tasks go to the canary. Every canary message
notes when its handler begins; a message that was on its way or in a queue at the abort counts too,
so on a machine that is busy with other things that figure tells of the queue.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.rollout.requests import Abort
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.server import FleetFile, Server
from rolewise.fleet.spec import parse_fleet
from rolewise.fleet.task import TaskRequest

FLEET = """
fleet: abort
entry: [entry]
defaults: {{slots: 16, drain: 5s, resources: {{cpu: 0.001}}}}
roles:
  entry:
    calls: [worker]
    replicas: 2
    versions: {{v1: {{agent: "abort_agents:Entry"}}}}
  worker:
    replicas: {stable}
    versions:
      v1: {{agent: "abort_agents:Worker"}}
      v2: {{agent: "abort_agents:Worker", model: newer}}
releases:
  v1: {{entry: v1, worker: v1}}
  v2: {{worker: v2}}
release: v1
strategy:
  canary:
    canary_replicas: {canary}
    steps: [{{set_weight: 50}}, {{pause: {{}}}}, {{set_weight: 100}}]
    keep_stable_for: 0s
"""
GOAL_S = 1.0
UP_LIMIT_S = 600.0


async def until(fleets: Fleets, rollout: str, holds: Any) -> Rollout:
    """Follow a rollout until it stands where it should."""
    state = await fleets.journal.rollout(rollout)
    async with asyncio.timeout(UP_LIMIT_S):
        while not holds(state):
            await fleets.journal.wait(rollout, after=state.sequence, timeout_s=5.0)
            state = await fleets.journal.rollout(rollout)
    return state


async def keep_busy(fleets: Fleets, rate: float) -> None:
    """Submit tasks at a steady rate."""
    runtime, number = fleets.runtime("abort"), 0
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        number += 1
        await runtime.submit(TaskRequest(id=f"t{number}"))
        due = max(due + 1 / rate, loop.time() - 1.0)
        await asyncio.sleep(max(0.0, due - loop.time()))


async def abort_once(fleets: Fleets) -> dict[str, float]:
    """Start a rollout, abort it under traffic, and return what that took, in seconds."""
    runtime, journal = fleets.runtime("abort"), fleets.journal
    cursor = (await runtime.observe(1 << 60)).counts.submitted
    rollout = (await fleets.start("abort", "v2", by="benchmark")).rollout
    await until(fleets, rollout, lambda s: s.weight == 50.0 and s.pending is None)
    await asyncio.sleep(3.0)
    began = time.time()
    await journal.request(rollout, Abort(at=journal.now, by="benchmark", reason="measured"))
    accepted = time.time()
    await until(fleets, rollout, lambda s: s.phase.is_final)
    ended = time.time()
    await asyncio.sleep(3.0)
    last, last_new, on_canary = began, began, 0
    while tasks := (await runtime.observe(cursor)).closed:
        cursor = tasks[-1].number
        for task in tasks:
            if isinstance(task.result, dict) and task.result["version"] == "v2":
                last, on_canary = max(last, task.result["began"]), on_canary + 1
                last_new = max(last_new, task.started_s)
    return {
        "accepted_s": accepted - began,
        "last_canary_task_s": last_new - began,
        "last_canary_message_s": last - began,
        "rolled_back_s": ended - began,
        "canary_tasks": on_canary,
    }


async def measure(replicas: int, aborts: int, rate: float) -> list[dict[str, float]]:
    """Return the figures of each abort, and say each on the terminal as it comes."""
    canary = max(1, replicas // 6)
    text = FLEET.format(stable=max(1, replicas - canary - 2), canary=canary)
    with tempfile.TemporaryDirectory() as data:
        file = FleetFile(spec=parse_fleet(text, "abort.yaml"), text=text, file="abort.yaml")
        async with Server([file], data=Path(data)) as fleets:
            traffic = asyncio.create_task(keep_busy(fleets, rate))
            try:
                rows = []
                for _ in range(aborts):
                    rows.append(await abort_once(fleets))
                    print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
                return rows
            finally:
                traffic.cancel()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument("--aborts", type=int, default=5)
    parser.add_argument("--rate", type=float, default=40.0, help="tasks a second")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.replicas, options.aborts, options.rate))
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{options.replicas} replicas, {options.rate:g} tasks a second, {len(rows)} aborts")
    for name, what in {
        "accepted_s": "abort -> in the log",
        "last_canary_task_s": "abort -> last new task given to the canary",
        "last_canary_message_s": "abort -> last message begun there",
        "rolled_back_s": "abort -> drained, stopped, rolled back",
    }.items():
        seconds = sorted(row[name] for row in rows)
        every = ", ".join(f"{one:.3f}" for one in seconds)
        print(f"  {what:<42} median {median(seconds):.3f} s   ({every})")
    worst = max(row["last_canary_message_s"] for row in rows)
    print(
        f"  goal: under {GOAL_S:g} s: {'kept' if worst < GOAL_S else 'MISSED'}, worst {worst:.3f} s"
    )


if __name__ == "__main__":
    main()
