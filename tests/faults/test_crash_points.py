"""A controller dies at every point at which it can, and all goes on as if it had not.

The story is played once without a death. Then, for each crash point in each state that the rollout
passes through, the controller dies there and another one follows it.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

import pytest

from rolewise.coordinator.crash_points import POINTS
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
    "forwards": forwards,
    "and back": and_back,
}


async def play(story: str, dies_at: Moment | None) -> Played:
    """Play a story; the controller that gets to this moment first dies there."""
    weather = Weather(random.Random(0), only=())
    world = await World.open("asking", weather, seed=3)
    passed: dict[Moment, None] = {}
    has_died = False

    async def passing(process: Process, point: str) -> None:
        nonlocal has_died
        state = await world.newest()
        if state is None:
            return
        moment = moment_of(point, state)
        passed.setdefault(moment)
        if moment == dies_at and not has_died:
            has_died = True
            process.kill()

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
    await world.clock.sleep(1.0)
    told, successions = await tell(world, state, number)
    assert has_died == (dies_at is not None)
    counts = (await world.fleet.observe(NOTHING_NEW)).counts
    await world.close()
    return Played(
        told=told,
        moments=tuple(passed),
        successions=successions,
        lives=world.lives,
        tasks=(counts.submitted, counts.completed),
    )


def moment_of(point: str, state: Rollout) -> Moment:
    pending: Command | None = next(iter(pending_commands(state)), None)
    words = "nothing" if pending is None else describe_command(pending).split()[0]
    if point.startswith(("lease", "save")):
        words = ""  # they come at every pass
    return point, state.phase, state.status, words


def bare(event: Event, at: datetime) -> bytes:
    if isinstance(event, CommandAcknowledged):
        event = replace(event, command="")
    return encode_event(replace(event, at=at))


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
        log=tuple(
            bare(event, events[0].at)
            for event in events
            if not isinstance(event, TakenOver | VerdictGiven)
        ),
        ended=(state.phase, state.statuses, dict(state.release), state.table),
        fleet=(replicas, world.fleet.table),
        weights=tuple(seen),
    )
    return told, sum(isinstance(event, TakenOver) for event in events)


@cache
def undisturbed(story: str) -> Played:
    return run_virtual(play(story, None))


def find_differences(story: str, moment: Moment) -> list[str]:
    """Return in what a playing with a death there differs from one without, in words."""
    played, reference = run_virtual(play(story, moment)), undisturbed(story)
    found = [
        f"{name}: {getattr(played.told, name)} instead of {getattr(reference.told, name)}"
        for name in ("log", "ended", "fleet", "weights")
        if getattr(played.told, name) != getattr(reference.told, name)
    ]
    _, phase, *_ = moment
    if played.lives != 2 and not phase.is_final:
        found.append(f"{played.lives} controllers lived")
    # Whoever finds nothing begun, or all ended, has nothing to take over.
    if played.successions != (not phase.is_final and phase is not Phase.PENDING):
        found.append(f"{played.successions} lines of succession")
    if played.tasks[0] != played.tasks[1]:
        found.append(f"of {played.tasks[0]} tasks {played.tasks[1]} completed")
    return found


PARTS = 10


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_death_at_any_point_changes_nothing(story: str, part: int) -> None:
    for moment in undisturbed(story).moments[part::PARTS]:
        found = find_differences(story, moment)
        assert not found, f"died at {moment}:\n" + "\n".join(found)


def test_the_stories_pass_every_point_in_every_phase_that_moves() -> None:
    moments = [moment for story in STORIES for moment in undisturbed(story).moments]
    assert {point for point, *_ in moments} == set(POINTS)
    phases = {phase for phase in Phase if not phase.is_final}
    assert {phase for point, phase, *_ in moments if point == "append.after"} == phases
    assert {status for *_, status, _ in moments} >= set(StageStatus) - {StageStatus.BAKING}
