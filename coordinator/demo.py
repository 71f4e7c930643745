"""`rolewise demo`: the main job on this machine, with real Ray and a real store, in minutes.

Two fleets get traffic: the supply chain, and a help desk that replays recorded conversations. A
good release goes through role by role; then a release that deadlocks and one that gives wrong
answers are caught and rolled back. Nothing is left running.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.rehearse import workload_of
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.server import FleetFile, Server, read_fleet_files
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.coordinator.wording import tell_event
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.runtime import Runtime, TaskCounts

Say = Callable[[str], None]

SUPPLY, DESK = "supply-chain", "replay-retail"
ROLLOUT_LIMIT_S = 240.0
LAST_TASKS_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One rollout of the demo and how it should end."""

    fleet: str
    to: str
    wanted: Phase
    about: str


ACTS: tuple[Act, ...] = (
    Act(
        fleet=SUPPLY,
        to="v2",
        wanted=Phase.COMPLETED,
        about="a better release: pricing, negotiator and orchestrator",
    ),
    Act(
        fleet=SUPPLY,
        to="v3-deadlock",
        wanted=Phase.ROLLED_BACK,
        about="a supplier that asks the negotiator back while both hold their slots",
    ),
    Act(
        fleet=SUPPLY,
        to="v3-wrong",
        wanted=Phase.ROLLED_BACK,
        about="a negotiator that accepts what the order forbids",
    ),
    Act(
        fleet=DESK,
        to="assertions",
        wanted=Phase.ROLLED_BACK,
        about="another way to prompt the recorded help desk, worse on real conversations",
    ),
)
"""Acts of one fleet follow each other; the two fleets go on side by side."""

IN_FLIGHT = 24
"""Tasks of a fleet at a time. On a slow machine more only wait for each other, and a good version
would seem too slow."""

MORE_ACTS: tuple[Act, ...] = (
    Act(
        fleet=SUPPLY,
        to="v3-loop",
        wanted=Phase.ROLLED_BACK,
        about="a negotiator that never gives way and bargains until its deadline",
    ),
    Act(
        fleet=SUPPLY,
        to="v3-flood",
        wanted=Phase.ROLLED_BACK,
        about="a negotiator that sends fifty messages where one would do",
    ),
    Act(
        fleet=SUPPLY,
        to="v3-slow",
        wanted=Phase.ROLLED_BACK,
        about="a negotiator that thinks twenty times as long",
    ),
    Act(
        fleet=SUPPLY,
        to="v3-costly",
        wanted=Phase.ROLLED_BACK,
        about="a negotiator that fills its orders, for three times the tokens",
    ),
)
"""With these the demo shows every kind of bad version, and takes a few minutes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one rollout of the demo ended."""

    act: Act
    rollout: Rollout
    seconds: float

    @property
    def is_as_wanted(self) -> bool:
        """Whether it ended as it should."""
        return self.rollout.phase is self.act.wanted


def run_demo(
    *,
    all_acts: bool = False,
    json_output: bool = False,
    data: Path | None = None,
    say: Say = print,
) -> int:
    """Run the demo; return 0 when every rollout ended as it should, else 1.

    Args:
        all_acts: Play `MORE_ACTS` too.
        json_output: Print one JSON object at the end instead of the progress.
        data: Folder of the store; a temporary one when left out.
        say: Prints a line.
    """
    progress: Say = (lambda _: None) if json_output else say
    with tempfile.TemporaryDirectory(prefix="rolewise-demo-") as folder:
        ended, counts, seconds = asyncio.run(
            _play((*ACTS, *MORE_ACTS) if all_acts else ACTS, data or Path(folder), progress)
        )
    if json_output:
        say(json.dumps(_as_json(ended, counts, seconds), indent=2))
    else:
        for line in _summary(ended, counts, seconds):
            say(line)
    lost = any(c.submitted != c.completed + c.failed + c.timed_out for c in counts.values())
    return 0 if all(one.is_as_wanted for one in ended) and not lost else 1


def example_file(name: str) -> Path:
    """Return the path of an example fleet's file, in a checkout or an installed package."""
    return Path(str(resources.files("rolewise.agents.examples.fleets") / f"{name}.yaml"))


async def _play(
    acts: Sequence[Act], data: Path, say: Say
) -> tuple[list[Ended], dict[str, TaskCounts], float]:
    began = time.monotonic()

    def timed(line: str) -> None:
        say(f"{time.monotonic() - began:6.1f} s  {line}")

    files = read_fleet_files([example_file("supply-chain"), example_file("replay-retail")])
    async with Server(files, data=data, say=timed) as fleets:
        tracks = await asyncio.gather(
            *(
                _play_fleet([a for a in acts if a.fleet == file.spec.fleet], file, fleets, timed)
                for file in files
            )
        )
        timed("ending everything")
    ended = [one for track, _ in tracks for one in track]
    counts = {file.spec.fleet: last for file, (_, last) in zip(files, tracks, strict=True)}
    return ended, counts, time.monotonic() - began


async def _play_fleet(
    acts: Sequence[Act], file: FleetFile, fleets: Fleets, say: Say
) -> tuple[list[Ended], TaskCounts]:
    """Play one fleet's acts under its traffic, then wait for its last tasks."""
    runtime = fleets.runtime(file.spec.fleet)
    work = workload_of(file.spec, seed=1, at_most=IN_FLIGHT)
    traffic = asyncio.create_task(work.run(runtime))
    try:
        ended = [await _perform(act, fleets, say) for act in acts]
    finally:
        traffic.cancel()
        with suppress(asyncio.CancelledError):
            await traffic
    return ended, await _last_counts(runtime)


async def _perform(act: Act, fleets: Fleets, say: Say) -> Ended:
    began = time.monotonic()
    say(f"{act.fleet}: roll out {act.to} ({act.about})")
    planned = await fleets.plan(act.fleet, act.to)
    for place, stage in enumerate(planned.plan.stages, start=1):
        move = f"{stage.role} {stage.from_version} → {stage.to_version}"
        say(f"  stage {place}: {move}: {stage.reason}")
    started = await fleets.start(act.fleet, act.to, by="demo")
    journal, seen = fleets.journal, 0
    while True:
        for number, event in await journal.events(started.rollout, after=seen):
            seen = number
            text = tell_event(event, planned.plan)
            if text and type(event).__name__ not in _QUIET:
                say(f"  {started.rollout}  {text}")
        state = await journal.rollout(started.rollout)
        late = time.monotonic() - began > ROLLOUT_LIMIT_S
        if (state.phase.is_final and state.sequence == seen) or late:
            break
        with suppress(StoreUnavailable):  # a busy machine: look again
            await journal.wait(started.rollout, after=seen, timeout_s=1.0)
    for fact in state.rollback.facts if state.rollback is not None else ():
        for line in fact.details:
            say(f"      {line}")
    return Ended(act=act, rollout=state, seconds=time.monotonic() - began)


_QUIET = frozenset({"ReplicasRequested", "CommandAcknowledged", "TableChanged", "DrainRequested"})


async def _last_counts(runtime: Runtime) -> TaskCounts:
    end = time.monotonic() + LAST_TASKS_LIMIT_S
    while (counts := (await runtime.observe(NOTHING_NEW)).counts).running:
        if time.monotonic() > end:
            break
        await asyncio.sleep(0.2)
    return counts


def _summary(ended: Sequence[Ended], counts: dict[str, TaskCounts], seconds: float) -> list[str]:
    lines = ["", f"What happened, in {seconds:.0f} s:", ""]
    for one in ended:
        sign = "✓" if one.is_as_wanted else "✗"
        roles = " → ".join(stage.role for stage in one.rollout.plan.stages)
        lines.append(
            f"  {sign} {one.act.fleet} {one.act.to:<12} {one.rollout.phase.replace('_', ' '):<12}"
            f" {one.seconds:4.0f} s   {roles}"
        )
        if one.rollout.reason:
            lines.append(f"      {one.rollout.reason}")
        if not one.is_as_wanted:
            lines.append(f"      wanted: {one.act.wanted.replace('_', ' ')}")
    lines += ["", "Every task is accounted for:", ""]
    for fleet, count in counts.items():
        lines.append(
            f"  {fleet:<13} {count.submitted:5} submitted = {count.completed} completed"
            f" + {count.failed} failed + {count.timed_out} timed out"
            + (f" + {count.running} STILL RUNNING" if count.running else "")
        )
    return [
        *lines,
        "",
        "Try next (in a checkout: source .venv/bin/activate):",
        "  rolewise rehearse configs/supply-chain.yaml --to v3-loop    without a cluster",
        "  rolewise demo --all                                         more ways to go wrong",
        "  rolewise up configs/supply-chain.yaml --workload            then, beside it:",
        "  rolewise rollout start supply-chain --to v2 --wait",
        "  docs/tutorial.md                                            your own fleet",
    ]


def _as_json(
    ended: Sequence[Ended], counts: dict[str, TaskCounts], seconds: float
) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "rollouts": [
            {
                "rollout": one.rollout.id,
                "fleet": one.act.fleet,
                "to": one.act.to,
                "phase": one.rollout.phase.value,
                "as_wanted": one.is_as_wanted,
                "reason": one.rollout.reason,
                "roles": [stage.role for stage in one.rollout.plan.stages],
                "seconds": round(one.seconds, 1),
            }
            for one in ended
        ],
        "tasks": {
            fleet: {
                "submitted": count.submitted,
                "completed": count.completed,
                "failed": count.failed,
                "timed_out": count.timed_out,
                "running": count.running,
            }
            for fleet, count in counts.items()
        },
    }
