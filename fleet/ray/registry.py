"""What the fleet's head must not forget, and where it is kept: in the cluster, not in a process.

The head is an actor that may die at any moment; Ray restarts it, and it goes on from here. It is
written before it is acted on, so that a replica that exists is always known.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ray.experimental.internal_kv import (
    _internal_kv_del,
    _internal_kv_get,
    _internal_kv_put,
)

from rolewise.agents.message import Address
from rolewise.fleet.ray.inquest import Place
from rolewise.fleet.ray.names import NAMESPACE, head_name
from rolewise.fleet.ray.view import Peer, View
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import Fenced, VersionDefinition
from rolewise.graphs.guard_limits import GuardLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """One replica that should run.

    Attributes:
        life: How many actors were made for it before this one.
        joins: How many lives have joined the fleet under this address, over all its actors.
        is_listed: It takes messages; false while it starts, and when it was scaled away.
        place: Where its last life has joined from.
        trouble: Why it does not take messages now, in words; empty when nothing ails it.
        is_lost: What it had been sent will not be answered.
        is_silent: It is lost for its silence alone: it may live, and hold what others wait for.
    """

    version: VersionDefinition
    life: int = 0
    joins: int = 0
    is_listed: bool = False
    is_draining: bool = False
    place: Place | None = None
    trouble: str = ""
    is_lost: bool = False
    is_silent: bool = False

    @property
    def has_waits(self) -> bool:
        """Whether it can be asked for its waits: one that still starts may take minutes."""
        return self.is_listed or self.is_draining or (bool(self.trouble) and not self.is_lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The state of a fleet's head.

    Attributes:
        number: Counts changes that other processes must hear of.
        fencing: The highest fencing number seen.
        last_replica: Number of the newest replica; numbers are never used twice.
        gateway_joins: How many lives of the gateway have joined.
        collector_joins: Likewise, by shard.
        guards: Hard limits at which a task is ended, as the fleet was launched with last.
    """

    number: int = 0
    fencing: int = 0
    table: RoutingTable = field(default_factory=lambda: RoutingTable(number=0, routes=()))
    replicas: Mapping[Address, Entered] = field(default_factory=dict)
    last_replica: int = 0
    gateway_joins: int = 0
    collector_joins: Mapping[int, int] = field(default_factory=dict)
    guards: GuardLimits = field(default_factory=GuardLimits)

    def admitted(self, fencing: int) -> Registry:
        """Return it with this fencing number noted.

        Raises:
            Fenced: A higher number was seen already.
        """
        if fencing < self.fencing:
            raise Fenced(f"fencing number {fencing} is older than {self.fencing}")
        return replace(self, fencing=fencing)

    def with_replica(self, address: Address, entered: Entered) -> Registry:
        """Return it with a replica entered or changed."""
        return replace(self, number=self.number + 1, replicas={**self.replicas, address: entered})

    def without(self, address: Address) -> Registry:
        """Return it without a replica."""
        left = {known: entered for known, entered in self.replicas.items() if known != address}
        return replace(self, number=self.number + 1, replicas=left)

    def view(self, actors: Mapping[Address, Any], collectors: tuple[Any, ...]) -> View:
        """Return what every process of the fleet is told, given the handles."""
        return View(
            number=self.number,
            table=self.table,
            peers={
                address: Peer(actor=actors[address], life=entered.life)
                for address, entered in self.replicas.items()
                if entered.is_listed
            },
            collectors=collectors,
            lost={a: entered.trouble for a, entered in self.replicas.items() if entered.is_lost},
            guards=self.guards,
        )

    def of(self, role: str, version: str) -> tuple[Address, ...]:
        """Return the replicas of one version of a role, oldest first."""
        return tuple(a for a in self.replicas if a.role == role and a.version == version)


def read_registry(fleet: str) -> Registry:
    """Return the registry that a former life of the head has kept, or an empty one."""
    data: bytes | None = _internal_kv_get(_key(fleet), namespace=NAMESPACE.encode())
    if data is None:
        return Registry()
    registry: Registry = pickle.loads(data)  # noqa: S301  (our own bytes)
    return registry


def keep_registry(fleet: str, registry: Registry) -> None:
    """Keep the registry in the cluster's own key-value store."""
    _internal_kv_put(
        _key(fleet), pickle.dumps(registry), overwrite=True, namespace=NAMESPACE.encode()
    )


def forget_registry(fleet: str) -> None:
    """Forget the fleet: it was shut down."""
    _internal_kv_del(_key(fleet), namespace=NAMESPACE.encode())


def _key(fleet: str) -> bytes:
    return head_name(fleet).encode()
