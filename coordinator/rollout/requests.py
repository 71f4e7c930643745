"""What can be asked of a rollout: operator verbs, ticks of the controller, acknowledgements.

Each request says when it was made (`at`), because the machine has no clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rolewise.coordinator.judge.verdict import HardFact, Verdict
from rolewise.coordinator.plan.plan import Plan
from rolewise.fleet.routing.table import RoutingTable


class Verb(StrEnum):
    """What a person may press."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    PROMOTE_FULL = "promote_full"
    ABORT = "abort"
    RETRY = "retry"
    UNDO = "undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    at: datetime

    def __post_init__(self) -> None:
        if self.at.utcoffset() != timedelta(0):
            raise ValueError(f"at = {self.at.isoformat()}: want a time in UTC, with its offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(_Request):
    """Begin a rollout.

    Attributes:
        table: The fleet's routing table now; this rollout's tables are numbered on from it.
        salt: Random text; each trial of this rollout draws its cohort with a salt made from it.
        left_by: The rollout before, when it could not finish its way back.
        leftovers: (role, version) pairs that it may have left in the fleet.
    """

    rollout: str
    plan: Plan
    table: RoutingTable
    salt: str
    by: str
    reason: str = ""
    left_by: str = ""
    leftovers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(_Request):
    """Stop going forward; weight, replicas and guards stay."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(_Request):
    """Go on after an operator's pause or a runtime error."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote(_Request):
    """End the wait of the current step; `full` skips the steps that remain, never the guards."""

    by: str
    full: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort(_Request):
    """Roll back."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(_Request):
    """Finish a rollback that failed, or try the first stage that is not done once more.

    Attributes:
        table: The fleet's routing table now, when another rollout may have changed it since.
    """

    by: str
    reason: str = ""
    table: RoutingTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo(_Request):
    """Ask whether this rollout can be undone. It changes nothing here: see `undo_target`."""

    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick(_Request):
    """Time has passed, and perhaps the judge has spoken.

    The verdict must have been given for the trial and the evidence that the *same* state asked
    for. A controller that finds that somebody else appended first judges again, it does not
    send the old verdict to the newer state.

    Attributes:
        verdict: The judge's word on `state.trial` at `state.wanted_evidence`.
        facts: What needs no statistics: each of them rolls back or pauses, as it says.
    """

    verdict: Verdict | None = None
    facts: tuple[HardFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge(_Request):
    """A command was carried out, or was tried and failed.

    Attributes:
        command: Its id; one that is not pending any more changes nothing.
        detail: What went wrong, in words; or what a drain cancelled.
        permanent: Trying again will not help (no capacity, the version does not import).
    """

    command: str
    ok: bool
    detail: str = ""
    permanent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOver(_Request):
    """A controller has begun to lead; it says so before anything else.

    Attributes:
        holder: Its name.
        fencing: The number of its lease.
    """

    holder: str
    fencing: int


Request = Start | Pause | Resume | Promote | Abort | Retry | Undo | Tick | Acknowledge | TakeOver

_VERBS: dict[type[Request], Verb] = {
    Start: Verb.START,
    Pause: Verb.PAUSE,
    Resume: Verb.RESUME,
    Promote: Verb.PROMOTE,
    Abort: Verb.ABORT,
    Retry: Verb.RETRY,
    Undo: Verb.UNDO,
}


def verb_of(request: Request) -> Verb | None:
    """Return the verb that a person pressed; None for what a controller sends."""
    if isinstance(request, Promote) and request.full:
        return Verb.PROMOTE_FULL
    return _VERBS.get(type(request))
