"""What has happened in a rollout: the entries of its log, in the past tense, one fact each.

The log is the truth; status, history and audit are read from it. Every event says when, by whom
(`judge`, `rolewise`, or a person's name) and, where it needs one, the reason in words. Fields may
be added with a default; anything else needs a new version in `codec.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rolewise.coordinator.judge.verdict import HardFact, Verdict
from rolewise.coordinator.plan.plan import Plan
from rolewise.fleet.routing.table import RoutingTable

JUDGE = "judge"
MACHINE = "rolewise"


class PauseCause(StrEnum):
    """Why a rollout is paused; it decides which verbs end the pause.

    `OPERATOR` somebody paused it; `STEP` a step of the plan waits for a person; `UNSURE` the
    judge's budget is spent; `NO_DATA` no task of one arm has closed for too long; `HARM` the judge
    found harm and the plan says to ask; `FACT` a hard fact that is not the new version's fault,
    but nothing to go on with unseen; `RUNTIME_ERROR` a command failed again and again.
    """

    OPERATOR = "operator"
    STEP = "step"
    UNSURE = "unsure"
    NO_DATA = "no_data"
    HARM = "harm"
    FACT = "fact"
    RUNTIME_ERROR = "runtime_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    at: datetime
    by: str = MACHINE
    reason: str = ""

    def __post_init__(self) -> None:
        if self.at.utcoffset() != timedelta(0):
            raise ValueError(f"at = {self.at.isoformat()}: want a time in UTC, with its offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStarted(_Recorded):
    """The rollout exists; its plan will not change any more.

    Attributes:
        left_by: The rollout before, when it could not finish its way back.
        leftovers: (role, version) pairs that it may have left in the fleet.
    """

    rollout: str
    plan: Plan
    table: RoutingTable
    salt: str
    left_by: str = ""
    leftovers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(_Recorded):
    """A role's upgrade began; `salt` seeds the cohort of its trial."""

    stage: int
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(_Recorded):
    """A step of the current stage began."""

    stage: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicasRequested(_Recorded):
    """A version of a role is to have this many replicas. Asks for `ScaleVersion`."""

    role: str
    version: str
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSet(_Recorded):
    """The canary's share of new tasks changed; the table that carries it follows."""

    role: str
    version: str
    from_weight: float
    to_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChanged(_Recorded):
    """The fleet is to route by this table. Asks for `InstallTable`."""

    table: RoutingTable


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRequested(_Recorded):
    """A version is to finish its running work and take no more. Asks for `DrainVersion`."""

    role: str
    version: str
    limit_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAcknowledged(_Recorded):
    """The pending command was carried out, or was tried and failed."""

    command: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictGiven(_Recorded):
    """The judge changed its ruling, or its ruling decided something."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(_Recorded):
    """Going forward stopped; timers stand still, guards do not."""

    cause: PauseCause
    facts: tuple[HardFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(_Recorded):
    """Going forward began again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted(_Recorded):
    """Somebody ended the current wait, or with `full` all steps that remain."""

    full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRequested(_Recorded):
    """Somebody asked for the rollback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackBegun(_Recorded):
    """Going forward ended; these stages are reverted, in this order."""

    stages: tuple[int, ...]
    facts: tuple[HardFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePromoted(_Recorded):
    """All steps of the stage are behind it: the new version becomes the stable one."""

    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeStarted(_Recorded):
    """The new version serves all tasks; the old one is kept warm for a while."""

    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StableRetired(_Recorded):
    """The old version is not needed any more; it is drained and stopped."""

    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCompleted(_Recorded):
    """The role runs the new version only."""

    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReverted(_Recorded):
    """The role runs the old version only."""

    stage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutCompleted(_Recorded):
    """All stages are done; the wanted release is the current one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack(_Recorded):
    """No canary is left; every role runs one version, the stable one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFailed(_Recorded):
    """The rollback could not be finished; `left` says what a person or a retry must do."""

    left: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequested(_Recorded):
    """Somebody asked to go on: with a rollback that failed, or from `stage` in a new attempt.

    Attributes:
        table: The fleet's table when it differs from the one that this rollout left.
    """

    stage: int
    table: RoutingTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver(_Recorded):
    """Another controller leads from here on; the fleet refuses commands of those before it.

    Attributes:
        holder: Its name.
        fencing: The number of its lease, higher than that of every leader before.
    """

    holder: str
    fencing: int


Event = (
    RolloutStarted
    | StageStarted
    | StepStarted
    | ReplicasRequested
    | WeightSet
    | TableChanged
    | DrainRequested
    | CommandAcknowledged
    | VerdictGiven
    | Paused
    | Resumed
    | Promoted
    | AbortRequested
    | RollbackBegun
    | StagePromoted
    | BakeStarted
    | StableRetired
    | StageCompleted
    | StageReverted
    | RolloutCompleted
    | RolledBack
    | RolloutFailed
    | RetryRequested
    | TakenOver
)

Events = tuple[Event, ...]
