"""What the machine wants done to the fleet. A command is always safe to carry out twice.

Each command follows from exactly one event, and its id is made from that event's place in the
log. So a controller that reads the log after a crash finds the same commands with the same ids.
`event` is the number of that event: the command with the higher number is the newer one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rolewise.fleet.routing.table import RoutingTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleVersion:
    """Bring a version of a role to this many replicas; done when they are ready."""

    id: str
    event: int
    role: str
    version: str
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallTable:
    """Put this routing table in force; done when the gateway and every live replica have it."""

    id: str
    event: int
    table: RoutingTable


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainVersion:
    """Let running work on a version finish within the limit, then cancel the rest."""

    id: str
    event: int
    role: str
    version: str
    limit_s: float


Command = ScaleVersion | InstallTable | DrainVersion


def command_id(rollout: str, attempt: int, sequence: int, kind: str, target: str) -> str:
    """Return the id of the command that the event with this sequence number asks for."""
    text = "|".join((rollout, str(attempt), str(sequence), kind, target))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def describe_command(command: Command) -> str:
    """Say in a few words what a command does, for people."""
    match command:
        case ScaleVersion(role=role, version=version, replicas=0):
            return f"stop {role} {version}"
        case ScaleVersion(role=role, version=version, replicas=replicas):
            return f"bring {role} {version} to {replicas} replicas"
        case InstallTable(table=table):
            return f"install routing table {table.number}"
        case DrainVersion(role=role, version=version, limit_s=limit_s):
            return f"drain {role} {version} within {limit_s:g} s"
