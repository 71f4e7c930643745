"""A whole fleet in one process: the runtime of rehearsals and tests.

The same replicas, messenger, gateway and recorder as on Ray; only the wire is different. In a
`VirtualTimeLoop` it is deterministic by its seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rolewise.fleet.gateway import Gateway
from rolewise.fleet.ids import IdSource
from rolewise.fleet.incident import OWN_DEATHS, Incident, IncidentBook, IncidentKind
from rolewise.fleet.ledger import Ledger, Pages
from rolewise.fleet.limits import RESULTS_KEPT_S, TASKS_IN_FLIGHT, TASKS_KEPT, sums_kept
from rolewise.fleet.local.network import Network
from rolewise.fleet.local.staff import LocalStaff
from rolewise.fleet.losses import settle_losses
from rolewise.fleet.messenger import Messenger
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.routing.router import Router
from rolewise.fleet.routing.table import RoutingTable
from rolewise.fleet.runtime import CapacityShort, Fenced, Observation, VersionDefinition
from rolewise.fleet.task import TaskRecord, TaskRequest
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.pulse import Beats
from rolewise.graphs.rounds import Round, join_rounds
from rolewise.graphs.task_rows import TaskRows
from rolewise.graphs.task_trees import TaskTrees

DRAIN_LOOK_S = 0.05
"""How often a drain looks whether its version is still needed."""


class LocalRuntime:
    """See `rolewise.fleet.runtime.Runtime` for the contract.

    Args:
        entry: Entry roles.
        seed: Seeds the network.
        network: Latency; drawn from the seed when left out.
        max_replicas: The size of this pretend cluster; 0 for no limit.
        settle_s: See `Gateway`.
        guards: Hard limits at which a task is ended.
        tasks_in_flight: See `Gateway`.
        pages: Where the gateway's ledger is kept, for those that let it die; None: no ledger.
        results_kept_s: See `Gateway`.
        tasks_kept: See `Gateway`.
    """

    def __init__(
        self,
        *,
        entry: tuple[str, ...],
        seed: int = 0,
        network: Network | None = None,
        max_replicas: int = 0,
        settle_s: float = 0.5,
        guards: GuardLimits | None = None,
        tasks_in_flight: int = TASKS_IN_FLIGHT,
        pages: Pages | None = None,
        results_kept_s: float = RESULTS_KEPT_S,
        tasks_kept: int = TASKS_KEPT,
    ) -> None:
        self._guards = guards or GuardLimits()
        self.network = network or Network(seed=seed)
        self._max_replicas = max_replicas
        self._router = Router()
        self.staff = LocalStaff(
            self.network, recorder=self._recorder, messenger=self._messenger, take=self._take
        )
        self._fencing = 0
        self._tasks_in_flight = tasks_in_flight
        self._entry = entry
        self._settle_s = settle_s
        self._pages = pages
        self._results_kept_s = results_kept_s
        self._tasks_kept = tasks_kept
        self._collector = self._make_collector()
        self._gateway_lives = 0
        self._book = IncidentBook(asyncio.get_running_loop().time)
        self._gateway_recorder, self._gateway = self._make_gateway()

    async def fence(self, fencing: int) -> None:
        """Refuse every lower number from now on."""
        self._check(fencing)

    async def scale(self, version: VersionDefinition, replicas: int, *, fencing: int) -> None:
        """Bring the version to this many replicas."""
        self._check(fencing)
        staff = self.staff
        present = staff.of(version.role, version.version)
        others = len(staff.live) - len(present)
        if self._max_replicas and others + replicas > self._max_replicas:
            raise CapacityShort(
                f"{version.role}@{version.version}: {replicas} replicas beside {others} others, "
                f"but there is room for {self._max_replicas}"
            )
        for address in present[:replicas]:
            staff.live[address].draining = False
        for _ in range(replicas - len(present)):
            staff.start(version)
        for address in present[replicas:]:
            staff.stop(address)
        self._router.set_replicas(staff.live)

    async def install(self, table: RoutingTable, *, fencing: int) -> None:
        """Put a routing table in force."""
        self._check(fencing)
        self._router.install(table)

    async def drain(self, role: str, version: str, limit_s: float, *, fencing: int) -> int:
        """Wait until no task needs the version, then cancel what is left."""
        self._check(fencing)
        loop = asyncio.get_running_loop()
        end = loop.time() + limit_s
        for address in self.staff.of(role, version):
            self.staff.live[address].draining = True
        while loop.time() < end and self._busy(role, version):
            await asyncio.sleep(DRAIN_LOOK_S)
            self._check(fencing)
        return sum(
            self.staff.live[address].core.withdraw_all(reason="drained")
            for address in self.staff.of(role, version)
        )

    async def submit(self, request: TaskRequest) -> None:
        """Accept a task."""
        await self._gateway.submit(request)

    async def result(self, task: str, *, wait_s: float = 0.0) -> TaskRecord | None:
        """Return the account of a task."""
        record = await self._gateway.result(task, wait_s)
        self._collect()
        return None if record is None else self._collector.complete([record])[0]

    async def score(self, task: str, name: str, value: float) -> bool:
        """Write a score into a task's account."""
        return await self._gateway.score(task, name, value)

    async def observe(self, cursor: int = 0) -> Observation:
        """Read liveness, counts and the tasks behind the cursor."""
        self._collect()
        now_s = asyncio.get_running_loop().time()
        tasks = self._collector.complete(self._gateway.tasks_since(cursor), now_s=now_s)
        return Observation(
            now_s=now_s,
            replicas=tuple(live.status(self._router.table.number) for live in self.staff),
            counts=self._gateway.counts,
            tasks=settle_losses(tasks, self._book.since(0), now_s=now_s),
            lost_records=self._collector.lost,
        )

    async def waits(
        self, replicas: Collection[str] | None = None, *, recent: bool = False
    ) -> Round:
        """Ask replicas for their waits."""
        return join_rounds(
            live.core.waits(recent=recent)
            for address, live in self.staff.live.items()
            if replicas is None or str(address) in replicas
        )

    async def incidents(self, after: int = 0) -> tuple[Incident, ...]:
        """Return what went wrong lately."""
        return self._book.since(after)

    async def task_trees(self) -> TaskTrees:
        """Return the trees of the last tasks."""
        self._collect()
        return self._collector.sample.read()

    async def task_rows(self) -> TaskRows:
        """Return what each of the last tasks did."""
        self._collect()
        return self._collector.windows.task_rows()

    async def pulse(self, after: int = -1) -> Beats:
        """Return what was sent in each of the last seconds."""
        self._collect()
        return self._collector.pulse.read(after, now_s=asyncio.get_running_loop().time())

    async def graph(self) -> InteractionWindows:
        """Return the interaction graph as folded so far."""
        self._collect()
        return self._collector.windows

    def resize(self, role: str, version: str, slots: int) -> None:
        """Let each replica of a version handle so many messages at a time."""
        for address in self.staff.of(role, version):
            self.staff.live[address].core.resize(slots)

    def kill(
        self,
        role: str,
        version: str,
        *,
        unnoticed: bool = False,
        kind: IncidentKind = IncidentKind.DIED,
    ) -> str:
        """Let one replica die, as a crashed process does, and replace it; return its name.

        Args:
            role: Its role.
            version: And version.
            kind: What it dies of.
            unnoticed: Nobody tells those that wait for it, as when a link hangs on its dead end.

        Raises:
            LookupError: There is none.
        """
        addresses = self.staff.of(role, version)
        if not addresses:
            raise LookupError(f"no replica of {role}@{version} to kill")
        address = addresses[0]
        self.staff.replace(address, is_crash=kind in OWN_DEATHS, unnoticed=unnoticed)
        self._book.report(kind, str(address), "it was killed", address)
        self._router.set_replicas(self.staff.live)
        return str(address)

    async def kill_gateway(self) -> None:
        """Let the gateway die, as a crashed process does; return when the next one is up."""
        self._gateway.stop()
        self._gateway_lives += 1
        self._gateway_recorder, self._gateway = self._make_gateway()
        self._book.report(IncidentKind.GATEWAY_LOST, "gateway", "it was killed")
        await self._gateway.recover()

    def kill_collector(self) -> None:
        """Let the collector die with all that it has folded, and replace it."""
        self._collector = self._make_collector(is_successor=True)
        self._book.report(IncidentKind.COLLECTOR_LOST, "collector 0", "it was killed")

    def _make_collector(self, *, is_successor: bool = False) -> Collector:
        kept = sums_kept(self._tasks_kept)
        # No lag: it takes all there is whenever it is asked.
        return Collector(lag_s=0.0, tasks_kept=kept, is_successor=is_successor)

    def _make_gateway(self) -> tuple[Recorder, Gateway]:
        now = asyncio.get_running_loop().time
        recorder = self._recorder(f"gateway.{self._gateway_lives}", "")
        gateway = Gateway(
            messenger=self._messenger(0, self._gateway_lives, recorder),
            entry=self._entry,
            tasks_in_flight=self._tasks_in_flight,
            settle_s=self._settle_s,
            guard=_LocalGuard(self),
            ledger=None if self._pages is None else Ledger(self._pages),
            results_kept_s=self._results_kept_s,
            tasks_kept=self._tasks_kept,
            clock=now,
            time_of_day=now,
        )
        return recorder, gateway

    def _busy(self, role: str, version: str) -> bool:
        in_need = self._gateway.in_need_of(role, version)
        return self.staff.has_work(role, version) or in_need > 0

    def _check(self, fencing: int) -> None:
        if fencing < self._fencing:
            raise Fenced(f"fencing number {fencing} is older than {self._fencing}")
        self._fencing = fencing

    def _recorder(self, source: str, node: str) -> Recorder:
        loop = asyncio.get_running_loop()
        return Recorder(source, node, now=loop.time, clock_ns=lambda: int(loop.time() * 1e9))

    def _messenger(self, process: int, nonce: int, recorder: Recorder) -> Messenger:
        return Messenger(
            router=self._router,
            link_to=self.staff.link_to,
            recorder=recorder,
            ids=IdSource(process, nonce),
            now=asyncio.get_running_loop().time,
            hops=self._guards.hops,
        )

    def breaches(self) -> Mapping[int, str]:
        """Return the tasks that broke a hard limit: key of the task -> which, in words."""
        self._collect()
        return self._collector.breaches(self._guards)

    def end_task(self, task: str) -> None:
        """End a task's messages at every replica."""
        for live in self.staff:
            live.core.end_task(task)

    def _collect(self) -> None:
        self._take(self._gateway_recorder)
        for live in self.staff:
            self._take(live.recorder)

    def _take(self, recorder: Recorder) -> None:
        delivery = recorder.take()
        if delivery is not None:
            self._collector.take(delivery, now_s=asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class _LocalGuard:
    """See `rolewise.fleet.gateway.TaskGuard`."""

    runtime: LocalRuntime

    async def find(self) -> Mapping[int, str]:
        return self.runtime.breaches()

    async def end(self, task: str) -> None:
        self.runtime.end_task(task)
