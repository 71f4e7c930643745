"""What every process of a fleet must know: what is fixed, and who is where at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rolewise.agents.message import Address
from rolewise.fleet.limits import RESULTS_KEPT_S, TASKS_IN_FLIGHT, TASKS_KEPT
from rolewise.fleet.routing.table import RoutingTable
from rolewise.graphs.guard_limits import GuardLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is fixed for the whole life of a fleet.

    Attributes:
        entry: Entry roles; the first is the default.
        collectors: Shards of the telemetry.
        settle_s: See `rolewise.fleet.gateway.Gateway`. Processes ship their telemetry twice in
            this time: each delivery costs some milliseconds, however little is in it.
        search_path: Folders that agents may be imported from, beside what is installed.
        tasks_in_flight: See `rolewise.fleet.gateway.Gateway`.
        results_kept_s: How long a task's result waits for its submitter.
        tasks_kept: Of how many tasks there is an account.
    """

    fleet: str
    entry: tuple[str, ...]
    collectors: int = 1
    settle_s: float = 2.0
    search_path: tuple[str, ...] = ()
    tasks_in_flight: int = TASKS_IN_FLIGHT
    results_kept_s: float = RESULTS_KEPT_S
    tasks_kept: int = TASKS_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A replica that takes messages.

    Attributes:
        actor: Its actor handle; it stays good when Ray restarts the actor.
        life: Goes up when the fleet had to make a new actor for the same address.
    """

    actor: Any
    life: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Routes, replicas and collectors of a fleet.

    Attributes:
        number: Goes up with each change; an older view never replaces a newer one.
        collectors: Actor handles, one for each shard of the telemetry.
        lost: Replicas that will not answer what they were sent, and why, in words.
        guards: Hard limits at which a task is ended.
    """

    number: int
    table: RoutingTable
    peers: Mapping[Address, Peer]
    collectors: tuple[Any, ...]
    lost: Mapping[Address, str] = field(default_factory=dict)
    guards: GuardLimits = field(default_factory=GuardLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a process gets when it joins the fleet.

    Attributes:
        restarts: How many lives it had before this one.
        post_every_s: How often it ships its telemetry.
    """

    restarts: int
    view: View
    post_every_s: float
