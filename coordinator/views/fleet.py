"""A fleet that runs as people and programs read it: its roles, its tasks, what is amiss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

from rolewise.coordinator.plan.plan import Release
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.views.base import ByName, View
from rolewise.fleet.runtime import Observation, ReplicaState, ReplicaStatus, TaskCounts
from rolewise.fleet.spec import FleetSpec, role_settings
from rolewise.graphs.criticality import RolePlace

RoleVersion = tuple[str, str]
Releases = Annotated[dict[str, ByName], AfterValidator(lambda known: dict(sorted(known.items())))]


class ReplicaView(View):
    """One running copy of a version of a role."""

    replica: str
    """Its address in words."""
    state: ReplicaState
    restarts: int
    """How often it died and was replaced."""
    running: int
    """Messages that hold a slot."""
    queued: int
    """Messages that wait for one."""
    reason: str
    """Why it is failed, or starting for long."""


class VersionView(View):
    """A version of a role that runs, or should."""

    version: str
    is_stable: bool
    wanted: int
    """Replicas that it should have now."""
    ready: int
    restarts: int
    """Of all its replicas together."""
    replicas: tuple[ReplicaView, ...]


class RoleView(View):
    """A role with the versions that run of it."""

    role: str
    place: int
    """In the order of upgrades, from 1, the least critical."""
    criticality: float
    """0 to 1."""
    reason: str
    """Why it has this place."""
    is_entry: bool
    """Tasks are given to it."""
    stable: str
    versions: tuple[VersionView, ...]
    """Those that run or should, the stable one first."""
    known_versions: tuple[str, ...]
    """All that the fleet's file has."""


class CountsView(View):
    """The account of all tasks: `submitted` is the sum of the other four."""

    submitted: int
    running: int
    completed: int
    failed: int
    timed_out: int


class FleetView(View):
    """A fleet that runs."""

    name: str
    file: str
    """Where its file was read."""
    registered_at: datetime
    """When it was started with this file."""
    entry: tuple[str, ...]
    """Roles that tasks are given to; the first is the default."""
    release: ByName
    """Role -> version that is stable."""
    release_names: tuple[str, ...]
    """Releases of the file that name exactly what is stable."""
    releases: Annotated[
        dict[str, ByName], AfterValidator(lambda known: dict(sorted(known.items())))
    ]
    """Where a rollout may go: name -> role -> version. Roles not named keep their version."""
    table: int
    """Number of the routing table in force or being installed."""
    roles: tuple[RoleView, ...]
    """Least critical first."""
    tasks: CountsView
    lost_records: int
    """Telemetry that was dropped so far."""
    rollout: str | None
    """The fleet's newest rollout."""
    rollout_phase: Phase | None
    rollouts: tuple[str, ...]
    """All rollouts of the fleet, oldest first."""
    alerts: tuple[str, ...]
    """What needs a person's eye, one sentence each."""


class FleetsView(View):
    """All fleets of one server."""

    fleets: tuple[FleetView, ...]


def view_fleet(
    spec: FleetSpec,
    *,
    file: str,
    registered_at: datetime,
    release: Release,
    table: int,
    rollouts: Sequence[str],
    last: Rollout | None,
    observed: Observation,
    places: Sequence[RolePlace],
    stalls: Sequence[str] = (),
) -> FleetView:
    """Return a fleet.

    Args:
        spec: Its file.
        file: Where that was read.
        registered_at: When it was started with it.
        release: Role -> version that is stable.
        table: Number of the newest routing table.
        rollouts: Ids of all its rollouts, oldest first.
        last: The newest one, unless the fleet was registered anew since.
        observed: What runs.
        places: The order of its roles.
        stalls: What does not move in it, one sentence each.
    """
    wanted = wanted_replicas(spec, release, last)
    by_version: dict[RoleVersion, list[ReplicaStatus]] = {key: [] for key in wanted}
    for replica in observed.replicas:
        by_version.setdefault((replica.role, replica.version), []).append(replica)
    return FleetView(
        name=spec.fleet,
        file=file,
        registered_at=registered_at,
        entry=tuple(spec.entry),
        release=dict(release),
        release_names=tuple(
            name for name, roles in sorted(spec.releases.items()) if dict(roles) == dict(release)
        ),
        releases={name: dict(roles) for name, roles in spec.releases.items()},
        table=table,
        roles=tuple(
            _view_role(spec, place, release.get(place.role, ""), wanted, by_version)
            for place in sorted(places, key=lambda place: place.place)
        ),
        tasks=view_counts(observed.counts),
        lost_records=observed.lost_records,
        rollout=rollouts[-1] if rollouts else None,
        rollout_phase=None if last is None else last.phase,
        rollouts=tuple(rollouts),
        alerts=(*find_alerts(wanted, by_version, last, observed.lost_records), *stalls),
    )


def view_counts(counts: TaskCounts) -> CountsView:
    """Return the account of all tasks."""
    return CountsView(
        submitted=counts.submitted,
        running=counts.running,
        completed=counts.completed,
        failed=counts.failed,
        timed_out=counts.timed_out,
    )


def wanted_replicas(
    spec: FleetSpec, release: Release, last: Rollout | None
) -> dict[RoleVersion, int]:
    """Return how many replicas each version should have now; those that should have none, too."""
    wanted = {(role, ver): role_settings(spec, role).replicas for role, ver in release.items()}
    return wanted if last is None else wanted | dict(last.wanted)


def find_alerts(
    wanted: Mapping[RoleVersion, int],
    by_version: Mapping[RoleVersion, Sequence[ReplicaStatus]],
    last: Rollout | None,
    lost_records: int,
) -> Iterator[str]:
    """Say what needs a person's eye."""
    if last is not None and last.phase is Phase.PAUSED:
        yield f"rollout {last.id} is paused: {last.reason}"
    if last is not None and last.phase is Phase.FAILED:
        yield f"rollback of {last.id} has failed: {'; '.join(last.left) or last.reason}"
    for (role, version), replicas in sorted(by_version.items()):
        for replica in replicas:
            if replica.state is ReplicaState.FAILED:
                yield f"{replica.replica} has failed: {replica.reason or 'no reason known'}"
        ready, many = _ready(replicas), wanted.get((role, version), 0)
        if ready < many:
            yield f"{role} {version} has {ready} of {many} replicas ready"
    if lost_records:
        yield f"{lost_records} telemetry records were lost: sums are lower bounds"


def _view_role(
    spec: FleetSpec,
    place: RolePlace,
    stable: str,
    wanted: Mapping[RoleVersion, int],
    by_version: Mapping[RoleVersion, Sequence[ReplicaStatus]],
) -> RoleView:
    role = place.role
    versions = [
        VersionView(
            version=version,
            is_stable=version == stable,
            wanted=wanted.get((role, version), 0),
            ready=_ready(replicas),
            restarts=sum(replica.restarts for replica in replicas),
            replicas=tuple(_view_replica(replica) for replica in replicas),
        )
        for (of, version), replicas in by_version.items()
        if of == role and (replicas or wanted.get((role, version), 0))
    ]
    return RoleView(
        role=role,
        place=place.place,
        criticality=place.criticality,
        reason=place.reason,
        is_entry=role in spec.entry,
        stable=stable,
        versions=tuple(sorted(versions, key=lambda one: (not one.is_stable, one.version))),
        known_versions=tuple(spec.roles[role].versions),
    )


def _view_replica(replica: ReplicaStatus) -> ReplicaView:
    return ReplicaView(
        replica=replica.replica,
        state=replica.state,
        restarts=replica.restarts,
        running=replica.running,
        queued=replica.queued,
        reason=replica.reason,
    )


def _ready(replicas: Sequence[ReplicaStatus]) -> int:
    return sum(replica.state is ReplicaState.READY for replica in replicas)
