"""One process's view of the routes: which replica gets the next message for a role.

Every process that sends messages has one. It keeps the tables that running tasks were submitted
under, so that a task meets the same version of a role for its whole life, and the live replicas.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

from rolewise.agents.errors import NoReplica
from rolewise.agents.message import Address
from rolewise.fleet.routing.assign import Drawn, assigned_version
from rolewise.fleet.routing.table import RoleRoute, RoutingTable

TABLES_KEPT = 256
"""Tasks older than this many table changes are routed by the oldest table kept."""


class Router:
    """Picks (version, replica) for a message; holds no connection and does no I/O.

    Attributes:
        changes: How often tables or replicas have changed.
    """

    def __init__(self) -> None:
        self._tables: OrderedDict[int, dict[str, RoleRoute]] = OrderedDict()
        self._current = RoutingTable(number=0, routes=())
        self._replicas: dict[tuple[str, str], list[Address]] = {}
        self._outstanding: dict[int, int] = {}  # by the replica's number, unique in a fleet
        self.changes = 0
        self._change = asyncio.Event()

    @property
    def table(self) -> RoutingTable:
        """The table in force."""
        return self._current

    def install(self, table: RoutingTable) -> bool:
        """Put a table in force; return false, and change nothing, if a newer one is already."""
        if table.number <= self._current.number:
            return False
        self._current = table
        self._tables[table.number] = {route.role: route for route in table.routes}
        while len(self._tables) > TABLES_KEPT:
            self._tables.popitem(last=False)
        self._tell()
        return True

    def set_replicas(self, replicas: Iterable[Address]) -> None:
        """Replace the list of live replicas."""
        fresh: dict[tuple[str, str], list[Address]] = {}
        for address in replicas:
            fresh.setdefault((address.role, address.version), []).append(address)
        self._replicas = fresh
        live = {address.replica for group in fresh.values() for address in group}
        self._outstanding = {at: many for at, many in self._outstanding.items() if at in live}
        self._tell()

    async def changed(self, since: int, within_s: float) -> bool:
        """Wait for a change of the table or of the replicas.

        Args:
            since: What `changes` was when the caller looked.
            within_s: How long to wait.

        Returns:
            False when there was none in that time.
        """
        if self.changes == since and within_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._change.wait()
        return self.changes != since

    def has_role(self, role: str) -> bool:
        """Whether the table in force knows the role."""
        return role in self._tables.get(self._current.number, {})

    def version_for(self, role: str, drawn: Drawn, table: int) -> str:
        """Return the version that serves `role` for a task submitted under `table`.

        Equal in every process: it needs only what the task's messages carry.

        Raises:
            NoReplica: The fleet has no such role.
        """
        now = self._tables.get(self._current.number, {}).get(role)
        if now is None:
            raise NoReplica(f"the fleet has no role {role!r}")
        routes = self._tables.get(table)
        if routes is None and self._tables:
            routes = next(iter(self._tables.values()))
        route = (routes or {}).get(role, now)
        version = assigned_version(route, drawn)
        if (role, version) in self._current.withdrawn or (role, version) not in self._replicas:
            return now.stable
        return version

    def pick(self, role: str, drawn: Drawn, table: int) -> Address:
        """Return the replica with the fewest open asks of this process.

        Raises:
            NoReplica: No live replica of the version, or no such role.
        """
        version = self.version_for(role, drawn, table)
        group = self._replicas.get((role, version))
        if not group:
            raise NoReplica(f"no live replica of {role}@{version}")
        if len(group) == 1:
            return group[0]
        open_asks = self._outstanding
        return min(group, key=lambda address: open_asks.get(address.replica, 0))

    def _tell(self) -> None:
        self.changes += 1
        self._change.set()
        self._change = asyncio.Event()

    def is_idempotent(self, role: str) -> bool:
        """Whether a request to the role may be sent again after its replica was lost."""
        route = self._tables.get(self._current.number, {}).get(role)
        return route is not None and route.idempotent

    def opened(self, address: Address) -> None:
        """Count an ask that was sent to a replica."""
        number = address.replica
        self._outstanding[number] = self._outstanding.get(number, 0) + 1

    def closed(self, address: Address) -> None:
        """Count an ask that ended."""
        number = address.replica
        left = self._outstanding.get(number, 0) - 1
        if left > 0:
            self._outstanding[number] = left
        else:
            self._outstanding.pop(number, None)
