"""The actor that knows a fleet's replicas: starts, lists, replaces and stops them.

It carries out what the coordinator decides (`scale`, `install`, `drain`), refuses a coordinator
that was replaced, and tells every process of the fleet where the others are. No message of the
fleet passes through it. It watches its replicas: Ray restarts a process that dies; an actor that
Ray has given up is made anew. When the head itself dies, Ray restarts it and it goes on from its
registry; the fleet works on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from rolewise.agents.agent import AgentImportError
from rolewise.agents.message import Address
from rolewise.fleet.ray.cluster import read_available, read_nodes, sum_resources
from rolewise.fleet.ray.placement import find_shortage
from rolewise.fleet.ray.registry import Entered, Registry, keep_registry, read_registry
from rolewise.fleet.ray.replica import Vital
from rolewise.fleet.ray.staff import Staff
from rolewise.fleet.ray.view import Peer, Settings, Ticket, View
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import CapacityShort, ReplicaState, ReplicaStatus, VersionDefinition
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.rounds import Round, join_rounds

START_LIMIT_S = 300.0
"""A version's own environment may have to be installed first."""
SHORTAGE_STANDS_S = 3.0
"""Ray counts freed resources as free only a moment later."""
TELL_LIMIT_S = 10.0
ANSWER_LIMIT_S = 1.0
SURPLUS_LIMIT_S = 30.0
LOOK_EVERY_S = 0.1
WATCH_EVERY_S = 1.0


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
        self._actors: dict[Address, Any] = {
            address: self._staff.replica(address, entered.version)
            for address, entered in self._registry.replicas.items()
        }
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._watch: asyncio.Task[None] | None = None
        own.begin.remote()  # also when Ray restarts it and nobody else would

    # What the coordinator has it do; see `rolewise.fleet.runtime.Runtime` for the contracts.

    async def begin(self) -> None:
        """Start to watch; returns when the gateway takes tasks."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._watch_for_ever())
        await self._gateway.install.remote(self._view())

    async def adopt(self, guards: GuardLimits, fencing: int) -> None:
        """Let these be the hard limits of every task, also of those that run."""
        self._admit(fencing)
        registry = self._registry
        if guards != registry.guards:
            self._keep(replace(registry, guards=guards, number=registry.number + 1))
            await self._tell_all()

    async def scale(self, version: VersionDefinition, replicas: int, fencing: int) -> None:
        """Bring a version to this many replicas."""
        self._admit(fencing)
        async with self._locks[version.role, version.version]:
            present = self._registry.of(version.role, version.version)
            kept = present[:replicas]
            if replicas > len(present):
                missing = replicas - len(present)
                await self._check_room(version, missing)
                kept += self._enter(version, missing)
            await self._bring_up(kept, fresh=kept[len(present) :])
            if present[replicas:]:
                await self._send_away(present[replicas:], limit_s=SURPLUS_LIMIT_S if kept else 0.0)

    async def install(self, table: RoutingTable, fencing: int) -> None:
        """Put a routing table in force everywhere."""
        self._admit(fencing)
        registry = self._registry
        if table.number > registry.table.number:
            self._keep(replace(registry, table=table, number=registry.number + 1))
        await self._tell_all()

    async def drain(self, role: str, version: str, limit_s: float, fencing: int) -> int:
        """Wait until the version is not needed any more; cancel what is left."""
        self._admit(fencing)
        for address in self._registry.of(role, version):
            self._change(address, is_draining=True)
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while loop.time() < end:
            busy, needed = await asyncio.gather(
                self._is_busy(self._registry.of(role, version)),
                self._gateway.in_need_of.remote(role, version),
            )
            if not busy and not needed:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        ended = await asyncio.gather(
            *(self._withdraw_all(a) for a in self._registry.of(role, version))
        )
        return sum(ended)

    async def statuses(self) -> tuple[ReplicaStatus, ...]:
        """Return how every replica is."""
        found = await asyncio.gather(*(self._status(a) for a in tuple(self._registry.replicas)))
        return tuple(status for status in found if status is not None)

    async def waits(self, replicas: Collection[str] | None, recent: bool) -> Round:
        """Return the waits of replicas, all or those named, and who did not answer."""
        entered = self._registry.replicas
        asked = {
            str(address): actor
            for address, actor in self._actors.items()
            if (replicas is None or str(address) in replicas)
            # One that still starts has no waits, and may take minutes to answer.
            and address in entered
            and (entered[address].is_listed or entered[address].is_draining)
        }
        found = await asyncio.gather(
            *(self._call(actor.waits.remote(recent)) for actor in asked.values())
        )
        answers = dict(zip(asked, found, strict=True))
        # None: it has not joined the fleet yet, and nothing can wait there.
        return join_rounds(
            [answer for answer in answers.values() if isinstance(answer, Round)],
            blind=[name for name, answer in answers.items() if isinstance(answer, Exception)],
        )

    async def stop(self) -> None:
        """End all replicas and make no new ones."""
        if self._watch is not None:
            self._watch.cancel()
        actors = list(self._actors.values())
        self._actors.clear()
        self._registry = Registry()
        await asyncio.gather(*(self._staff.end(actor) for actor in actors))

    # What the fleet's own processes ask it.

    async def join(self, address: Address | None) -> Ticket:
        """Note a new life of a replica, or of the gateway; return what it must know."""
        registry, joins = self._registry, 0
        if address is None:
            joins = registry.gateway_joins
            self._keep(replace(registry, gateway_joins=joins + 1))
        elif address in registry.replicas:
            joins = registry.replicas[address].joins
            self._change(address, joins=joins + 1)
        return Ticket(
            restarts=joins,
            view=self._view(),
            post_every_s=self._settle_s / 2,
        )

    async def memory(self) -> Any:
        """Return the handle of the actor that keeps what roles remember."""
        return self._staff.memory()

    # Starting and ending replicas.

    async def _check_room(self, version: VersionDefinition, missing: int) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + SHORTAGE_STANDS_S
        while True:
            nodes = read_nodes()
            for_ever = find_shortage(version, 1, nodes=nodes, available=sum_resources(nodes))
            for_now = find_shortage(version, missing, nodes=nodes, available=read_available())
            if not for_now:
                return
            if for_ever or loop.time() >= end:
                raise CapacityShort(f"{version.role}@{version.version}: {for_ever or for_now}")
            await asyncio.sleep(LOOK_EVERY_S)

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
        starting = [a for a in wanted if not self._registry.replicas[a].is_listed]
        try:
            await asyncio.gather(*(self._start(address) for address in starting))
        except BaseException:
            await self._send_away(fresh, limit_s=0.0)
            raise
        for address in wanted:
            self._change(address, is_listed=True, is_draining=False)
        if starting:
            await self._tell_all()

    async def _start(self, address: Address) -> None:
        version = self._registry.replicas[address].version
        actor = self._actors[address] = self._staff.replica(address, version)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                fault = await actor.ready.remote()
        except TimeoutError:
            raise CapacityShort(f"{address} was not placed within {START_LIMIT_S:g} s") from None
        except RayError as error:
            raise AgentImportError(f"{address} does not start: {error}") from None
        if fault:
            raise AgentImportError(fault)

    async def _send_away(self, addresses: Sequence[Address], *, limit_s: float) -> None:
        """Take replicas off the list, let them finish what they have, and end them."""
        if not addresses:
            return
        for address in addresses:
            self._change(address, is_listed=False, is_draining=True)
        await self._tell_all()
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        while loop.time() < end and await self._is_busy(addresses):
            await asyncio.sleep(LOOK_EVERY_S)
        actors = []
        for address in addresses:
            self._keep(self._registry.without(address))
            actors.append(self._actors.pop(address, None))
        await asyncio.gather(*(self._staff.end(actor) for actor in actors if actor is not None))

    # Watching.

    async def _watch_for_ever(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            listed = [a for a, entered in self._registry.replicas.items() if entered.is_listed]
            await asyncio.gather(*(self._look_at(address) for address in listed))

    async def _look_at(self, address: Address) -> None:
        actor = self._actors.get(address)
        if actor is None:
            return  # it was taken away meanwhile
        vital = await self._call(actor.status.remote())
        if isinstance(vital, Vital) and not vital.is_open:
            await self._call(actor.ready.remote())
        elif isinstance(vital, ActorDiedError):
            await self._replace(address)

    async def _replace(self, address: Address) -> None:
        entered = self._registry.replicas.get(address)
        if entered is None or not entered.is_listed:
            return
        self._change(address, is_listed=False, life=entered.life + 1)
        if entered.version.max_restarts != -1:
            await self._tell_all()  # it has died as often as it may
            return
        try:
            await self._bring_up([address], fresh=())
        except (AgentImportError, CapacityShort, ValueError):
            self._change(address, is_listed=True)  # the next look tries again

    async def _status(self, address: Address) -> ReplicaStatus | None:
        actor = self._actors.get(address)
        answer = None if actor is None else await self._call(actor.status.remote())
        entered = self._registry.replicas.get(address)
        if entered is None:
            return None  # it was taken away while it was asked
        vital = answer if isinstance(answer, Vital) else Vital()
        state, reason = ReplicaState.STARTING, ""
        if vital.is_open:
            state = ReplicaState.DRAINING if entered.is_draining else ReplicaState.READY
        elif isinstance(answer, ActorDiedError):
            state, reason = ReplicaState.FAILED, str(answer)
        elif isinstance(answer, Exception):
            reason = f"does not answer: {answer}"
        return ReplicaStatus(
            replica=str(address),
            role=address.role,
            version=address.version,
            state=state,
            restarts=max(0, entered.joins - 1),
            table=vital.table,
            running=vital.running,
            queued=vital.queued,
            reason=reason,
        )

    async def _is_busy(self, addresses: Sequence[Address]) -> bool:
        answers = await asyncio.gather(
            *(self._call(self._actors[address].status.remote()) for address in addresses)
        )
        return any(isinstance(v, Vital) and (v.running or v.queued) for v in answers)

    async def _withdraw_all(self, address: Address) -> int:
        ended = await self._call(self._actors[address].withdraw_all.remote("drained"))
        return ended if isinstance(ended, int) else 0

    # Telling.

    async def _tell_all(self) -> None:
        """Give everyone the newest view; one that is dead gets it when its next life joins."""
        view = self._view()
        await asyncio.gather(
            *(
                self._call(actor.install.remote(view), limit_s=TELL_LIMIT_S)
                for actor in (self._gateway, *self._actors.values())
            )
        )

    def _view(self) -> View:
        registry = self._registry
        return View(
            number=registry.number,
            table=registry.table,
            peers={
                address: Peer(actor=self._actors[address], life=entered.life)
                for address, entered in registry.replicas.items()
                if entered.is_listed
            },
            collectors=self._collectors,
            guards=registry.guards,
        )

    async def _call(self, answer: Any, *, limit_s: float = ANSWER_LIMIT_S) -> Any:
        """Return the answer of an actor, or the error in its place."""
        try:
            async with asyncio.timeout(limit_s):
                return await answer
        except (RayError, TimeoutError) as error:
            return error

    # Remembering.

    def _admit(self, fencing: int) -> None:
        registry = self._registry.admitted(fencing)
        if registry != self._registry:
            self._keep(registry)

    def _change(self, address: Address, **fields: Any) -> None:
        registry = self._registry
        entered = replace(registry.replicas[address], **fields)
        if entered != registry.replicas[address]:
            self._keep(registry.with_replica(address, entered))

    def _keep(self, registry: Registry) -> None:
        keep_registry(self._fleet, registry)
        self._registry = registry
