"""What may be asked of a rollout in which phase, and what follows: the theory and the one table.

Theory of operation
-------------------
A rollout is a log of events. `decide(state, request)` returns the events that a request causes,
or a `Refusal`; `evolve` folds events into the state; `pending_commands(state)` says what is to be
done to the fleet. The caller appends the events to the log first and only then carries out
commands, each of which it acknowledges with another request. Nothing here has a clock, does
anything, or raises: requests carry the time, and a refusal is a value that changes nothing.

Everything that a request may do in a phase stands in `TABLE`. A pair that is not there is
refused; that is the refusal, there is no other list. A rule may have a `check` for what the phase
alone does not tell (a pause that waits for a decision is not ended by `resume`). Status pages and
`allowed_verbs` ask the same table.

Who comes first when several things are true at once:

1.  abort: it is taken in every phase that is not final, and what it began cannot be promoted;
2.  a hard fact (deadlock, crash loop, ceiling): rolls back, whatever the plan says; one that is
    not the new version's fault (a deadlock of others) pauses, once;
3.  gates (none yet: their place is here);
4.  the judge's verdict: harm first, then what the current step waits for;
5.  time.

Guards (2, and harm in 4) look at every tick of every phase in which a new version is under
trial: in pauses, and after 100 % until the stage is done. `continue` holds, and so does `no_data`
until it has lasted for as long as the plan allows.

A rollout waits for one command at a time. That keeps the order of effects plain (replicas before
weight, table before drain, drain before stop), and it makes a crash simple: there is at most one
command that may or may not have been carried out, and carrying it out again is harmless.

A pause sends out nothing new and lets timers stand still. Operator pauses, runtime errors and
facts end with `resume`; a step that waits for a person, an unsure judge and a harm that the plan
wants a person to weigh end with `promote`: somebody has to say yes. A pause for want of data ends
by itself when tasks close again.

A command that fails is tried again, a few times on the way forward and more often on the way back,
where giving up would leave tasks on the canary. Then, or at once when trying again cannot help, a
rollout that goes forward pauses (or rolls back, when it cannot help), and one that rolls back has
failed and says what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rolewise.coordinator.plan.plan import Release
from rolewise.coordinator.rollout import acknowledgements, requests, succession, ticks, verbs
from rolewise.coordinator.rollout.events import Events
from rolewise.coordinator.rollout.requests import Request, Verb
from rolewise.coordinator.rollout.state import Phase, Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request was not taken. Nothing has changed.

    Attributes:
        verb: What was asked.
        phase: The phase that the rollout is in; None when there is no rollout.
        reason: Why not, in words.
        allowed: What may be asked now.
    """

    verb: str
    phase: Phase | None
    reason: str
    allowed: tuple[Verb, ...]

    @property
    def message(self) -> str:
        """The refusal in one line."""
        now = ", ".join(self.allowed) or "nothing"
        return f"cannot {self.verb.replace('_', ' ')}: {self.reason}; allowed now: {now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One cell of the table.

    Attributes:
        effect: The events that follow.
        says: The effect in a few words, for the reference page.
        to: Phases that it may lead to, apart from staying.
        check: Returns a reason against it in this state, or an empty text.
    """

    effect: Callable[[Rollout, Any], Events]
    says: str
    to: tuple[Phase, ...] = ()
    check: Callable[[Rollout, Any], str] | None = None

    def objection(self, state: Rollout, request: Request) -> str:
        """Return what this state has against the request; empty when nothing."""
        return "" if self.check is None else self.check(state, request)


def decide(state: Rollout, request: Request) -> Events | Refusal:
    """Return the events that a request causes now, or why it is refused."""
    rule = TABLE.get((phase_of(state), type(request)))
    objection = _phase_objection(state) if rule is None else rule.objection(state, request)
    if rule is None or objection:
        return Refusal(
            verb=requests.verb_of(request) or type(request).__name__.lower(),
            phase=phase_of(state),
            reason=objection,
            allowed=allowed_verbs(state),
        )
    return rule.effect(state, request)


def phase_of(state: Rollout) -> Phase | None:
    """Return the phase as the table knows it: None before the start."""
    return state.phase if state.sequence else None


def allowed_verbs(state: Rollout) -> tuple[Verb, ...]:
    """Return what a person may press now, in the order of `Verb`."""
    if state.unread:
        return ()
    if state.started_at is None:
        return (Verb.START,)
    at = state.started_at
    asked: dict[Verb, Request] = {
        Verb.PAUSE: requests.Pause(at=at, by=""),
        Verb.RESUME: requests.Resume(at=at, by=""),
        Verb.PROMOTE: requests.Promote(at=at, by=""),
        Verb.PROMOTE_FULL: requests.Promote(at=at, by="", full=True),
        Verb.ABORT: requests.Abort(at=at, by="", reason=""),
        Verb.RETRY: requests.Retry(at=at, by=""),
        Verb.UNDO: requests.Undo(at=at, by=""),
    }
    return tuple(verb for verb, request in asked.items() if _is_allowed(state, request))


def undo_target(state: Rollout) -> Release | Refusal:
    """Return the release that undoing this rollout leads back to, for a plan of its own."""
    at = state.started_at
    if at is None:
        return Refusal(
            verb=Verb.UNDO, phase=None, reason="there is no rollout", allowed=allowed_verbs(state)
        )
    answer = decide(state, requests.Undo(at=at, by=""))
    return answer if isinstance(answer, Refusal) else state.plan.from_release


def _is_allowed(state: Rollout, request: Request) -> bool:
    rule = TABLE.get((phase_of(state), type(request)))
    return rule is not None and not rule.objection(state, request)


def _phase_objection(state: Rollout) -> str:
    match phase_of(state):
        case None:
            return "there is no rollout yet"
        case Phase.PENDING:
            return "the rollout has not begun to move"
        case Phase.PROGRESSING:
            return "the rollout is progressing"
        case Phase.PAUSED:
            return f"the rollout is paused ({state.reason})"
        case Phase.ROLLING_BACK:
            return f"the rollout is rolling back ({state.reason})"
        case Phase.COMPLETED:
            return "the rollout is completed"
        case Phase.ROLLED_BACK:
            return f"the rollout is rolled back ({state.reason})"
        case Phase.FAILED:
            return "the rollback has failed and must be finished first"


def _ignore(_state: Rollout, _request: Request) -> Events:
    return ()


_ON = Phase.PROGRESSING
_PAUSED = Phase.PAUSED
_BACK = Phase.ROLLING_BACK
_UNDONE = Phase.ROLLED_BACK

_UNDO = Rule(
    effect=verbs.undo, says="a new rollout leads back to the release before", check=verbs.check_undo
)
_LATE = Rule(effect=_ignore, says="changes nothing any more")
_TAKEN_OVER = Rule(effect=succession.take_over, says="is noted, once for each lease")

TABLE: Final[dict[tuple[Phase | None, type[Request]], Rule]] = {
    (None, requests.Start): Rule(
        effect=verbs.start,
        says="the plan is frozen, the rollout exists",
        to=(Phase.PENDING,),
        check=verbs.check_start,
    ),
    (Phase.PENDING, requests.Pause): Rule(effect=verbs.pause, says="does not begin", to=(_PAUSED,)),
    (Phase.PENDING, requests.Abort): Rule(
        effect=verbs.abort,
        says="ends at once, no stage has begun; or as soon as the leftovers of another are gone",
        to=(_UNDONE, _BACK),
    ),
    (Phase.PENDING, requests.Tick): Rule(
        effect=ticks.tick_pending, says="the first stage starts", to=(_ON,)
    ),
    (Phase.PENDING, requests.Acknowledge): _LATE,
    (Phase.PENDING, requests.TakeOver): Rule(
        effect=_ignore, says="is nobody's succession: nothing has been done yet"
    ),
    (_ON, requests.Pause): Rule(effect=verbs.pause, says="stays as it is", to=(_PAUSED,)),
    (_ON, requests.Promote): Rule(
        effect=verbs.promote,
        says="ends the wait; with full, skips the steps that remain",
        to=(_PAUSED,),
        check=verbs.check_promote,
    ),
    (_ON, requests.Abort): Rule(effect=verbs.abort, says="rolls back", to=(_BACK,)),
    (_ON, requests.Tick): Rule(
        effect=ticks.tick_progressing,
        says="hard facts and harm roll back; the verdict or the time may end a wait",
        to=(_PAUSED, _BACK),
    ),
    (_ON, requests.Acknowledge): Rule(
        effect=acknowledgements.acknowledge,
        says="goes on; a command that cannot be done pauses or rolls back",
        to=(_PAUSED, _BACK, Phase.COMPLETED),
    ),
    (_ON, requests.TakeOver): _TAKEN_OVER,
    (_PAUSED, requests.TakeOver): _TAKEN_OVER,
    (_BACK, requests.TakeOver): _TAKEN_OVER,
    (_PAUSED, requests.Resume): Rule(
        effect=verbs.resume,
        says="goes on, after an operator's pause or a runtime error",
        to=(_ON, Phase.COMPLETED),
        check=verbs.check_resume,
    ),
    (_PAUSED, requests.Promote): Rule(
        effect=verbs.promote,
        says="goes on, the wait is over; with full, skips the steps that remain",
        to=(_ON, Phase.COMPLETED),
        check=verbs.check_promote,
    ),
    (_PAUSED, requests.Abort): Rule(
        effect=verbs.abort,
        says="rolls back; ends at once if no stage has begun",
        to=(_BACK, _UNDONE),
    ),
    (_PAUSED, requests.Tick): Rule(
        effect=ticks.tick_paused,
        says="hard facts and harm roll back; time stands still",
        to=(_BACK,),
    ),
    (_PAUSED, requests.Acknowledge): Rule(
        effect=acknowledgements.acknowledge, says="is noted; nothing new is sent out"
    ),
    (_BACK, requests.Abort): Rule(effect=verbs.abort_again, says="is noted; it rolls back already"),
    (_BACK, requests.Tick): Rule(effect=ticks.tick_rolling_back, says="goes on rolling back"),
    (_BACK, requests.Acknowledge): Rule(
        effect=acknowledgements.acknowledge,
        says="goes on rolling back; a command that cannot be done fails the rollback",
        to=(_UNDONE, Phase.FAILED),
    ),
    (Phase.COMPLETED, requests.Undo): _UNDO,
    (Phase.COMPLETED, requests.Tick): _LATE,
    (Phase.COMPLETED, requests.Acknowledge): _LATE,
    (Phase.COMPLETED, requests.TakeOver): _LATE,
    (_UNDONE, requests.Retry): Rule(
        effect=verbs.retry,
        says="tries the first stage that is not done again, with a new cohort",
        to=(Phase.PENDING,),
        check=verbs.check_retry,
    ),
    (_UNDONE, requests.Undo): _UNDO,
    (_UNDONE, requests.Tick): _LATE,
    (_UNDONE, requests.Acknowledge): _LATE,
    (_UNDONE, requests.TakeOver): _LATE,
    (Phase.FAILED, requests.Retry): Rule(
        effect=verbs.finish_rollback, says="goes on with the rollback", to=(_BACK,)
    ),
    (Phase.FAILED, requests.Tick): _LATE,
    (Phase.FAILED, requests.Acknowledge): _LATE,
    (Phase.FAILED, requests.TakeOver): _LATE,
}
