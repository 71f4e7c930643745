"""A fleet's own log: which file it runs from, and which rollouts it has had.

It is what makes a fleet's rollouts exclusive: a rollout begins with an entry here, appended
behind the last one that its starter has read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import TypeAdapter

from rolewise.coordinator.plan.plan import Release
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
    """The last rollout, which had ended, is tried again."""

    at: datetime
    by: str
    rollout: str


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
        rollouts: All rollouts of the fleet, oldest first.
        keys: Idempotency key -> (fingerprint, rollout).
        is_fresh: No rollout was created since the last registration.
        incidents: The last ones.
    """

    name: str
    sequence: int = 0
    registered: FleetRegistered | None = None
    rollouts: tuple[RolloutCreated, ...] = ()
    keys: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    is_fresh: bool = True
    incidents: tuple[FleetIncident, ...] = ()

    @property
    def last_incident(self) -> int:
        """Number of the newest incident; 0 before the first."""
        return self.incidents[-1].number if self.incidents else 0


_TYPES = {
    kind.__name__: TypeAdapter(kind)
    for kind in (FleetRegistered, RolloutCreated, RolloutReopened, FleetIncident)
}


def encode_entry(entry: FleetEntry) -> bytes:
    """Return the entry as it is stored: its type, a blank, its fields as JSON."""
    name = type(entry).__name__
    return name.encode() + b" " + _TYPES[name].dump_json(entry)


def decode_entry(data: bytes) -> FleetEntry:
    """Return the entry that was stored."""
    name, _, fields = data.partition(b" ")
    return _TYPES[name.decode()].validate_json(fields)  # type: ignore[return-value]


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
                state = replace(state, rollouts=(*state.rollouts, entry), keys=keys, is_fresh=False)
            case RolloutReopened():
                pass
            case FleetIncident():
                incidents = (*state.incidents, entry)[-INCIDENTS_KEPT:]
                state = replace(state, incidents=incidents)
    return state
