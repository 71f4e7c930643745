"""From the release that runs to the one that is wanted: a plan, or all that is in its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rolewise.coordinator.plan.capacity import Capacity, find_shortages
from rolewise.coordinator.plan.compatibility import check_meetings
from rolewise.coordinator.plan.foretell import Forecast, foretell
from rolewise.coordinator.plan.order import order_stages
from rolewise.coordinator.plan.plan import Plan, PlanRefused, Release, Stage
from rolewise.coordinator.plan.stages import build_stage
from rolewise.fleet.identity import content_hash
from rolewise.fleet.release import definition, diff_release
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.spec import FleetSpec, stage_settings
from rolewise.fleet.spec.problems import did_you_mean
from rolewise.graphs.criticality import RolePlace

Loads = Callable[[VersionDefinition], str | None]
"""Tries whether a version loads; returns what is wrong, or None."""

ScorerLoads = Callable[[str], str | None]
"""Tries whether an import path leads to a scorer; returns what is wrong, or None."""


def build_plan(
    spec: FleetSpec,
    running: Release,
    target: Release,
    *,
    places: Sequence[RolePlace],
    to_name: str = "",
    capacity: Capacity | None = None,
    loads: Loads | None = None,
    scorer_loads: ScorerLoads | None = None,
    forecast: Forecast | None = None,
) -> Plan:
    """Plan the way from one release to another, least critical role first.

    Args:
        spec: The fleet, with every version that runs or is wanted.
        running: Role -> version now.
        target: Role -> version wanted; roles that it does not name stay as they are.
        places: A place for each role, with its reason (`place_roles`).
        to_name: The wanted release's name, if it has one.
        capacity: The cluster; not checked when None.
        loads: Tries the new versions; not checked when None.
        scorer_loads: Tries the scorers that judge them; not checked when None.
        forecast: How long an analysis will take; without it, the plan does not say.

    Raises:
        PlanRefused: The wanted release cannot be reached; every reason is listed.
    """
    after = {**running, **target}
    problems = list(_name_problems(spec, running, target))
    changes = {
        role: versions
        for role, versions in diff_release(running, after).items()
        if all(_is_defined(spec, role, version) for version in versions)
    }
    order = order_stages(changes, places)
    roles = [place.role for place in order]
    if loads is not None:
        problems += _load_problems(spec, after, roles, loads)
    if scorer_loads is not None:
        problems += _scorer_problems(spec, roles, scorer_loads)
    if capacity is not None:
        known = [role for role in running if role in spec.roles]
        problems += find_shortages(spec, known, roles, capacity)
    before = {r: version for r, version in running.items() if _is_defined(spec, r, version)}
    met = check_meetings(spec, before, {**before, **{r: after[r] for r in roles}}, roles)
    problems += met.problems
    if not problems and not changes:
        problems.append(f"the fleet already runs {to_name or 'this release'}: nothing to change")
    if problems:
        raise PlanRefused(problems)
    stages = [build_stage(spec, place, *changes[place.role]) for place in order]
    warnings = [*met.warnings, *_same_content(spec, stages)]
    if forecast is not None:
        for index, stage in enumerate(stages):
            stages[index], more = foretell(stage, forecast)
            warnings += more
    return Plan(
        fleet=spec.fleet,
        from_release=dict(running),
        to_release=after,
        stages=tuple(stages),
        to_name=to_name,
        on_stage_failure=spec.on_stage_failure,
        warnings=tuple(warnings),
    )


def _is_defined(spec: FleetSpec, role: str, version: str) -> bool:
    return role in spec.roles and version in spec.roles[role].versions


def _name_problems(spec: FleetSpec, running: Release, target: Release) -> Iterator[str]:
    for role, version in target.items():
        if role not in spec.roles:
            yield f"no role {role!r}: {did_you_mean(role, list(spec.roles))}"
        elif version not in spec.roles[role].versions:
            words = did_you_mean(version, list(spec.roles[role].versions))
            yield f"role {role} has no version {version!r}: {words}"
        elif role not in running:
            yield f"role {role} does not run: start the fleet with it before upgrading it"
    for role, version in running.items():
        if not _is_defined(spec, role, version):
            yield f"{role}@{version} runs, but the file lacks it: keep it until it is replaced"


def _load_problems(
    spec: FleetSpec, after: Release, roles: Sequence[str], loads: Loads
) -> Iterator[str]:
    for role in roles:
        if problem := loads(definition(spec, role, after[role])):
            yield f"{role}@{after[role]} does not load: {problem}"


def _scorer_problems(spec: FleetSpec, roles: Sequence[str], loads: ScorerLoads) -> Iterator[str]:
    named = [
        (role, signal.name, signal.scorer)
        for role in roles
        for signal in stage_settings(spec, role).template.signals
        if signal.scorer
    ]
    for role, name, scorer in named:
        if problem := loads(scorer):
            yield f"stage {role}, signal {name}: {problem}"


def _same_content(spec: FleetSpec, stages: Sequence[Stage]) -> Iterator[str]:
    for stage in stages:
        versions = spec.roles[stage.role].versions
        old, new = versions[stage.from_version], versions[stage.to_version]
        if content_hash(old) == content_hash(new):
            yield (
                f"{stage.role}@{stage.to_version} is the same as "
                f"{stage.from_version} in all but its name"
            )
