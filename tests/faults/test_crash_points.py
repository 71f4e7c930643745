"""A controller dies at every point at which it can, and all goes on as if it had not.

The story is played once undisturbed. Then, for each crash point in each state that the rollout
passes through, the controller dies there and another one follows it; or it is stopped there, as
by SIGSTOP, loses its lease, and wakes when another one has followed it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest

from rolewise.coordinator.crash_points import POINTS
from rolewise.coordinator.rehearse import EPOCH
from rolewise.coordinator.rollout.codec import encode_event
from rolewise.coordinator.rollout.commands import Command, describe_command
from rolewise.coordinator.rollout.events import (
    CommandAcknowledged,
    Event,
    TakenOver,
    VerdictGiven,
)
from rolewise.coordinator.rollout.requests import Abort, Promote
from rolewise.coordinator.rollout.state import Phase, Rollout, StageStatus, pending_commands
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.task import Outcome
from tests.faults.chaos.fleets import FLEET, plan
from tests.faults.chaos.weather import Weather
from tests.faults.chaos.wire import Process
from tests.faults.chaos.world import World

RUNS = {"worker": "v1", "entry": "v1"}
LIMIT_S = 120.0
STOPPED_S = 4.0
GAP_S = 0.1
"""Between two tasks; every weight stands for at least one pass of a controller, which is longer."""

Moment = tuple[str, Phase, StageStatus, str]
"""Crash point; phase, status of the stage, and the command that is pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What must be the same whether a controller died or not.

    Attributes:
        log: The rollout's log without times, successions, and what depends on them: ids of
            commands, and what the judge says of the tasks that happen to have ended.
        ended: Phase, statuses, release and routing table, as folded from the log.
        fleet: (role, version) -> replicas, and the table in force.
        weights: The weights that tasks met, in the order in which each was met first.
    """

    log: tuple[bytes, ...]
    ended: tuple[Phase, tuple[StageStatus, ...], dict[str, str], RoutingTable]
    fleet: tuple[dict[tuple[str, str], int], RoutingTable]
    weights: tuple[tuple[tuple[str, float], ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One playing of the story."""

    told: Told
    moments: tuple[Moment, ...]
    successions: int
    lives: int
    tasks: tuple[int, int]
    refused: int


async def forwards(world: World, state: Rollout) -> None:
    """A person says yes wherever one is waited for."""
    if state.phase is Phase.PAUSED:
        await world.truth.request(state.id, Promote(at=world.now(), by="ana"))


async def and_back(world: World, state: Rollout) -> None:
    """A person says yes in the first stage and no in the second."""
    if state.phase is not Phase.PAUSED:
        return
    if state.stage == 0:
        await world.truth.request(state.id, Promote(at=world.now(), by="ana"))
    else:
        await world.truth.request(state.id, Abort(at=world.now(), by="ana", reason="no"))


STORIES: dict[str, Callable[[World, Rollout], Awaitable[None]]] = {
    "and back": and_back,
    "forwards": forwards,
}


Fate = Callable[[World, Process], None]


def killed(world: World, process: Process) -> None:
    """The next controller is started once somebody sees that there is none."""
    process.kill()


def stopped(world: World, process: Process) -> None:
    """It wakes after the other one, which is there already, has followed it."""
    process.stop()
    asyncio.get_running_loop().call_later(STOPPED_S, process.go_on)
    world.lead()


async def play(story: str, at: Moment | None, fate: Fate = killed) -> Played:
    """Play a story; the controller that gets to this moment first meets its fate there."""
    weather = Weather(random.Random(0), only=())
    world = await World.open("asking", weather, seed=3)
    passed: dict[Moment, None] = {}
    is_met = False

    async def passing(process: Process, point: str) -> None:
        nonlocal is_met
        state = await world.newest()
        if state is None:
            return
        moment = moment_of(point, state)
        passed.setdefault(moment)
        if moment == at and not is_met:
            is_met = True
            fate(world, process)

    world.passing = passing
    world.lead()
    started = await world.truth.start(FLEET, plan("asking", RUNS, "v2"), by="ana", salt="salt")
    number = 0
    while not (state := await world.truth.rollout(started.rollout)).phase.is_final:
        assert world.clock.now() < LIMIT_S, f"{state.phase}: {state.pending}"
        await STORIES[story](world, state)
        number += 1
        await world.submit(f"t{number}", {"do": "relay", "body": {"do": "version"}}, user="u")
        await world.clock.sleep(GAP_S)
        if all(process.is_dead for process in world.controllers):
            world.lead()
    await world.clock.sleep(0.0 if at is None else STOPPED_S)
    told, successions = await tell(world, state, number)
    assert is_met == (at is not None)
    counts = (await world.fleet.observe(NOTHING_NEW)).counts
    await world.close()
    return Played(
        told=told,
        moments=tuple(passed),
        successions=successions,
        lives=world.lives,
        tasks=(counts.submitted, counts.completed),
        refused=world.fleet.refused,
    )


def moment_of(point: str, state: Rollout) -> Moment:
    pending: Command | None = next(iter(pending_commands(state)), None)
    words = "nothing" if pending is None else describe_command(pending).split()[0]
    if point.startswith(("lease", "save")):
        words = ""  # they come at every pass
    return point, state.phase, state.status, words


def bare_log(events: Sequence[Event]) -> tuple[bytes, ...]:
    """Return a log without all that may differ; see `Told.log`."""
    same = [event for event in events if not isinstance(event, TakenOver | VerdictGiven)]
    bare = [replace(e, command="") if isinstance(e, CommandAcknowledged) else e for e in same]
    return tuple(encode_event(replace(event, at=EPOCH)) for event in bare)


async def tell(world: World, state: Rollout, tasks: int) -> tuple[Told, int]:
    numbered = await world.truth.events(state.id)
    events: list[Event] = [event for _, event in numbered]
    seen: dict[tuple[tuple[str, float], ...], None] = {}
    for number in range(1, tasks + 1):
        record = await world.fleet.result(f"t{number}", wait_s=10.0)
        assert record is not None
        assert record.outcome is Outcome.COMPLETED, record.error
        seen.setdefault(tuple((a.role, a.weight) for a in record.assignments))
    replicas: dict[tuple[str, str], int] = {}
    for replica in (await world.fleet.observe(NOTHING_NEW)).replicas:
        key = (replica.role, replica.version)
        replicas[key] = replicas.get(key, 0) + 1
    told = Told(
        log=bare_log(events),
        ended=(state.phase, state.statuses, dict(state.release), state.table),
        fleet=(replicas, world.fleet.table),
        weights=tuple(seen),
    )
    return told, sum(isinstance(event, TakenOver) for event in events)


@cache
def undisturbed(story: str) -> Played:
    return run_virtual(play(story, None))


def find_differences(story: str, moment: Moment, fate: Fate = killed) -> list[str]:
    """Return in what a playing with this fate there differs from one without, in words."""
    played, reference = run_virtual(play(story, moment, fate)), undisturbed(story)
    found = [
        f"{name}: {getattr(played.told, name)} instead of {getattr(reference.told, name)}"
        for name in ("log", "ended", "fleet", "weights")
        if getattr(played.told, name) != getattr(reference.told, name)
    ]
    point, phase, *_ = moment
    if played.lives != 2 and not phase.is_final:
        found.append(f"{played.lives} controllers lived")
    # Whoever finds nothing begun, or all ended, has nothing to take over.
    if played.successions != (not phase.is_final and phase is not Phase.PENDING):
        found.append(f"{played.successions} lines of succession")
    if played.tasks[0] != played.tasks[1]:
        found.append(f"of {played.tasks[0]} tasks {played.tasks[1]} completed")
    if fate is stopped and point in SENT_LATE and not played.refused:
        found.append("a command that came after the succession was not refused")
    return found


SENT_LATE = {f"{call}.before" for call in ("fence", "start", "install", "drain", "stop")}
"""Points at which a controller that is stopped sends a command when it wakes."""

PARTS = 10
CASES = [(story, part) for story in STORIES for part in range(PARTS)]


def moments_of(story: str, part: int) -> tuple[Moment, ...]:
    """Return a tenth of the moments that no story before has."""
    known = {
        moment
        for before in list(STORIES)[: list(STORIES).index(story)]
        for moment in undisturbed(before).moments
    }
    return tuple(m for m in undisturbed(story).moments if m not in known)[part::PARTS]


@pytest.mark.parametrize(("story", "part"), CASES)
def test_a_death_at_any_point_changes_nothing(story: str, part: int) -> None:
    for moment in moments_of(story, part):
        found = find_differences(story, moment)
        assert not found, f"died at {moment}:\n" + "\n".join(found)


@pytest.mark.parametrize(("story", "part"), CASES)
def test_a_leader_that_wakes_after_its_succession_changes_nothing(story: str, part: int) -> None:
    for moment in moments_of(story, part):
        if moment[0].endswith(".before") and not moment[0].startswith("save"):
            found = find_differences(story, moment, stopped)
            assert not found, f"stopped at {moment}:\n" + "\n".join(found)


def test_the_stories_pass_every_point_in_every_phase_that_moves() -> None:
    moments = [moment for story in STORIES for moment in undisturbed(story).moments]
    assert {point for point, *_ in moments} == set(POINTS)
    assert {phase for _, phase, *_ in moments} == set(Phase) - {Phase.FAILED}
    assert {status for *_, status, _ in moments} == set(StageStatus) - {StageStatus.BAKING}
