"""A fleet's own log: which file it runs from, and which rollouts it has had.

It is what makes a fleet's rollouts exclusive: a rollout begins with an entry here, appended
behind the last one that its starter has read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from rolewise.coordinator.plan.plan import Release
from rolewise.coordinator.rollout.codec import LogUnreadable
from rolewise.coordinator.rollout.state import Rollout
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.routing.table import RoutingTable


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRegistered:
    """A fleet was started, or started again with this file.

    Attributes:
        text: The fleet's file as it was read.
        file: Where it was read.
        release: Role -> version that it starts with.
        table: The routing table that it starts with.
    """

    at: datetime
    by: str
    fleet: str
    text: str
    file: str
    release: Release
    table: RoutingTable


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutCreated:
    """A rollout may begin: it is the fleet's only one until it has ended.

    Attributes:
        start: The first events of the rollout's own log, encoded: whoever sees this entry can
            write them there if its author died in between.
        key: The starter's idempotency key, or empty.
        fingerprint: Of what was asked for, to notice a key that is used for something else.
    """

    at: datetime
    by: str
    rollout: str
    start: tuple[str, ...]
    key: str = ""
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutReopened:
    """The last rollout, which had ended, is tried again: it is the fleet's running one once more.

    Attributes:
        after: Number of the last event of the rollout's own log when this was decided.
        events: What follows there, encoded; as `RolloutCreated.start`.
    """

    at: datetime
    by: str
    rollout: str
    after: int = 0
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetIncident:
    """Something went wrong with one of the fleet's processes; see `rolewise.fleet.incident`.

    Attributes:
        number: Of the incident: rises, so that none is written twice.
        what: Which process: a replica's address in words, `gateway`, `collector 0`.
        reason: In words.
    """

    at: datetime
    by: str
    number: int
    kind: IncidentKind
    what: str
    reason: str


FleetEntry = FleetRegistered | RolloutCreated | RolloutReopened | FleetIncident

INCIDENTS_KEPT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """The fold of a fleet's log.

    Attributes:
        sequence: Entries folded.
        registered: The last registration; None before the first.
        rollouts: All rollouts of the fleet, oldest first; only the newest with its `start`.
        reopened: The last time that the last of them was tried again; None when it was not.
        keys: Idempotency key -> (fingerprint, rollout).
        is_fresh: No rollout was created since the last registration.
        unread: Why the log cannot be read beyond this state; empty when it was read to its end.
        incidents: The last ones.
    """

    name: str
    sequence: int = 0
    registered: FleetRegistered | None = None
    rollouts: tuple[RolloutCreated, ...] = ()
    reopened: RolloutReopened | None = None
    keys: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    is_fresh: bool = True
    unread: str = ""
    incidents: tuple[FleetIncident, ...] = ()

    @property
    def last_incident(self) -> int:
        """Number of the newest incident; 0 before the first."""
        return self.incidents[-1].number if self.incidents else 0

    def holds_back(self, last: Rollout) -> bool:
        """Return whether the fleet's last rollout is under way, so that nothing else may begin."""
        return bool(last.sequence) and not last.phase.is_final and not self.is_fresh


_TYPES = {
    kind.__name__: TypeAdapter(kind)
    for kind in (FleetRegistered, RolloutCreated, RolloutReopened, FleetIncident)
}
_VERSIONS: Mapping[str, int] = {"RolloutReopened": 2}
"""Newest version of each form that is not the first. See `rolewise.coordinator.rollout.codec`.

`RolloutReopened` 2 has `after` and `events`; 1 was followed by somebody who wrote them himself.
"""


def encode_entry(entry: FleetEntry) -> bytes:
    """Return the entry as it is stored: type, `/` and version if it is not 1, blank, JSON."""
    name = type(entry).__name__
    version = _VERSIONS.get(name, 1)
    head = name if version == 1 else f"{name}/{version}"
    return head.encode() + b" " + _TYPES[name].dump_json(entry)


def decode_entry(data: bytes) -> FleetEntry:
    """Return the entry that was stored.

    Raises:
        LogUnreadable: It is no entry of a form that is known here.
    """
    head, _, fields = data.partition(b" ")
    name, _, version = head.decode(errors="replace").partition("/")
    known = _VERSIONS.get(name, 1) if name in _TYPES else 0
    if not (version or "1").isdecimal() or not 1 <= int(version or "1") <= known:
        raise LogUnreadable(
            f"its type is {name!r}, v = {version or 1}: want a known type with v = {known or 1} "
            "at most; did a newer Rolewise write it?"
        )
    try:
        return _TYPES[name].validate_json(fields)  # type: ignore[return-value]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LogUnreadable(f"{name}: field {where}: {first['msg']}") from error


def fold_fleet(state: FleetState, entries: Iterable[FleetEntry]) -> FleetState:
    """Return the state after these entries."""
    for entry in entries:
        state = replace(state, sequence=state.sequence + 1)
        match entry:
            case FleetRegistered():
                state = replace(state, registered=entry, is_fresh=True)
            case RolloutCreated(key=key):
                keys = (
                    {**state.keys, key: (entry.fingerprint, entry.rollout)} if key else state.keys
                )
                # Only the newest one's first events may still have to be written by somebody else.
                before = state.rollouts[:-1] + tuple(
                    replace(last, start=()) for last in state.rollouts[-1:]
                )
                state = replace(
                    state, rollouts=(*before, entry), reopened=None, keys=keys, is_fresh=False
                )
            case RolloutReopened():
                state = replace(state, reopened=entry)
            case FleetIncident():
                incidents = (*state.incidents, entry)[-INCIDENTS_KEPT:]
                state = replace(state, incidents=incidents)
    return state
