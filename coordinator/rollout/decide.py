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
2.  a hard fact (deadlock, crash loop, ceiling): rolls back, whatever the plan says;
3.  gates (none yet: their place is here);
4.  the judge's verdict: harm first, then what the current step waits for;
5.  time.

Guards (2, and harm in 4) look at every tick of every phase in which a new version is under
trial: in pauses, and after 100 % until the stage is done. `no_data` and `continue` hold.

A rollout waits for one command at a time. That keeps the order of effects plain (replicas before
weight, table before drain, drain before stop), and it makes a crash simple: there is at most one
command that may or may not have been carried out, and carrying it out again is harmless.

A pause sends out nothing new and lets timers stand still. Operator pauses and runtime errors end
with `resume`; a step that waits for a person, an unsure judge and a harm that the plan wants a
person to weigh end with `promote`: somebody has to say yes.

A command that fails is tried again, a few times on the way forward and more often on the way back,
where giving up would leave tasks on the canary. Then, or at once when trying again cannot help, a
rollout that goes forward pauses (or rolls back, when it cannot help), and one that rolls back has
failed and says what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from rolewise.coordinator.judge.verdict import HardFact, Ruling, Verdict
from rolewise.coordinator.plan.plan import Analyse, Pause, Release
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.advance import settle, start_stage
from rolewise.coordinator.rollout.commands import describe_command
from rolewise.coordinator.rollout.events import (
    JUDGE,
    MACHINE,
    AbortRequested,
    CommandAcknowledged,
    Event,
    Events,
    PauseCause,
    Paused,
    Promoted,
    Resumed,
    RetryRequested,
    RolloutFailed,
    RolloutStarted,
    VerdictGiven,
)
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.requests import Request, Verb
from rolewise.coordinator.rollout.rollback import begin_rollback, what_is_left
from rolewise.coordinator.rollout.state import Phase, Rollout, StageStatus

ATTEMPTS_MAX: Final[dict[Phase, int]] = {Phase.PROGRESSING: 3, Phase.ROLLING_BACK: 10}
"""Failed attempts at one command after which it is given up."""

DECISION_CAUSES: Final = frozenset({PauseCause.STEP, PauseCause.UNSURE, PauseCause.HARM})
"""Pauses that only a person's yes or no ends."""


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


# --- verbs ---------------------------------------------------------------------------------------


def _check_start(_state: Rollout, request: requests.Start) -> str:
    if not request.plan.stages:
        return "the plan has no stages: the fleet runs the wanted release already"
    routes = request.table.by_role
    for stage in request.plan.stages:
        route = routes.get(stage.role)
        if route is None:
            return f"the fleet has no role {stage.role}"
        if route.canary:
            return f"{stage.role} {route.canary} is on trial in another rollout"
        if route.stable != stage.from_version:
            return (
                f"the plan takes {stage.role} from {stage.from_version}, "
                f"but the fleet runs {route.stable}: make a new plan"
            )
    return ""


def _start(_state: Rollout, request: requests.Start) -> Events:
    return (
        RolloutStarted(
            at=request.at,
            by=request.by,
            reason=request.reason,
            rollout=request.rollout,
            plan=request.plan,
            table=request.table,
            salt=request.salt,
        ),
    )


def _pause(_state: Rollout, request: requests.Pause) -> Events:
    reason = request.reason or f"paused by {request.by}"
    return (Paused(at=request.at, by=request.by, reason=reason, cause=PauseCause.OPERATOR),)


def _check_resume(state: Rollout, _request: requests.Resume) -> str:
    if state.pause is not None and state.pause.cause in DECISION_CAUSES:
        return f"it waits for a decision ({state.pause.reason}): promote goes on, abort rolls back"
    return ""


def _resume(state: Rollout, request: requests.Resume) -> Events:
    resumed = Resumed(at=request.at, by=request.by, reason=request.reason)
    return settle(state, (resumed,), request.at)


def _check_promote(state: Rollout, request: requests.Promote) -> str:
    asks = state.pause is not None and state.pause.cause in DECISION_CAUSES
    waits = isinstance(state.current_step, Pause | Analyse) or state.status is StageStatus.BAKING
    if request.full or asks or waits:
        return ""
    if state.phase is Phase.PAUSED:
        return f"nothing waits for a promotion ({state.reason}): resume goes on"
    return "the current step does not wait; promote_full would skip the steps that remain"


def _promote(state: Rollout, request: requests.Promote) -> Events:
    promoted = Promoted(at=request.at, by=request.by, reason=request.reason, full=request.full)
    return settle(state, (promoted,), request.at)


def _abort(state: Rollout, request: requests.Abort) -> Events:
    asked = AbortRequested(at=request.at, by=request.by, reason=request.reason)
    begun = begin_rollback(state, at=request.at, by=request.by, reason=request.reason)
    return settle(state, (asked, *begun), request.at)


def _abort_again(state: Rollout, request: requests.Abort) -> Events:
    if state.aborted_by:
        return ()
    return (AbortRequested(at=request.at, by=request.by, reason=request.reason),)


def _check_retry(state: Rollout, request: requests.Retry) -> str:
    table = request.table or state.table
    if table.number < state.table.number:
        return f"routing table {table.number} is older than {state.table.number}, the last one"
    routes = table.by_role
    for stage, status in zip(state.plan.stages, state.statuses, strict=True):
        expected = stage.to_version if status is StageStatus.DONE else stage.from_version
        route = routes.get(stage.role)
        if route is None or route.stable != expected or route.canary:
            runs = "no such role" if route is None else route.canary or route.stable
            return (
                f"the fleet has moved on: {stage.role} should run {expected}, "
                f"but has {runs}; start a new rollout"
            )
    return ""


def _retry(state: Rollout, request: requests.Retry) -> Events:
    stage = next(i for i, s in enumerate(state.statuses) if s is not StageStatus.DONE)
    return (
        RetryRequested(
            at=request.at, by=request.by, reason=request.reason, stage=stage, table=request.table
        ),
    )


def _finish_rollback(state: Rollout, request: requests.Retry) -> Events:
    # The fleet's table is left out: the newest one that this rollout asked for may be the very
    # one that could not be installed.
    asked = RetryRequested(at=request.at, by=request.by, reason=request.reason, stage=state.stage)
    return settle(state, (asked,), request.at)


def _check_undo(state: Rollout, _request: requests.Undo) -> str:
    changed = [s for s in state.statuses if s is StageStatus.DONE]
    return "" if changed else "nothing is left of this rollout: every role runs what it ran before"


def _undo(_state: Rollout, _request: requests.Undo) -> Events:
    return ()


# --- ticks ---------------------------------------------------------------------------------------


def _tick_pending(state: Rollout, tick: requests.Tick) -> Events:
    return settle(state, start_stage(state, tick.at), tick.at)


def _tick_progressing(state: Rollout, tick: requests.Tick) -> Events:
    guarded = _guard(state, tick)
    if guarded:
        return settle(state, guarded, tick.at)
    return settle(state, _note_verdict(state, tick), tick.at)


def _tick_paused(state: Rollout, tick: requests.Tick) -> Events:
    guarded = _guard(state, tick)
    if guarded:
        return settle(state, guarded, tick.at)
    return _note_verdict(state, tick)


def _tick_rolling_back(state: Rollout, tick: requests.Tick) -> Events:
    return settle(state, (), tick.at)


def _guard(state: Rollout, tick: requests.Tick) -> Events:
    """Return what hard facts and harm lead to, or nothing. See the order at the top."""
    if state.trial is None or state.current_stage is None:
        return ()
    verdict = tick.verdict
    told = tick.facts if verdict is None else tick.facts + verdict.facts
    facts = tuple(dict.fromkeys(told))
    if facts:
        return _roll_back_on(state, tick, facts[0].sentence, facts)
    if verdict is None or verdict.ruling is not Ruling.HARM or state.is_harm_accepted:
        return ()
    match state.current_stage.analysis.on_harm:
        case "rollback":
            return _roll_back_on(state, tick, verdict.reason, ())
        case "pause" if state.pause is None or state.pause.cause is not PauseCause.HARM:
            cause = PauseCause.HARM
            paused = Paused(at=tick.at, by=JUDGE, reason=verdict.reason, cause=cause)
            return (_given(tick, verdict), paused)
        case _:
            return ()


def _roll_back_on(
    state: Rollout, tick: requests.Tick, reason: str, facts: tuple[HardFact, ...]
) -> Events:
    given: Events = () if tick.verdict is None else (_given(tick, tick.verdict),)
    return given + begin_rollback(state, at=tick.at, by=JUDGE, reason=reason, facts=facts)


def _note_verdict(state: Rollout, tick: requests.Tick) -> Events:
    """Record a verdict that is news, or that the current step has been waiting for."""
    verdict = tick.verdict
    if verdict is None or state.trial is None:
        return ()
    is_news = state.verdict is None or state.verdict.ruling is not verdict.ruling
    decides = (
        state.phase is Phase.PROGRESSING
        and state.wanted_evidence is not None
        and verdict.ruling in {Ruling.SAFE, Ruling.UNSURE}
        and verdict.ruling is not state.step_ruling
    )
    return (_given(tick, verdict),) if is_news or decides else ()


def _given(tick: requests.Tick, verdict: Verdict) -> Event:
    return VerdictGiven(at=tick.at, by=JUDGE, reason=verdict.reason, verdict=verdict)


# --- acknowledgements ----------------------------------------------------------------------------


def _acknowledge(state: Rollout, request: requests.Acknowledge) -> Events:
    if state.pending is None or request.command != state.pending.id:
        return ()  # Late, doubled, or of a command that was dropped: known already, or not wanted.
    noted = CommandAcknowledged(
        at=request.at,
        command=request.command,
        ok=request.ok,
        detail=request.detail,
        reason=describe_command(state.pending),
    )
    if request.ok:
        return settle(state, (noted,), request.at)
    return (noted, *_give_up(replay((noted,), state), request))


def _give_up(state: Rollout, request: requests.Acknowledge) -> Events:
    """Return what follows from the last failed attempt at a command, or nothing."""
    attempts_max = ATTEMPTS_MAX.get(state.phase)
    if state.pending is None or attempts_max is None:
        return ()  # Paused: it is tried again after the pause, and given up then.
    if not request.permanent and state.failures < attempts_max:
        return ()
    reason = f"could not {describe_command(state.pending)}: {request.detail}"
    if state.phase is Phase.ROLLING_BACK:
        return (RolloutFailed(at=request.at, reason=reason, left=what_is_left(state)),)
    if request.permanent:
        begun = begin_rollback(state, at=request.at, by=MACHINE, reason=reason)
        return settle(state, begun, request.at)
    return (Paused(at=request.at, reason=reason, cause=PauseCause.RUNTIME_ERROR),)


def _ignore(_state: Rollout, _request: Request) -> Events:
    return ()


# --- the table -----------------------------------------------------------------------------------

_ON = Phase.PROGRESSING
_PAUSED = Phase.PAUSED
_BACK = Phase.ROLLING_BACK
_UNDONE = Phase.ROLLED_BACK

_UNDO = Rule(effect=_undo, says="a new rollout leads back to the release before", check=_check_undo)
_LATE = Rule(effect=_ignore, says="changes nothing any more")

TABLE: Final[dict[tuple[Phase | None, type[Request]], Rule]] = {
    (None, requests.Start): Rule(
        effect=_start,
        says="the plan is frozen, the rollout exists",
        to=(Phase.PENDING,),
        check=_check_start,
    ),
    (Phase.PENDING, requests.Pause): Rule(effect=_pause, says="does not begin", to=(_PAUSED,)),
    (Phase.PENDING, requests.Abort): Rule(
        effect=_abort, says="ends at once: no stage has begun", to=(_UNDONE,)
    ),
    (Phase.PENDING, requests.Tick): Rule(
        effect=_tick_pending, says="the first stage starts", to=(_ON,)
    ),
    (Phase.PENDING, requests.Acknowledge): _LATE,
    (_ON, requests.Pause): Rule(effect=_pause, says="stays as it is", to=(_PAUSED,)),
    (_ON, requests.Promote): Rule(
        effect=_promote,
        says="ends the wait; with full, skips the steps that remain",
        to=(_PAUSED,),
        check=_check_promote,
    ),
    (_ON, requests.Abort): Rule(effect=_abort, says="rolls back", to=(_BACK,)),
    (_ON, requests.Tick): Rule(
        effect=_tick_progressing,
        says="hard facts and harm roll back; the verdict or the time may end a wait",
        to=(_PAUSED, _BACK),
    ),
    (_ON, requests.Acknowledge): Rule(
        effect=_acknowledge,
        says="goes on; a command that cannot be done pauses or rolls back",
        to=(_PAUSED, _BACK, Phase.COMPLETED),
    ),
    (_PAUSED, requests.Resume): Rule(
        effect=_resume,
        says="goes on, after an operator's pause or a runtime error",
        to=(_ON, Phase.COMPLETED),
        check=_check_resume,
    ),
    (_PAUSED, requests.Promote): Rule(
        effect=_promote,
        says="goes on, the wait is over; with full, skips the steps that remain",
        to=(_ON, Phase.COMPLETED),
        check=_check_promote,
    ),
    (_PAUSED, requests.Abort): Rule(
        effect=_abort, says="rolls back; ends at once if no stage has begun", to=(_BACK, _UNDONE)
    ),
    (_PAUSED, requests.Tick): Rule(
        effect=_tick_paused, says="hard facts and harm roll back; time stands still", to=(_BACK,)
    ),
    (_PAUSED, requests.Acknowledge): Rule(
        effect=_acknowledge, says="is noted; nothing new is sent out"
    ),
    (_BACK, requests.Abort): Rule(effect=_abort_again, says="is noted; it rolls back already"),
    (_BACK, requests.Tick): Rule(effect=_tick_rolling_back, says="goes on rolling back"),
    (_BACK, requests.Acknowledge): Rule(
        effect=_acknowledge,
        says="goes on rolling back; a command that cannot be done fails the rollback",
        to=(_UNDONE, Phase.FAILED),
    ),
    (Phase.COMPLETED, requests.Undo): _UNDO,
    (Phase.COMPLETED, requests.Tick): _LATE,
    (Phase.COMPLETED, requests.Acknowledge): _LATE,
    (_UNDONE, requests.Retry): Rule(
        effect=_retry,
        says="tries the first stage that is not done again, with a new cohort",
        to=(Phase.PENDING,),
        check=_check_retry,
    ),
    (_UNDONE, requests.Undo): _UNDO,
    (_UNDONE, requests.Tick): _LATE,
    (_UNDONE, requests.Acknowledge): _LATE,
    (Phase.FAILED, requests.Retry): Rule(
        effect=_finish_rollback, says="goes on with the rollback", to=(_BACK,)
    ),
    (Phase.FAILED, requests.Tick): _LATE,
    (Phase.FAILED, requests.Acknowledge): _LATE,
}
