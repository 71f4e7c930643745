"""Releases: role -> version. What a fleet runs, what it should run, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rolewise.fleet.identity import content_hash
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.spec import FleetSpec, role_settings
from rolewise.fleet.spec.problems import did_you_mean

Release = Mapping[str, str]
"""Role -> version."""


class TargetError(ValueError):
    """A wanted release cannot be read; `problems` has one sentence for each thing wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def first_release(spec: FleetSpec) -> Release:
    """Return the release that the fleet starts with."""
    return dict(spec.releases[spec.release])


def diff_release(before: Release, after: Release) -> dict[str, tuple[str, str]]:
    """Return role -> (version before, version after) where they differ; empty for no version."""
    return {
        role: (before.get(role, ""), after.get(role, ""))
        for role in sorted(before.keys() | after.keys())
        if before.get(role) != after.get(role)
    }


def parse_target(text: str, spec: FleetSpec, running: Release) -> Release:
    """Read where to go: a release's name, or `role=version,role=version`.

    Roles that it does not name keep the version that runs.

    Raises:
        TargetError: Unknown names or pairs that are no pairs; all of them are listed.
    """
    text = text.strip()
    if "=" not in text and "," not in text:
        if text not in spec.releases:
            words = did_you_mean(text, list(spec.releases))
            raise TargetError((f"no release {text!r}: {words}; or say role=version,role=version",))
        return {**running, **spec.releases[text]}
    pairs = [tuple(part.strip() for part in pair.split("=")) for pair in text.split(",")]
    problems = tuple(_pair_problems(pairs, spec))
    if problems:
        raise TargetError(problems)
    return {**running, **{pair[0]: pair[1] for pair in pairs}}


def _pair_problems(pairs: list[tuple[str, ...]], spec: FleetSpec) -> Iterator[str]:
    seen: set[str] = set()
    for pair in pairs:
        if len(pair) != 2 or not all(pair):  # noqa: PLR2004
            yield f"{'='.join(pair)!r}: want role=version"
            continue
        role, version = pair
        if role in seen:
            yield f"role {role} is given twice"
        seen.add(role)
        if role not in spec.roles:
            yield f"no role {role!r}: {did_you_mean(role, list(spec.roles))}"
        elif version not in spec.roles[role].versions:
            words = did_you_mean(version, list(spec.roles[role].versions))
            yield f"role {role} has no version {version!r}: {words}"


def definition(spec: FleetSpec, role: str, version: str) -> VersionDefinition:
    """Return all that a runtime needs to run replicas of a version.

    Model and prompts are given to the agent within its config.

    Raises:
        KeyError: The fleet has no such role or version.
    """
    found = spec.roles[role].versions[version]
    settings = role_settings(spec, role)
    config: dict[str, Any] = dict(found.config)
    if found.model is not None:
        config["model"] = found.model
    if found.prompts:
        config["prompts"] = dict(found.prompts)
    return VersionDefinition(
        role=role,
        version=version,
        content_hash=content_hash(found),
        agent=found.agent,
        config=config,
        slots=settings.slots,
        queue_limit=settings.queue_limit,
        resources=settings.resources,
        labels=dict(found.labels) or None,
        runtime_env=dict(found.runtime_env) or None,
    )
