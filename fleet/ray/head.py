"""The actor that knows a fleet's replicas: starts, lists, replaces and stops them.

It carries out what the coordinator decides (`scale`, `install`, `drain`), refuses a coordinator
that was replaced, and tells every process of the fleet where the others are. No message of the
fleet passes through it. It has its replicas looked after (`care`). When the head itself dies, Ray
restarts it and it goes on from its registry; the fleet works on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import ray
from ray.exceptions import RayError

from rolewise.agents.agent import AgentImportError
from rolewise.agents.message import Address
from rolewise.fleet.incident import Incident, IncidentBook, IncidentKind
from rolewise.fleet.ray.care import Care
from rolewise.fleet.ray.inquest import Place
from rolewise.fleet.ray.registry import Entered, Registry, keep_registry, read_registry
from rolewise.fleet.ray.replica import Vital
from rolewise.fleet.ray.staff import Inquiry, Staff, check_room, get_ready
from rolewise.fleet.ray.status import build_status
from rolewise.fleet.ray.view import Settings, Ticket
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import (
    CapacityShort,
    DrainStuck,
    ReplicaStatus,
    VersionDefinition,
)
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.rounds import Round, join_rounds

TELL_LIMIT_S = 2.0
"""What a replica gets to acknowledge a view; one that did not is told again until it does."""
GATEWAY_LIMIT_S = 10.0
"""What the gateway gets for that: it may just be reading its former life's accounts."""
ANSWER_LIMIT_S = 1.0
SURPLUS_LIMIT_S = 30.0
LOOK_EVERY_S = 0.1


class FleetHead:
    """See the module. All its state is in `self._registry`; the handles can be found again."""

    def __init__(self, settings: Settings) -> None:
        self._fleet = settings.fleet
        self._settle_s = settings.settle_s
        self._registry: Registry = read_registry(settings.fleet)
        own = ray.get_runtime_context().current_actor
        self._staff = Staff(settings, own)
        self._gateway = self._staff.gateway()
        self._collectors = self._staff.collectors()
        known = self._registry.replicas.items()
        self._actors: dict[Address, Any] = {a: self._staff.replica(a, e.version) for a, e in known}
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._bringing: dict[tuple[str, str], tuple[int, asyncio.Task[None]]] = {}
        self._book = IncidentBook(time.time)
        self.report = self._book.report
        self._care = Care(self, Inquiry())
        self._watch: asyncio.Task[None] | None = None
        self.told = 0
        own.begin.remote()  # also when Ray restarts it and nobody else would

    # What the coordinator has it do; see `rolewise.fleet.runtime.Runtime` for the contracts.

    async def begin(self) -> None:
        """Start to watch; returns when the gateway takes tasks."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._care.look_for_ever())
        await self._gateway.install.remote(self._registry.view(self._actors, self._collectors))

    async def fence(self, fencing: int) -> None:
        """Refuse every lower number from now on."""
        self._admit(fencing)

    async def adopt(self, guards: GuardLimits, fencing: int) -> None:
        """Let these be the hard limits of every task, also of those that run."""
        self._admit(fencing)
        registry = self._registry
        if guards != registry.guards:
            self._keep(replace(registry, guards=guards, number=registry.number + 1))
            await self.tell_all()

    async def scale(self, version: VersionDefinition, replicas: int, fencing: int) -> None:
        """Bring a version to this many replicas; this ends a call that wants more of them."""
        self._admit(fencing)
        key = version.role, version.version
        wanted, bringing = self._bringing.get(key, (0, None))
        if bringing is not None and replicas < wanted:
            bringing.cancel()
        async with self._locks.setdefault(key, asyncio.Lock()):
            self._admit(fencing)  # it may have waited for long
            present = self._registry.of(*key)
            kept, surplus = present[:replicas], present[replicas:]
            for address in kept:
                self.change(address, is_draining=False)
            if replicas > len(present):
                missing = replicas - len(present)
                await check_room(version, missing)
                kept += self._enter(version, missing)
            await self._bring_up_unless_superseded(key, kept, fresh=kept[len(present) :])
            if surplus:
                await self._send_away(surplus, limit_s=SURPLUS_LIMIT_S if kept else 0.0)

    async def install(self, table: RoutingTable, fencing: int) -> None:
        """Put a routing table in force everywhere."""
        self._admit(fencing)
        registry = self._registry
        if table.number > registry.table.number:
            registry = replace(registry, table=table, number=registry.number + 1)
            self._keep(registry)
        # The table alone: a view has all handles, and takes a hundred times as long to read.
        answer = await self._have_all(lambda actor: actor.install_table.remote(registry.table))
        if isinstance(answer, Exception):
            raise TimeoutError(f"the gateway has not acknowledged table {table.number}: {answer}")

    async def drain(self, role: str, version: str, limit_s: float, fencing: int) -> int:
        """Wait until the version is not needed any more; cancel what is left."""
        self._admit(fencing)
        for address in self._registry.of(role, version):
            self.change(address, is_draining=True)
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while loop.time() < end:
            busy, needed = await asyncio.gather(
                self._is_busy(self._registry.of(role, version)),
                self.call(self._gateway.in_need_of.remote(role, version)),
            )
            if not busy and not needed:
                break
            await asyncio.sleep(LOOK_EVERY_S)
            self._admit(fencing)
        leaving = self._registry.of(role, version)
        ended = await asyncio.gather(*(self._withdraw_all(address) for address in leaving))
        silent = [address for address, answer in zip(leaving, ended, strict=True) if answer is None]
        # What cannot be told to end its work is ended with it.
        await self._staff.end_all(self._actors_of(silent))
        return sum(many for many in ended if many is not None)

    async def statuses(self) -> tuple[ReplicaStatus, ...]:
        """Return how every replica is."""
        found = await asyncio.gather(*(self._status(a) for a in tuple(self._registry.replicas)))
        return tuple(status for status in found if status is not None)

    async def waits(self, replicas: Collection[str] | None, recent: bool) -> Round:
        """Return the waits of replicas, all or those named, and who did not answer."""
        entered = {
            address: one
            for address, one in self._registry.replicas.items()
            if replicas is None or str(address) in replicas
        }
        asked = {
            str(a): self._actors[a] for a in self._actors if a in entered and entered[a].has_waits
        }
        found = await asyncio.gather(
            *(self.call(actor.waits.remote(recent)) for actor in asked.values())
        )
        answers = dict(zip(asked, found, strict=True))
        silent = {str(address) for address, one in entered.items() if one.is_silent}
        silent |= {name for name, answer in answers.items() if isinstance(answer, Exception)}
        # None: it has not joined the fleet yet, and nothing can wait there.
        told = [answer for answer in answers.values() if isinstance(answer, Round)]
        return join_rounds(told, blind=sorted(silent))

    async def stop(self) -> None:
        """End all replicas and make no new ones."""
        if self._watch is not None:
            self._watch.cancel()
        self._care.stop()
        actors = self._actors_of(self._actors)
        self._actors.clear()
        self._registry = Registry()
        with contextlib.suppress(DrainStuck):
            await self._staff.end_all(actors)

    # What the fleet's own processes ask it.

    async def join(self, address: Address | None, place: Place) -> Ticket:
        """Note a new life of a replica, or of the gateway; return what it must know."""
        joins = 0
        if address is None:
            joins = self._registry.gateway_joins
            self._keep(replace(self._registry, gateway_joins=joins + 1))
            if joins:
                reason = "its process ended and was replaced; see what became of its tasks there"
                self.report(IncidentKind.GATEWAY_LOST, "gateway", reason, None)
        elif address in self._registry.replicas:
            await self._care.mourn(address)
            joins = self._registry.replicas[address].joins
            self.change(address, joins=joins + 1, place=place)
        return Ticket(
            restarts=joins,
            view=self._registry.view(self._actors, self._collectors),
            post_every_s=self._settle_s / 2,
        )

    async def join_collector(self, shard: int) -> int:
        """Note a new life of a collector; return how many it had before."""
        joins = self._registry.collector_joins
        lives = joins.get(shard, 0)
        self._keep(replace(self._registry, collector_joins={**joins, shard: lives + 1}))
        if lives:
            reason = "its process ended with what it had counted: tasks until now are partial"
            self.report(IncidentKind.COLLECTOR_LOST, f"collector {shard}", reason, None)
        return lives

    async def memory(self) -> Any:
        """Return the handle of the actor that keeps what roles remember."""
        return self._staff.memory()

    # Starting and ending replicas.

    def _enter(self, version: VersionDefinition, count: int) -> tuple[Address, ...]:
        registry = self._registry
        first = registry.last_replica + 1
        fresh = tuple(
            Address(role=version.role, version=version.version, replica=number)
            for number in range(first, first + count)
        )
        registry = replace(registry, last_replica=registry.last_replica + count)
        for address in fresh:
            registry = registry.with_replica(address, Entered(version=version))
        self._keep(registry)
        return fresh

    async def _bring_up(self, wanted: Sequence[Address], *, fresh: Sequence[Address]) -> None:
        entered = self._registry.replicas
        starting = [a for a in wanted if not entered[a].is_listed and not entered[a].trouble]
        try:
            await asyncio.gather(*(self._start(address) for address in starting))
        except BaseException:
            await self._send_away(fresh, limit_s=0.0)
            raise
        for address in wanted:
            # One that something ails is listed again by those who look after it.
            is_well = not self._registry.replicas[address].trouble
            self.change(address, is_listed=is_well)
        if starting:
            await self.tell_all()

    async def _bring_up_unless_superseded(
        self, key: tuple[str, str], wanted: Sequence[Address], *, fresh: Sequence[Address]
    ) -> None:
        bringing = asyncio.get_running_loop().create_task(self._bring_up(wanted, fresh=fresh))
        self._bringing[key] = len(wanted), bringing
        try:
            await bringing
        except asyncio.CancelledError:
            if bringing.cancelled():
                raise CapacityShort(f"{key[0]}@{key[1]}: fewer replicas were asked for") from None
            bringing.cancel()
            raise
        finally:
            self._bringing.pop(key, None)

    async def _start(self, address: Address) -> None:
        version = self._registry.replicas[address].version
        self._actors[address] = self._staff.replica(address, version)
        await get_ready(self._actors[address], address, version)

    async def _send_away(self, addresses: Sequence[Address], *, limit_s: float) -> None:
        """Take replicas off the list, let them finish what they have, and end them."""
        if not addresses:
            return
        for address in addresses:
            self.change(address, is_listed=False, is_draining=True)
        await self.tell_all()
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while loop.time() < end and await self._is_busy(addresses):
            await asyncio.sleep(LOOK_EVERY_S)
        await self._staff.end_all(self._actors_of(addresses))
        for address in addresses:
            self._keep(self._registry.without(address))
            self._actors.pop(address, None)

    async def make_anew(self, address: Address) -> None:
        """Make a new actor for a replica whose actor Ray has given up."""
        entered = self._registry.replicas.get(address)
        if entered is None or entered.version.max_restarts != -1:
            return  # it was taken away, or has died as often as it may
        self.change(address, life=entered.life + 1)
        try:
            await self._start(address)
        except (AgentImportError, CapacityShort, ValueError) as error:
            self._care.note_failed_start(address, str(error))

    async def _status(self, address: Address) -> ReplicaStatus | None:
        actor, entered = self._actors.get(address), self._registry.replicas.get(address)
        if entered is None:
            return None
        answer = None
        if actor is not None and not entered.is_lost:
            answer = await self.call(actor.status.remote())
        entered = self._registry.replicas.get(address)
        if entered is None:
            return None  # it was taken away while it was asked
        return build_status(
            address,
            entered,
            answer,
            crashes=self._care.crashes(address),
            is_left_alone=self._care.is_left_alone(address),
        )

    async def _is_busy(self, addresses: Sequence[Address]) -> bool:
        answers = await asyncio.gather(
            *(self.call(actor.status.remote()) for actor in self._actors_of(addresses).values())
        )
        return any(isinstance(v, Vital) and (v.running or v.queued) for v in answers)

    async def _withdraw_all(self, address: Address) -> int | None:
        """Return how many invocations were ended; None when the replica does not answer."""
        if self._registry.replicas[address].is_lost or address not in self._actors:
            return None
        ended = await self.call(self._actors[address].withdraw_all.remote("drained"))
        return ended if isinstance(ended, int) else None

    def _actors_of(self, addresses: Iterable[Address]) -> dict[str, Any]:
        return {str(a): self._actors[a] for a in addresses if a in self._actors}

    # Telling.

    async def tell_all(self) -> Any:
        """Give everyone the newest view; return the gateway's answer, or the error in its place.

        Who is dead gets it when its next life joins, who is deaf when it listens again.
        """
        view = self._registry.view(self._actors, self._collectors)
        self.told = view.number
        return await self._have_all(lambda actor: actor.install.remote(view))

    async def _have_all(self, tell: Callable[[Any], Any]) -> Any:
        entered = self._registry.replicas
        hearing = [
            actor
            for address, actor in self._actors.items()
            if address in entered and not entered[address].is_lost
        ]
        answer, *_ = await asyncio.gather(
            self.call(tell(self._gateway), limit_s=GATEWAY_LIMIT_S),
            *(self.call(tell(actor), limit_s=TELL_LIMIT_S) for actor in hearing),
        )
        return answer

    async def tell(self, actor: Any) -> None:
        """Give one replica the newest view."""
        view = self._registry.view(self._actors, self._collectors)
        await self.call(actor.install.remote(view), limit_s=TELL_LIMIT_S)

    async def incidents(self, after: int) -> tuple[Incident, ...]:
        """Return the last incidents, behind this number."""
        return self._book.since(after)

    def actor(self, address: Address) -> Any:
        """Return a replica's handle; None when there is none."""
        return self._actors.get(address)

    async def call(self, answer: Any, *, limit_s: float = ANSWER_LIMIT_S) -> Any:
        """Return the answer of an actor, or the error in its place."""
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except (RayError, TimeoutError) as error:
            return error

    # Remembering.

    @property
    def registry(self) -> Registry:
        """The replicas that should run, as it is kept."""
        return self._registry

    def _admit(self, fencing: int) -> None:
        registry = self._registry.admitted(fencing)
        if registry != self._registry:
            self._keep(registry)

    def change(self, address: Address, **fields: Any) -> None:
        """Change a replica's entry; nothing happens when it was taken away."""
        registry = self._registry
        if address not in registry.replicas:
            return
        entered = replace(registry.replicas[address], **fields)
        if entered != registry.replicas[address]:
            self._keep(registry.with_replica(address, entered))

    def _keep(self, registry: Registry) -> None:
        keep_registry(self._fleet, registry)
        self._registry = registry
