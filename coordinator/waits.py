"""Looks for waits that do not end, round after round, while something is on trial in a fleet.

It asks; what the answers mean is `rolewise.graphs`' business: `deadlock` for what holds itself,
`stalls` for everything else that does not move. It keeps nothing that another round would not
bring again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from rolewise.fleet.runtime import Runtime
from rolewise.graphs.deadlock import Deadlock, RoleVersion, analyse_waits
from rolewise.graphs.interactions import Arm
from rolewise.graphs.rounds import Round
from rolewise.graphs.stalls import (
    Orphan,
    Stall,
    StallWatch,
    find_orphan_suspects,
    find_orphans,
)

log = logging.getLogger(__name__)

ROUND_S = 1.0
"""Time between two rounds of snapshots; a deadlock stands in two of them before it counts."""

CLOCK_S = 1e-3
"""Four quarters of a second may be a hair less than one, by rounding."""

_ARMS = (Arm.CANARY, Arm.BASELINE)

SERVICE_READ_S = 30.0
"""Time between two readings of how long roles usually take."""


TASKS_KEPT = 10_000
"""Tasks with a lost wait that are remembered."""


class WaitsLookout:
    """The rounds of one fleet.

    Args:
        fleet: Its name, for the log.
        runtime: The fleet.

    Attributes:
        rounds: How many there were.
        deadlocks: What was confirmed in the last one.
        stalls: What else did not move then.
        orphans: Task -> waits in it, since the trial began, for replies that could no longer come.
    """

    def __init__(self, fleet: str, runtime: Runtime) -> None:
        self._fleet = fleet
        self._runtime = runtime
        self._watch = StallWatch()
        self._before: Round | None = None
        self._asked_at = self._service_at = float("-inf")
        self._told: set[str] = set()
        self.rounds = 0
        self.deadlocks: tuple[Deadlock, ...] = ()
        self.stalls: tuple[Stall, ...] = ()
        self.orphans: dict[str, int] = {}
        self._lost: dict[int, Arm] = {}

    @property
    def alerts(self) -> tuple[str, ...]:
        """What does not move, one sentence each, for status pages."""
        return tuple(self._sentences().values())

    @property
    def orphans_by_arm(self) -> Mapping[Arm, int]:
        """Waits for replies that could no longer come, since the trial began."""
        return Counter(self._lost.values())

    async def look(self, now_s: float, *, canary: RoleVersion) -> None:
        """Ask all replicas if it is time to, and say what two rounds confirm.

        Args:
            now_s: The fleet's time.
            canary: Who is on trial, to be shown in a circle that it is in.
        """
        if now_s - self._asked_at < ROUND_S - CLOCK_S:
            return
        self._asked_at = now_s
        # The round before has ended before this one begins: that is what confirming rests on.
        first, second = self._before, await self._runtime.waits()
        self._before = second
        self.rounds += 1
        if first is None:
            return
        self.deadlocks = await self._confirm(
            analyse_waits(first, second, canary=[canary]).deadlocks, second
        )
        suspects = find_orphan_suspects(first, second)
        recent = await self._runtime.waits(suspects, recent=True) if suspects else second.only(())
        orphans = find_orphans(first, second, recent)
        if self._watch.is_anything_held and now_s - self._service_at >= SERVICE_READ_S:
            self._service_at = now_s
            self._watch.service_s = await self._read_service()
        self._remember(orphans)
        self.stalls = (*orphans, *self._watch.look(first, second, now_s))
        self._tell()

    def forget(self) -> None:
        """Begin anew: another trial, or none."""
        self._before, self.deadlocks, self.stalls = None, (), ()
        self._watch = StallWatch()
        self._told.clear()
        self._lost, self.orphans = {}, {}

    async def _confirm(self, found: tuple[Deadlock, ...], second: Round) -> tuple[Deadlock, ...]:
        """Look a third time, only where the cores stand: one may have ended this very moment."""
        if not found:
            return ()
        replicas = {replica for deadlock in found for replica in deadlock.replicas}
        third = await self._runtime.waits(replicas)
        still = set(analyse_waits(second.only(replicas), third).soft.ids)
        return tuple(deadlock for deadlock in found if still.issuperset(deadlock.core))

    async def _read_service(self) -> Mapping[str, float]:
        """Return role -> seconds that its slow replies take, apart from the canary's."""
        graph = (await self._runtime.graph()).to_networkx(view="role")
        slowest: dict[str, float] = {}
        for _, role, edge in graph.edges(data=True):
            if edge["arm"] != "canary":
                took_s = edge.get("latency_ms_p99", 0.0) / 1000
                slowest[role] = max(slowest.get(role, 0.0), took_s)
        return slowest

    def _remember(self, orphans: Sequence[Orphan]) -> None:
        """Count each lost wait once: it is found again in every round until it ends."""
        for orphan in orphans:
            if orphan.awaited not in self._lost:
                self._lost[orphan.awaited] = Arm(orphan.arm)
                self.orphans[orphan.task] = self.orphans.get(orphan.task, 0) + 1
        while len(self.orphans) > TASKS_KEPT:
            del self.orphans[next(iter(self.orphans))]

    def _tell(self) -> None:
        now = self._sentences()
        for key, sentence in now.items():
            if key not in self._told:
                log.warning("fleet %s: %s", self._fleet, sentence)
        self._told = set(now)

    def _sentences(self) -> dict[str, str]:
        """Return one sentence for each thing that people would call the same."""
        told = {
            f"deadlock {one.signature}": f"{one.kind} deadlock: {one.sentence}"
            for one in self.deadlocks
        }
        same: dict[str, list[Stall]] = {}
        for stall in self.stalls:
            same.setdefault(stall.key, []).append(stall)
        for key, stalls in same.items():
            more = f" ({len(stalls) - 1} more like this)" if len(stalls) > 1 else ""
            told[key] = stalls[0].sentence + more
        if any(isinstance(stall, Orphan) for stall in self.stalls):
            counts = self.orphans_by_arm
            arms = (f"{counts[arm]} of {arm.name.lower()} tasks" for arm in _ARMS)
            told["orphans"] = f"orphan: waits lost since the trial began: {', '.join(arms)}"
        return told
