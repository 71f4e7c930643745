"""Where a rollout stands: the fold of its events, and the answers that status pages need.

Nothing here decides anything. `evolve` writes these records, everybody else only reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from rolewise.coordinator.judge.verdict import HardFact, Ruling, Verdict
from rolewise.coordinator.plan.plan import Analyse, Pause, Plan, Release, Stage, Step
from rolewise.coordinator.rollout.commands import Command, ScaleVersion
from rolewise.coordinator.rollout.events import PauseCause
from rolewise.fleet.routing.table import RoutingTable

RoleVersion = tuple[str, str]


class Phase(StrEnum):
    """Where a rollout is in its life; the last three are final."""

    PENDING = "pending"
    PROGRESSING = "progressing"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing moves any more unless a person asks for it."""
        return self in {Phase.COMPLETED, Phase.ROLLED_BACK, Phase.FAILED}


class StageStatus(StrEnum):
    """Where a stage is in its life, in this order; or on its way back."""

    WAITING = "waiting"
    PREPARING = "preparing"
    STEPPING = "stepping"
    PROMOTING = "promoting"
    BAKING = "baking"
    DRAINING = "draining"
    DONE = "done"
    REVERTING = "reverting"
    REVERTED = "reverted"

    @property
    def is_moving(self) -> bool:
        """Whether the stage is neither at its beginning nor at an end."""
        return self not in {StageStatus.WAITING, StageStatus.DONE, StageStatus.REVERTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseNote:
    """Why, since when and by whom a rollout is paused."""

    cause: PauseCause
    reason: str
    by: str
    since: datetime
    facts: tuple[HardFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackNote:
    """Why and since when a rollout is rolled back, and which stages it takes back, in order."""

    reason: str
    by: str
    since: datetime
    stages: tuple[int, ...]
    facts: tuple[HardFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Who is under judgement: tasks drawn with this salt have an arm for this role."""

    role: str
    version: str
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout. `NOT_STARTED` is the value before its first event.

    Attributes:
        id: Empty until it is started.
        sequence: Number of events folded: the number of the last entry of its log.
        attempt: Counts retries, from 1.
        table: The newest table that was asked for; the fleet has it once nothing is pending.
        stage: Index of the current stage.
        step: Index of the current step; -1 before the first.
        since: When the phase began.
        step_since: When the current step, or the bake, began.
        timer_from: As `step_since`, but later by the time spent paused.
        verdict: The judge's last recorded word in this stage.
        step_ruling: What the judge decided in the current step; None until then.
        is_promoted: Somebody ended the wait of the current step or bake.
        is_full: Somebody asked to skip all steps that remain.
        is_harm_accepted: Somebody promoted in spite of a verdict of harm, in this stage.
        paused_for: Keys of the facts that it was paused for in this stage: once each.
        replicas: Replicas by role and version, as last acknowledged.
        stopped: Versions that surely have no replica: one that was asked for, but never
            acknowledged, may be there all the same.
        leaving: Versions that were told to drain, and not to serve again since. A version is
            always told to drain before its replicas are stopped, so every other one is there.
        pending: The command that everything waits for.
        failures: Failed attempts at it.
        left: What a failed rollback has left undone.
        left_by: The rollout before, when it could not finish its way back.
        leftovers: Versions that it may have left in the fleet; they are stopped first of all.
        is_table_due: It is not known which table the fleet has, so a new one has to be installed.
        fencing: Number of the lease of the last controller that took over; 0 when none has.
        unread: Why the log cannot be read beyond this state, in words: a newer Rolewise wrote on.
            Nothing may be asked then, and nothing is to be done. Empty when it was read to its end.
    """

    id: str = ""
    plan: Plan = field(
        default_factory=lambda: Plan(fleet="", from_release={}, to_release={}, stages=())
    )
    phase: Phase = Phase.PENDING
    sequence: int = 0
    attempt: int = 1
    salt: str = ""
    trial_salt: str = ""
    table: RoutingTable = field(default_factory=lambda: RoutingTable(number=0, routes=()))
    stage: int = 0
    statuses: tuple[StageStatus, ...] = ()
    step: int = -1
    started_at: datetime | None = None
    started_by: str = ""
    since: datetime | None = None
    step_since: datetime | None = None
    timer_from: datetime | None = None
    pause: PauseNote | None = None
    rollback: RollbackNote | None = None
    aborted_by: str = ""
    verdict: Verdict | None = None
    step_ruling: Ruling | None = None
    is_promoted: bool = False
    is_full: bool = False
    is_harm_accepted: bool = False
    paused_for: frozenset[str] = frozenset()
    replicas: Mapping[RoleVersion, int] = field(default_factory=dict)
    stopped: frozenset[RoleVersion] = frozenset()
    leaving: frozenset[RoleVersion] = frozenset()
    pending: Command | None = None
    failures: int = 0
    left: tuple[str, ...] = ()
    left_by: str = ""
    leftovers: frozenset[RoleVersion] = frozenset()
    is_table_due: bool = False
    fencing: int = 0
    unread: str = ""

    @property
    def fleet(self) -> str:
        """The fleet that it changes."""
        return self.plan.fleet

    @property
    def current_stage(self) -> Stage | None:
        """The stage at `stage`; None before the start."""
        return self.plan.stages[self.stage] if self.stage < len(self.plan.stages) else None

    @property
    def status(self) -> StageStatus:
        """Status of the current stage."""
        return self.statuses[self.stage] if self.stage < len(self.statuses) else StageStatus.WAITING

    @property
    def current_step(self) -> Step | None:
        """The step that runs now; None outside the steps of a stage."""
        stage = self.current_stage
        if stage is None or self.status is not StageStatus.STEPPING:
            return None
        return stage.steps[self.step] if 0 <= self.step < len(stage.steps) else None

    @property
    def weight(self) -> float:
        """Percent of new tasks that the current stage's new version gets by the newest table."""
        stage = self.current_stage
        return 0.0 if stage is None else self.weight_of(stage)

    @property
    def release(self) -> Release:
        """Role -> version that is stable by the newest table."""
        return {route.role: route.stable for route in self.table.routes}

    @property
    def wanted(self) -> Mapping[RoleVersion, int]:
        """Replicas by role and version as they should be, of those that it has touched."""
        match self.pending:
            case ScaleVersion(role=role, version=version, replicas=replicas):
                return {**self.replicas, (role, version): replicas}
            case _:
                return self.replicas

    @property
    def trial(self) -> Trial | None:
        """The new version under judgement, from its first replica until the stage is done."""
        stage = self.current_stage
        guarded = self.status.is_moving and self.status is not StageStatus.REVERTING
        if stage is None or self.phase.is_final or not guarded:
            return None
        return Trial(role=stage.role, version=stage.to_version, salt=self.trial_salt)

    @property
    def wanted_evidence(self) -> Literal["gate", "full"] | None:
        """How strong `safe` must be now; None when no step waits for it (guards go on)."""
        step = self.current_step
        return step.evidence if isinstance(step, Analyse) else None

    @property
    def judged_since(self) -> datetime | None:
        """Where the time budget of the running analysis begins, later by the time spent paused."""
        return self.timer_from if isinstance(self.current_step, Analyse) else None

    @property
    def timer_ends(self) -> datetime | None:
        """When the running bake ends if nothing happens; None when it depends on more than time."""
        stage, step = self.current_stage, self.current_step
        if stage is None or self.timer_from is None or self.phase is not Phase.PROGRESSING:
            return None
        if self.status is StageStatus.BAKING:
            return self.timer_from + timedelta(seconds=stage.keep_stable_s)
        if isinstance(step, Pause) and step.duration_s is not None:
            return self.timer_from + timedelta(seconds=step.duration_s)
        return None

    @property
    def reason(self) -> str:
        """Why it is paused, rolled back or failed, in words; empty when all goes forward."""
        if self.unread:
            return self.unread
        if self.phase is Phase.PAUSED and self.pause is not None:
            return self.pause.reason
        if self.rollback is not None:
            return self.rollback.reason
        return ""

    def weight_of(self, stage: Stage) -> float:
        """Percent of new tasks that a stage's new version gets by the newest table."""
        route = self.table.by_role.get(stage.role)
        if route is None:
            return 0.0
        if route.stable == stage.to_version:
            return 100.0
        return route.weight if route.canary == stage.to_version else 0.0

    def replicas_of(self, role: str, version: str) -> int:
        """Replicas of a version, as last acknowledged."""
        return self.replicas.get((role, version), 0)


NOT_STARTED = Rollout()


def pending_commands(state: Rollout) -> tuple[Command, ...]:
    """Return what is to be carried out now, in order; the same after every replay of the log.

    While a rollout is paused nothing new is sent out, so that its weight cannot rise; what was
    under way may still be acknowledged. A command that is no longer in this answer is not wanted
    any more: stop carrying it out if that is possible.
    """
    goes_on = state.phase in {Phase.PROGRESSING, Phase.ROLLING_BACK}
    goes_on = goes_on and not state.unread
    return (state.pending,) if goes_on and state.pending is not None else ()
