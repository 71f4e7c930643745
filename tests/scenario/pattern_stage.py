"""A trading fleet in virtual time, with one version on trial, and all that the detectors say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.task import TaskRecord, TaskRequest, task_key
from rolewise.graphs.crossings import Crossing, find_mixed
from rolewise.graphs.expectations import Expectations
from rolewise.graphs.interaction_graph import split_node
from rolewise.graphs.interactions import Arm, Batch
from rolewise.graphs.patterns import PatternReport, look, next_look_at
from rolewise.graphs.patterns.columns import edge_in_words
from rolewise.graphs.patterns.flood import Flood, FloodGuard
from rolewise.graphs.patterns.retries import RetryWatch
from rolewise.graphs.task_rows import select
from tests.support.trader import orders

ROLES = {
    "planner": "Planner",
    "supplier": "Supplier",
    "warehouse": "Warehouse",
    "verifier": "Verifier",
    "helper": "Helper",
}
WARM_UP_S = 15
TRIAL_S = 24
RATE = 10


class WatchedRuntime(LocalRuntime):
    """Keeps every batch of records; some of a recorder's may be lost, and its clock be wrong.

    Args:
        lose: Version -> share of its messages' records that are lost, in whole deliveries.
        ahead_s: Version -> how far its replicas' clocks are ahead.
    """

    def __init__(
        self,
        *,
        lose: Mapping[str, float] | None = None,
        ahead_s: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        self.batches: list[Batch] = []
        self._lose = dict(lose or {})
        self._ahead_s = dict(ahead_s or {})
        self._chance = np.random.default_rng(4)
        super().__init__(**options)

    def _recorder(self, source: str, node: str) -> Recorder:
        ahead_s = self._ahead_s.get(split_node(node)[1], 0.0)
        loop = asyncio.get_running_loop()
        return Recorder(
            source, node, now=loop.time, clock_ns=lambda: int((loop.time() + ahead_s) * 1e9)
        )

    def _take(self, recorder: Recorder) -> None:
        delivery = recorder.take()
        if delivery is None:
            return
        version = split_node(recorder.source.partition("#")[0])[1]
        if self._chance.random() < self._lose.get(version, 0.0):
            return
        now_s = asyncio.get_running_loop().time()
        batch = delivery.batch()
        records = batch.records.copy()
        records["t"] = np.minimum(records["t"], int(now_s * 1e9))  # as the collector does
        self.batches.append(replace(batch, records=records))
        self._collector.take(delivery, now_s=now_s)


@dataclass(frozen=True)
class Seen:
    """What the detectors said of a trial.

    Attributes:
        flags: Flag -> share of the canary's tasks that raised it; `baseline_flags` likewise.
        alarm: The first report that is an alarm, or is inconclusive; else the last one.
        after_tasks: Closed canary tasks at that look.
        floods: Second of the trial -> floods.
        errors: First word of the canary's failures -> how many.
        quality: Mean score of baseline and canary.
        storms: Edges with retry storms.
    """

    flags: Mapping[str, float]
    baseline_flags: Mapping[str, float]
    alarm: PatternReport
    after_tasks: int
    floods: Mapping[int, tuple[Flood, ...]]
    errors: Mapping[str, int]
    quality: tuple[float, float]
    storms: frozenset[str] = frozenset()
    crossings: tuple[Crossing, ...] = ()
    reports: tuple[PatternReport, ...] = ()


@dataclass
class Trial:
    """Modes of the versions, and what else is out of the ordinary.

    Attributes:
        on_trial: Role that has a new version.
        mode: What its new version does.
        both: Role -> what both versions do.
        traffic: From the second of the trial to (tasks a second, share of verified tasks).
        break_lane: Let every task now and then meet the other version of the role.
    """

    on_trial: str = "planner"
    mode: str = "usual"
    both: Mapping[str, str] = field(default_factory=dict)
    traffic: Callable[[int], tuple[int, float]] = lambda _: (RATE, 0.8)
    lose: Mapping[str, float] = field(default_factory=dict)
    ahead_s: Mapping[str, float] = field(default_factory=dict)
    break_lane: bool = False
    expectations: Expectations = field(default_factory=Expectations)
    seed: int = 7
    linger_s: int = 14

    def play(self) -> Seen:
        """Play it; the same seed gives the same end."""
        found: list[Seen] = []

        async def story() -> None:
            found.append(await self._story())

        run_virtual(story())
        return found[0]

    async def _story(self) -> Seen:
        runtime = WatchedRuntime(
            entry=("planner",), seed=self.seed, lose=self.lose, ahead_s=self.ahead_s
        )
        for role in ROLES:
            await runtime.scale(
                self._version(role, "v1", self.both.get(role, "usual")), 1, fencing=1
            )
        mode = self.mode if self.mode != "usual" else self.both.get(self.on_trial, "usual")
        await runtime.scale(self._version(self.on_trial, "v2", mode), 1, fencing=1)
        await runtime.install(self._table(1, canary=False), fencing=1)
        if self.break_lane:
            _break_lane(runtime, self.on_trial)
        world = _World(runtime)
        source, given = orders(self.seed), 0
        for second in range(-WARM_UP_S, TRIAL_S + self.linger_s):
            if second == 0:
                await runtime.install(self._table(2, canary=True), fencing=1)
            rate, verified = self.traffic(second) if second < TRIAL_S else (0, 0.0)
            if second == -WARM_UP_S or (second >= 0 and second % 5 == 0):
                source = orders(self.seed + second, verifying=verified)
            for _ in range(rate):
                given += 1
                body = next(source) | {"seed": given}
                await runtime.submit(
                    TaskRequest(id=f"t{given}", body=body, attributes=body, timeout_s=30.0)
                )
                world.verified[task_key(f"t{given}")] = body["verify"]
                await asyncio.sleep(1.0 / rate)
            if not rate:
                await asyncio.sleep(1.0)
            await world.tick(second)
        seen = world.judge(self)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        return seen

    def _version(self, role: str, name: str, mode: str) -> VersionDefinition:
        return VersionDefinition(
            role=role,
            version=name,
            content_hash=f"{role}-{name}",
            agent=f"tests.support.trader:{ROLES[role]}",
            config={"mode": mode},
            slots=200,
        )

    def _table(self, number: int, *, canary: bool) -> RoutingTable:
        trial = {"canary": "v2", "weight": 50.0, "salt": f"salt-{self.seed}"} if canary else {}
        return RoutingTable(
            number=number,
            routes=tuple(
                RoleRoute(role=role, stable="v1", **(trial if role == self.on_trial else {}))
                for role in ROLES
            ),
        )


class _World:
    """What is gathered second by second."""

    def __init__(self, runtime: WatchedRuntime) -> None:
        self.runtime = runtime
        self.verified: dict[int, bool] = {}
        self.closed: list[TaskRecord] = []
        self.floods: dict[int, tuple[Flood, ...]] = {}
        self._guard = FloodGuard()
        self._retries = RetryWatch()
        self.storms: set[str] = set()
        self._counted = -1
        self._cursor = 0

    async def tick(self, second: int) -> None:
        observation = await self.runtime.observe(self._cursor)
        self.closed += observation.closed
        self._cursor = self.closed[-1].number if self.closed else 0
        floods: tuple[Flood, ...] = ()
        read = await self.runtime.pulse(self._counted)
        self._counted = read.until - 1
        for beat in read.beats:
            floods = self._guard.tick(beat)
            self.storms |= {edge_in_words(storm.edge) for storm in self._retries.tick(beat)}
        if floods:
            self.floods[second] = floods

    def judge(self, trial: Trial) -> Seen:
        arms = {
            record.task: record.assignments[0].arm for record in self.closed if record.assignments
        }
        judged = [record for record in self.closed if record.task in arms]
        latest = {record.task: record for record in self.runtime._collector.complete(judged)}
        judged = [latest[record.task] for record in judged]
        canary = np.array([arms[record.task] is Arm.CANARY for record in judged])
        keys = np.array([task_key(record.task) for record in judged], np.uint64)
        rows = self.runtime._collector.windows.task_rows()
        flagged = np.array([bool(record.flags) for record in judged])
        verified = np.array([self.verified[key] for key in keys.tolist()])
        ends = np.cumsum(canary)
        block = np.log2(np.maximum(ends, 25) / 25).astype(int)
        reports = []
        for number in range(8):
            count = int(np.searchsorted(ends, next_look_at(number))) + 1
            if ends[-1] < next_look_at(number):
                break
            known = np.isin(keys[:count], rows.task)  # all of it may have been lost
            closed = np.flatnonzero(known)[np.argsort(keys[:count][known])]  # as the rows stand
            reports.append(
                look(
                    select(rows, np.isin(rows.task, keys[closed])),
                    canary=canary[closed],
                    stratum=(2 * block + verified)[closed],
                    flagged=flagged[closed],
                    rng=np.random.default_rng(trial.seed),
                    number=number,
                    expectations=trial.expectations,
                )
            )
        telling = next(
            (place for place, r in enumerate(reports) if r.state != "quiet"), len(reports) - 1
        )
        return Seen(
            flags=_shares(judged, canary),
            baseline_flags=_shares(judged, ~canary),
            alarm=reports[telling],
            after_tasks=next_look_at(telling),
            floods={second: floods for second, floods in self.floods.items() if second >= 0},
            errors=Counter(
                record.error.partition(":")[0]
                for record, is_canary in zip(judged, canary, strict=True)
                if is_canary and record.error
            ),
            quality=(_quality(judged, ~canary), _quality(judged, canary)),
            storms=frozenset(self.storms),
            crossings=tuple(find_mixed(self.runtime.batches)),
            reports=tuple(reports),
        )


def _shares(records: list[TaskRecord], chosen: np.ndarray) -> dict[str, float]:
    counts = Counter(
        flag
        for record, is_in in zip(records, chosen, strict=True)
        if is_in
        for flag in record.flags
    )
    return {flag: count / int(chosen.sum()) for flag, count in sorted(counts.items())}


def _quality(records: list[TaskRecord], chosen: np.ndarray) -> float:
    scores = [
        record.scores["quality"]
        for record, is_in in zip(records, chosen, strict=True)
        if is_in and "quality" in record.scores
    ]
    return float(np.mean(scores)) if scores else 0.0


def _break_lane(runtime: WatchedRuntime, role: str) -> None:
    router, picks = runtime._router, iter(_every_third())
    usual = router.version_for

    def version_for(asked: str, task: str, table: int) -> str:
        version = usual(asked, task, table)
        return "v2" if asked == role and version == "v1" and table > 1 and next(picks) else version

    router.version_for = version_for  # type: ignore[method-assign]


def _every_third() -> Iterator[bool]:
    while True:
        yield from (False, False, True)
