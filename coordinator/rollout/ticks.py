"""What a tick does: hard facts first, then the verdict, then the time. See `decide.py`."""

from __future__ import annotations

from rolewise.coordinator.judge.verdict import HardFact, Ruling, Verdict
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.advance import settle, start_stage
from rolewise.coordinator.rollout.events import (
    JUDGE,
    Event,
    Events,
    PauseCause,
    Paused,
    Resumed,
    VerdictGiven,
)
from rolewise.coordinator.rollout.rollback import begin_rollback
from rolewise.coordinator.rollout.state import Phase, Rollout


def tick_pending(state: Rollout, tick: requests.Tick) -> Events:
    """Start the first stage."""
    return settle(state, start_stage(state, tick.at), tick.at)


def tick_progressing(state: Rollout, tick: requests.Tick) -> Events:
    """Look at guards, then at the verdict, then at the time."""
    guarded = _guard(state, tick)
    if guarded:
        return settle(state, guarded, tick.at)
    return settle(state, _note_verdict(state, tick), tick.at)


def tick_paused(state: Rollout, tick: requests.Tick) -> Events:
    """Look at guards, and note the verdict; time stands still. Data that come back go on."""
    guarded = _guard(state, tick)
    if guarded:
        return settle(state, guarded, tick.at)
    noted, verdict = _note_verdict(state, tick), tick.verdict
    waits_for_data = state.pause is not None and state.pause.cause is PauseCause.NO_DATA
    if waits_for_data and verdict is not None and verdict.ruling is not Ruling.NO_DATA:
        back = Resumed(at=tick.at, by=JUDGE, reason="tasks of both arms close again")
        return settle(state, (*noted, back), tick.at)
    return noted


def tick_rolling_back(state: Rollout, tick: requests.Tick) -> Events:
    """Go on rolling back."""
    return settle(state, (), tick.at)


def _guard(state: Rollout, tick: requests.Tick) -> Events:
    """Return what hard facts and harm lead to, or nothing. See the order in `decide.py`."""
    if state.trial is None or state.current_stage is None:
        return ()
    verdict = tick.verdict
    told = tick.facts if verdict is None else tick.facts + verdict.facts
    facts = tuple(dict.fromkeys(told))
    grave = tuple(fact for fact in facts if fact.reaction == "rollback")
    if grave:
        return _roll_back_on(state, tick, grave[0].sentence, grave)
    news = tuple(f for f in facts if f.reaction == "pause" and f.key not in state.paused_for)
    if news and state.phase is Phase.PROGRESSING:
        reason, cause = news[0].sentence, PauseCause.FACT
        return (Paused(at=tick.at, by=JUDGE, reason=reason, cause=cause, facts=news),)
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
    is_overdue = verdict.is_overdue and not (state.verdict and state.verdict.is_overdue)
    ends_wait = verdict.ruling in {Ruling.SAFE, Ruling.UNSURE}
    decides = (
        state.phase is Phase.PROGRESSING
        and state.wanted_evidence is not None
        and (is_overdue or (ends_wait and verdict.ruling is not state.step_ruling))
    )
    return (_given(tick, verdict),) if is_news or decides else ()


def _given(tick: requests.Tick, verdict: Verdict) -> Event:
    return VerdictGiven(at=tick.at, by=JUDGE, reason=verdict.reason, verdict=verdict)
