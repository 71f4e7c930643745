"""Whether versions that meet during a rollout understand each other's messages.

A version declares the message kinds, with schema version, that it `accepts` and `speaks`. While
a role is upgraded, both its versions talk with whatever version of the other roles is there at
that stage. What was not understood before the rollout is not held against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rolewise.fleet.spec import FleetSpec, VersionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What was found: `problems` refuse the plan, `warnings` are shown."""

    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check_meetings(
    spec: FleetSpec, before: Mapping[str, str], after: Mapping[str, str], stages: Sequence[str]
) -> Meeting:
    """Check every stage against the versions that run beside it.

    Args:
        spec: The fleet, in which all versions of both releases are defined.
        before: Role -> version, for all roles.
        after: Likewise.
        stages: Roles that change, in the order of their stages.
    """
    problems: list[str] = []
    warnings: list[str] = []
    now = dict(before)
    for role in stages:
        old, new = spec.roles[role].versions[now[role]], spec.roles[role].versions[after[role]]
        others = {
            other: spec.roles[other].versions[version]
            for other, version in now.items()
            if other != role
        }
        name = f"{role}@{after[role]}"
        problems += _not_heard(name, old, new, others, now)
        for kind in sorted(set(new.speaks) - set(old.speaks)):
            if any(kind in other.accepts for other in others.values()):
                continue
            pair = _other_schema(kind, others)
            if pair is None:
                warnings.append(f"{name} speaks {kind}, which no role declares to accept")
                continue
            listener, heard = pair
            problems.append(
                f"{name} speaks {kind}, but {listener}@{now[listener]} accepts {heard}: "
                f"{_way_out(spec, kind, listener, role, after)}"
            )
        if (old.accepts and not new.accepts) or (old.speaks and not new.speaks):
            warnings.append(f"{name} declares less than {role}@{now[role]}: nothing to check it by")
        now[role] = after[role]
    return Meeting(problems=tuple(problems), warnings=tuple(warnings))


def _not_heard(
    name: str,
    old: VersionSpec,
    new: VersionSpec,
    others: Mapping[str, VersionSpec],
    now: Mapping[str, str],
) -> Iterator[str]:
    """Yield what others still say to the role and only its old version understands."""
    if not new.accepts:
        return
    for kind in sorted(set(old.accepts) - set(new.accepts)):
        speakers = [f"{other}@{now[other]}" for other, one in others.items() if kind in one.speaks]
        if speakers:
            yield (
                f"{name} does not accept {kind}, which {' and '.join(speakers)} "
                f"{'speaks' if len(speakers) == 1 else 'speak'}: "
                f"let {name} accept it as well until they have moved on"
            )


def _other_schema(kind: str, others: Mapping[str, VersionSpec]) -> tuple[str, str] | None:
    """Return who accepts the same kind in another schema version, and which."""
    stem = kind.partition("@")[0]
    for other, version in others.items():
        for heard in version.accepts:
            if heard.partition("@")[0] == stem:
                return other, heard
    return None


def _way_out(spec: FleetSpec, kind: str, listener: str, role: str, after: Mapping[str, str]) -> str:
    later = spec.roles[listener].versions[after[listener]]
    if kind in later.accepts:
        return f"let {listener} go before {role} (give it a lower criticality)"
    return f"move {listener} to a version that accepts {kind} first"
