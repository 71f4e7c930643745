"""The loop that lets rollouts happen: observe, judge, decide, append, carry out. One per fleet.

It holds no truth. What it knows of the rollout is read from the log at every pass, and what the
judge has counted can be counted again from the fleet's accounts; so it may die at any moment.
It decides nothing either: there is no `if` about phases here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from rolewise.agents.agent import AgentImportError
from rolewise.coordinator.asking import check_readable
from rolewise.coordinator.attention import Attention
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleet_log import FleetIncident
from rolewise.coordinator.flood_watch import FloodWatch
from rolewise.coordinator.guards import find_facts
from rolewise.coordinator.incident_watch import IncidentWatch
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import HardFact, Verdict
from rolewise.coordinator.judging import Judging
from rolewise.coordinator.pattern_watch import PatternWatch
from rolewise.coordinator.rollout.commands import (
    Command,
    DrainVersion,
    InstallTable,
    ScaleVersion,
    describe_command,
)
from rolewise.coordinator.rollout.requests import Acknowledge, TakeOver, Tick
from rolewise.coordinator.rollout.state import Rollout, pending_commands
from rolewise.coordinator.store.port import Lease, LeaseLost, StoreUnavailable
from rolewise.coordinator.waits import WaitsLookout
from rolewise.fleet.runtime import CapacityShort, Fenced, Runtime, VersionDefinition
from rolewise.fleet.scoring import Aside

log = logging.getLogger(__name__)

LEASE_S = 5.0
TICK_S = 0.25
PUBLISH_S = 1.0
"""Time between two verdicts, or alerts, that status pages are shown while nothing is news."""

RETRY_S = 0.5
RETRY_DOUBLINGS = 4
"""Wait before a failed command is tried again, and how often it doubles with each failure."""


class NotLeader(Exception):
    """Another controller has the lease, or got a newer one: this one must stop."""


class Controller:
    """Drives the rollouts of one fleet.

    Args:
        fleet: The fleet's name.
        journal: The logs; its store has the lease, too.
        runtime: The fleet.
        definitions: (role, version) -> definition, of everything that the fleet's file names.
        holder: Tells this controller from others that want the same lease.
        tick_s: Seconds between two passes.
        lease_s: Seconds without a pass after which another controller may lead.
        aside: How scorers that are not async are called; see `Scoring`.
    """

    def __init__(
        self,
        *,
        fleet: str,
        journal: Journal,
        runtime: Runtime,
        definitions: Mapping[tuple[str, str], VersionDefinition],
        holder: str,
        tick_s: float = TICK_S,
        lease_s: float = LEASE_S,
        aside: Aside | None = None,
    ) -> None:
        self._fleet = fleet
        self._journal = journal
        self._store = journal.store
        self._runtime = runtime
        self._definitions = definitions
        self._holder = holder
        self._tick_s = tick_s
        self._lease_s = lease_s
        self._lease: Lease | None = None
        self._fencing = 0
        self._took_over = False
        self._ordinal = 0
        self._told: tuple[FleetIncident, ...] = ()
        self._trouble = ""
        self._attention = Attention(journal)
        self._incidents = IncidentWatch(fleet, journal, runtime)
        self._judging = Judging(journal.store, runtime, aside=aside)
        self._lookout = WaitsLookout(fleet, runtime)
        self._patterns = PatternWatch(runtime, aside=aside)
        self._floods = FloodWatch(fleet, runtime)
        self._published_at = float("-inf")
        self._alerts: tuple[str, ...] = ()
        self._alerted_at = float("-inf")
        self._carried: Command | None = None
        self._try_again_at = float("-inf")
        self._carrying: asyncio.Task[Acknowledge] | None = None

    async def run(self) -> None:
        """Lead the fleet until cancelled; wait while another controller leads."""
        try:
            while True:
                trouble = ""
                state = None
                try:
                    state = await self.step()
                    self._incidents.look()
                except NotLeader as reason:
                    trouble = str(reason)
                    await self._forget()
                except StoreUnavailable:
                    # The fleet serves on by its last table; no step moves until the log is back.
                    # (The store's watcher has logged it, once.)
                    pass
                except RolewiseError as reason:
                    trouble = reason.message
                self._tell(trouble)
                await self._attention.rest(state, self._tick_s)
        finally:
            await self._forget()
            await self._attention.forget()
            await self._incidents.forget()
            if self._lease is not None:
                with suppress(Exception):
                    await self._store.release(self._lease)

    async def step(self) -> Rollout | None:
        """Make one pass; return where the fleet's newest rollout then stands.

        Raises:
            NotLeader: See there.
            StoreUnavailable: The log cannot be read or written.
        """
        try:
            if self._lease is None:
                await self._newest()  # who cannot read the log must not lead, nor shut others out
            lease = await self._lead()
            state = await self._newest()
            if not state.sequence or (state.phase.is_final and not pending_commands(state)):
                self._took_over = False
                await self._forget()
                return state if state.sequence else None
            if self._took_over:
                request = TakeOver(at=self._journal.now, holder=self._holder, fencing=lease.fencing)
                state = await self._journal.request(state.id, request, lease=lease)
                self._took_over = False
            state = await self._acknowledge(state)
            state = await self._tick(state)
            await self._carry(state)
        except (LeaseLost, Fenced) as reason:
            raise NotLeader(str(reason)) from reason
        return state

    async def _newest(self) -> Rollout:
        """Return the fleet's newest rollout.

        Raises:
            RolewiseError: `log_unreadable`: a newer controller has to lead.
        """
        fleet = await self._journal.fleet(self._fleet)
        state = await self._journal.last_rollout(fleet)
        self._ordinal = len(fleet.rollouts)
        self._told = fleet.incidents
        if unread := fleet.unread or state.unread:
            await self._forget()
            if self._lease is not None:
                await self._store.release(self._lease)
                self._lease = None
            check_readable(unread)
        return state

    async def _lead(self) -> Lease:
        """Take or renew the lease; under a new number, first shut out every leader before."""
        lease = await self._store.acquire(f"fleet/{self._fleet}", self._holder, self._lease_s)
        if lease is None:
            self._lease = None
            raise NotLeader("another controller leads it")
        if lease.fencing != self._fencing:
            await self._runtime.fence(lease.number())
            self._fencing, self._took_over = lease.fencing, True
        self._lease = self._judging.lease = lease
        return lease

    def _tell(self, trouble: str) -> None:
        """Log what keeps this controller from its work, once while it lasts."""
        if trouble and trouble != self._trouble:
            log.warning("fleet %s: %s", self._fleet, trouble)
        self._trouble = trouble

    async def _tick(self, state: Rollout) -> Rollout:
        if await self._judging.meet(state):
            self._forget_trial()
        tick = await self._attention.unless_news(state, self._look(state))
        if tick is None:
            return await self._journal.rollout(state.id)
        return await self._journal.request(state.id, tick, lease=self._lease)

    async def _look(self, state: Rollout) -> Tick:
        """Look at the fleet and at the judge; may be broken off at any point."""
        verdict: Verdict | None = None
        facts: tuple[HardFact, ...] = ()
        trial, stage, judge = state.trial, state.current_stage, self._judging.judge
        if trial is not None and stage is not None and judge is not None:
            observation = await self._judging.observe(self._lookout.orphans)
            verdict = await self._rule(judge, state, observation.now_s)
            await self._lookout.look(observation.now_s, canary=(trial.role, trial.version))
            await self._patterns.look(trial, stage.analysis, observation.tasks)
            await self._floods.look(observation.now_s, stage.analysis, weight=state.weight)
            await self._publish_alerts(observation.now_s)
            facts = find_facts(
                trial,
                stage.analysis,
                deadlocks=self._lookout.deadlocks,
                replicas=observation.replicas,
                incidents=[
                    one for one in self._told if state.started_at and one.at >= state.started_at
                ],
                tasks_canary=judge.counts[1],
                tasks_baseline=judge.counts[0],
            )
            facts += self._floods.facts + self._patterns.facts
        return Tick(at=self._journal.now, verdict=verdict, facts=facts)

    async def _publish_alerts(self, now_s: float) -> None:
        """Let status pages show what people should look at: when it is news, and while it holds."""
        alerts = (*self._lookout.alerts, *self._floods.alerts, *self._patterns.alerts)
        if alerts != self._alerts or now_s - self._alerted_at >= PUBLISH_S:
            await self._journal.publish_alerts(self._fleet, alerts)
            self._alerts, self._alerted_at = alerts, now_s

    async def _rule(self, judge: Judge, state: Rollout, now_s: float) -> Verdict | None:
        """Return the judge's word, if it is time to publish one or if it could be news.

        A verdict with all its intervals takes far longer than a look whether it would decide.
        """
        since, evidence = state.judged_since, state.wanted_evidence
        elapsed = 0.0 if since is None else (self._journal.now - since).total_seconds()
        is_due = now_s - self._published_at >= PUBLISH_S
        if not is_due and not judge.may_decide(evidence, elapsed_s=elapsed):
            return None
        verdict = judge.verdict(evidence=evidence or "full", elapsed_s=elapsed)
        if is_due:
            self._published_at = now_s
            await self._journal.publish_verdict(state.id, verdict)
        return verdict

    async def _carry(self, state: Rollout) -> None:
        """See to it that exactly the wanted command is under way."""
        wanted = next(iter(pending_commands(state)), None)
        if self._carrying is not None:
            if wanted is not None and self._carried is not None and wanted.id == self._carried.id:
                return
            await self._stop_carrying()
        loop = asyncio.get_running_loop()
        if wanted is not None and loop.time() >= self._try_again_at:
            log.info("fleet %s: %s", self._fleet, describe_command(wanted))
            self._carried = wanted
            self._carrying = loop.create_task(self._carry_out(wanted))
            await asyncio.sleep(0)

    async def _acknowledge(self, state: Rollout) -> Rollout:
        """Write down how the command under way ended, if it has."""
        if self._carrying is None or not self._carrying.done():
            return state
        answer = self._carrying.result()
        if not answer.ok:
            # What failed just now will most likely fail again just now. By the loop's time: the
            # journal's may be set back, and then nothing would be tried for as long.
            wait_s = RETRY_S * 2 ** min(state.failures, RETRY_DOUBLINGS)
            self._try_again_at = asyncio.get_running_loop().time() + wait_s
        state = await self._journal.request(state.id, answer, lease=self._lease)
        self._carrying, self._carried = None, None
        return state

    async def _carry_out(self, command: Command) -> Acknowledge:
        ok, detail, permanent = True, "", False
        try:
            detail = await self._effect(command)
        except Fenced:
            raise
        except (CapacityShort, AgentImportError) as error:
            ok, detail, permanent = False, str(error), True
        except Exception as error:
            log.exception("fleet %s: %s failed", self._fleet, describe_command(command))
            ok, detail = False, f"{type(error).__name__}: {error}"
        return Acknowledge(
            at=self._journal.now, command=command.id, ok=ok, detail=detail, permanent=permanent
        )

    async def _effect(self, command: Command) -> str:
        assert self._lease is not None  # noqa: S101
        fencing = self._lease.number(self._ordinal, command.event)
        match command:
            case ScaleVersion(role=role, version=version, replicas=replicas):
                definition = self._definitions.get((role, version))
                if definition is None:
                    raise AgentImportError(f"the fleet's file has no {role}@{version} any more")
                await self._runtime.scale(definition, replicas, fencing=fencing)
                return ""
            case InstallTable(table=table):
                await self._runtime.install(table, fencing=fencing)
                return ""
            case DrainVersion(role=role, version=version, limit_s=limit_s):
                cancelled = await self._runtime.drain(role, version, limit_s, fencing=fencing)
                return f"{cancelled} running messages were cancelled" if cancelled else ""

    async def _stop_carrying(self) -> None:
        carrying, self._carrying, self._carried = self._carrying, None, None
        if carrying is not None:
            carrying.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await carrying

    async def _forget(self) -> None:
        """Let go of everything that belongs to a rollout."""
        await self._stop_carrying()
        await self._judging.forget()
        self._forget_trial()

    def _forget_trial(self) -> None:
        """Let what watches a trial begin anew."""
        self._lookout.forget()
        self._patterns.forget()
        self._floods.forget()
