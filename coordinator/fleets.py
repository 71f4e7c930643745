"""What a person can do with fleets and their rollouts, whichever way they come: API, CLI, demo.

A thin layer: it reads the fleet's file, its graph and its logs, and puts plans and verbs into
the journal. It changes nothing in a fleet itself; that is the controller's part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import networkx as nx

from rolewise.agents.agent import AgentImportError, load_agent
from rolewise.coordinator.asking import refused
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleet_log import FleetRegistered, FleetState
from rolewise.coordinator.journal import Journal, Started
from rolewise.coordinator.judge.analysis import Analysis, Evidence
from rolewise.coordinator.judge.planning import Need, tasks_needed
from rolewise.coordinator.last_known import read_fleet_state
from rolewise.coordinator.plan.build import build_plan
from rolewise.coordinator.plan.capacity import Capacity
from rolewise.coordinator.plan.foretell import Forecast
from rolewise.coordinator.plan.order import place_roles
from rolewise.coordinator.plan.plan import Plan, PlanRefused, Release
from rolewise.coordinator.rollout.decide import Refusal, undo_target
from rolewise.coordinator.rollout.state import NOT_STARTED, Rollout
from rolewise.coordinator.scoring import scorer_problem
from rolewise.coordinator.traffic import read_traffic
from rolewise.fleet.release import TargetError, definition, first_release, parse_target
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import Runtime, VersionDefinition
from rolewise.fleet.spec import FleetSpec, parse_fleet, role_settings
from rolewise.graphs.criticality import RolePlace
from rolewise.graphs.task_trees import TaskTrees


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with what it was made from."""

    plan: Plan
    places: tuple[RolePlace, ...]


class Fleets:
    """All fleets of one server.

    Args:
        journal: The logs.
        runtimes: Fleet name -> its runtime.
        capacity: What the cluster holds; None when it is not limited.
        draw_salt: Makes the random text that seeds a rollout's cohorts.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        runtimes: Mapping[str, Runtime],
        draw_salt: Callable[[], str],
        capacity: Callable[[], Awaitable[Capacity | None]] | None = None,
    ) -> None:
        self.journal = journal
        self._runtimes = runtimes
        self._draw_salt = draw_salt
        self._capacity = capacity

    async def spec(self, fleet: str) -> FleetSpec:
        """Return the fleet's file as it was registered, also while the store is away."""
        registered = (await read_fleet_state(self.journal, fleet)).registered
        assert registered is not None  # noqa: S101
        return _parsed(registered.text, registered.file)

    def runtime(self, fleet: str) -> Runtime:
        """Return the runtime of a fleet.

        Raises:
            RolewiseError: `unknown_fleet`: it does not run here.
        """
        runtime = self._runtimes.get(fleet)
        if runtime is None:
            running = ", ".join(sorted(self._runtimes)) or "none"
            raise RolewiseError(
                "unknown_fleet", f"fleet {fleet!r} does not run; running: {running}"
            )
        return runtime

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the fleets that run here."""
        return tuple(sorted(self._runtimes))

    async def release(self, fleet: str) -> Release:
        """Return role -> version, as it is stable now."""
        return release_of(
            await self.journal.fleet(fleet),
            await self.journal.last_rollout(await self.journal.fleet(fleet)),
        )

    async def plan(self, fleet: str, to: str) -> Planned:
        """Plan a rollout without starting it.

        Args:
            fleet: The fleet.
            to: Name of a release in the fleet's file, or `role=version,role=version`.

        Raises:
            RolewiseError: `plan_refused` with every problem, `unknown_fleet`.
        """
        spec, running = await self.spec(fleet), await self.release(fleet)
        target = read_target(to, spec, running)
        return await self._plan(fleet, spec, running, target, to if to in spec.releases else "")

    async def start(
        self, fleet: str, to: str, *, by: str, reason: str = "", key: str = ""
    ) -> Started:
        """Plan a rollout and begin it; see `plan` and `Journal.start`."""
        wanted = f"to {to}"
        if repeated := await self.journal.started_by_key(fleet, key, wanted):
            return repeated
        planned = await self.plan(fleet, to)
        return await self.journal.start(
            fleet,
            planned.plan,
            by=by,
            reason=reason,
            salt=self._draw_salt(),
            key=key,
            wanted=wanted,
        )

    async def undo(self, rollout: str, *, by: str, reason: str = "", key: str = "") -> Started:
        """Begin a new rollout back to the release that this one came from.

        Raises:
            RolewiseError: `verb_refused`: it has not ended, or has nothing to go back to.
        """
        state = await self.journal.rollout(rollout)
        wanted = f"undo {rollout}"
        if repeated := await self.journal.started_by_key(state.fleet, key, wanted):
            return repeated
        target = undo_target(state)
        if isinstance(target, Refusal):
            raise refused(target)
        fleet = state.fleet
        spec, running = await self.spec(fleet), await self.release(fleet)
        planned = await self._plan(fleet, spec, running, target, "")
        return await self.journal.start(
            fleet,
            planned.plan,
            by=by,
            reason=reason or f"undo of {rollout}",
            salt=self._draw_salt(),
            key=key,
            wanted=wanted,
        )

    async def _plan(
        self, fleet: str, spec: FleetSpec, running: Release, target: Release, name: str
    ) -> Planned:
        runtime = self.runtime(fleet)
        windows, tasks = await asyncio.gather(runtime.graph(), runtime.task_trees())
        capacity = await self._capacity() if self._capacity is not None else None
        return plan_release(
            spec,
            running,
            target,
            to_name=name,
            graph=windows.to_networkx(view="role"),
            tasks=tasks,
            capacity=capacity,
        )


@lru_cache(maxsize=32)
def _parsed(text: str, file: str) -> FleetSpec:
    """Return a fleet's file, read once: every request asks for it, and reading takes long."""
    return parse_fleet(text, file)


def plan_from_file(spec: FleetSpec, to: str) -> Planned:
    """Plan from the release that the file starts with, without a fleet that runs.

    The order follows from configured criticality and declared calls; room is not checked.

    Raises:
        RolewiseError: `plan_refused` with every problem.
    """
    running = first_release(spec)
    to_name = to if to in spec.releases else ""
    return plan_release(spec, running, read_target(to, spec, running), to_name=to_name)


def plan_release(
    spec: FleetSpec,
    running: Release,
    target: Release,
    *,
    to_name: str = "",
    graph: nx.MultiDiGraph | None = None,
    tasks: TaskTrees | None = None,
    capacity: Capacity | None = None,
) -> Planned:
    """Plan from what runs to the wanted release.

    Args:
        spec: The fleet.
        running: Role -> version now.
        target: Role -> version wanted.
        to_name: The wanted release's name, if it has one.
        graph: Role view of the interaction graph; None while there is no traffic.
        tasks: Trees of the last tasks, and what failed in them.
        capacity: What the cluster holds; None when it is not limited.

    Raises:
        RolewiseError: `plan_refused` with every problem.
    """
    places = place_roles(spec, graph, tasks)
    try:
        plan = build_plan(
            spec,
            running,
            target,
            places=places,
            to_name=to_name,
            capacity=capacity,
            loads=import_problem,
            scorer_loads=scorer_problem,
            forecast=_forecast(graph),
        )
    except PlanRefused as error:
        raise RolewiseError("plan_refused", str(error), details=error.problems) from error
    return Planned(plan=plan, places=places)


def read_target(to: str, spec: FleetSpec, running: Release) -> Release:
    """Read where to go: a release's name, or `role=version,role=version`.

    Raises:
        RolewiseError: `plan_refused` with every problem.
    """
    try:
        return parse_target(to, spec, running)
    except TargetError as error:
        raise RolewiseError("plan_refused", str(error), details=error.problems) from error


def _forecast(graph: nx.MultiDiGraph | None) -> Forecast:
    traffic = read_traffic(graph)

    def expected(analysis: Analysis, weight: float, evidence: Evidence) -> Need:
        return tasks_needed(analysis, weight=weight, evidence=evidence, baseline=traffic.baseline)

    return Forecast(expected_tasks=expected, tasks_per_s=traffic.tasks_per_s)


def import_problem(version: VersionDefinition) -> str | None:
    """Return why a version's agent cannot be made here, or None.

    A version with an environment of its own is tried by its first replica instead.
    """
    if version.runtime_env:
        return None
    try:
        load_agent(version.agent, version.config)
    except AgentImportError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (a constructor may raise anything)
        return f"agent {version.agent!r} cannot be made: {type(error).__name__}: {error}"
    return None


def release_of(fleet: FleetState, last: Rollout) -> Release:
    """Return what is stable in a fleet: by its last rollout, or as it was registered."""
    assert fleet.registered is not None  # noqa: S101
    return fleet.registered.release if fleet.is_fresh else last.release


def first_table(spec: FleetSpec, release: Release, *, number: int) -> RoutingTable:
    """Return the table by which a fleet starts: every role on its stable version."""
    return RoutingTable(
        number=number,
        routes=tuple(
            RoleRoute(role=role, stable=version, idempotent=spec.roles[role].idempotent)
            for role, version in release.items()
        ),
    )


def definitions_of(spec: FleetSpec) -> dict[tuple[str, str], VersionDefinition]:
    """Return the definition of every version that a fleet's file names."""
    return {
        (role, version): definition(spec, role, version)
        for role, settings in spec.roles.items()
        for version in settings.versions
    }


async def register(
    journal: Journal, spec: FleetSpec, *, text: str, file: str, by: str
) -> FleetState:
    """Note that a fleet starts: with its last release where the file still has it, else its own.

    A fleet whose rollout is under way is not noted anew: it goes on where it was, as it has to
    when all of it died at once.

    Raises:
        RolewiseError: `rollout_in_progress`, by another file.
    """
    release: Release = dict(spec.releases[spec.release])
    number = 1
    if spec.fleet in await journal.fleets():
        known = await journal.fleet(spec.fleet)
        last = await journal.last_rollout(known)
        is_same = known.registered is not None and known.registered.text == text
        if is_same and known.holds_back(last):
            return known
        ran = release_of(known, last)
        if set(ran) == set(spec.roles) and all(
            version in spec.roles[role].versions for role, version in ran.items()
        ):
            release = ran
        assert known.registered is not None  # noqa: S101
        number = max(known.registered.table.number, last.table.number) + 1
    return await journal.register(
        FleetRegistered(
            at=journal.now,
            by=by,
            fleet=spec.fleet,
            text=text,
            file=file,
            release=release,
            table=first_table(spec, release, number=number),
        )
    )


async def bring_up(
    runtime: Runtime,
    spec: FleetSpec,
    fleet: FleetState,
    *,
    fencing: int,
    last: Rollout = NOT_STARTED,
) -> None:
    """Start what should run and put its table in force; safe to repeat.

    That is every role's stable version, or all that the fleet's last rollout has asked for, if that
    is under way. If none is, nothing else stays: a fleet that outlived its server may still have
    what a failed rollout left, or versions that the file has no more.
    """
    assert fleet.registered is not None  # noqa: S101
    goes_on = fleet.holds_back(last)
    release = last.release if goes_on else fleet.registered.release
    wanted = {(role, ver): role_settings(spec, role).replicas for role, ver in release.items()}
    wanted.update(last.wanted if goes_on else {})
    definitions = definitions_of(spec)
    await asyncio.gather(
        *(
            runtime.scale(definitions[key], replicas, fencing=fencing)
            for key, replicas in wanted.items()
            if replicas
        )
    )
    await runtime.install(last.table if goes_on else fleet.registered.table, fencing=fencing)
    if not goes_on:
        there = {(one.role, one.version) for one in (await runtime.observe()).replicas}
        for role, ver in sorted(there - wanted.keys()):
            unwanted = VersionDefinition(
                role=role, version=ver, content_hash="", agent="", config={}
            )
            await runtime.drain(role, ver, 0.0, fencing=fencing)
            await runtime.scale(unwanted, 0, fencing=fencing)
