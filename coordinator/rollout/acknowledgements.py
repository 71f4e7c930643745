"""What an acknowledgement does: go on, try again, or give up."""

from __future__ import annotations

from typing import Final

from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.advance import settle
from rolewise.coordinator.rollout.commands import describe_command
from rolewise.coordinator.rollout.events import (
    MACHINE,
    CommandAcknowledged,
    Events,
    PauseCause,
    Paused,
    RolloutFailed,
)
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.rollback import begin_rollback, what_is_left
from rolewise.coordinator.rollout.state import Phase, Rollout

ATTEMPTS_MAX: Final[dict[Phase, int]] = {Phase.PROGRESSING: 3, Phase.ROLLING_BACK: 10}
"""Failed attempts at one command after which it is given up."""


def acknowledge(state: Rollout, request: requests.Acknowledge) -> Events:
    """Note how the pending command ended, and what follows from it."""
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
        return (
            RolloutFailed(at=request.at, reason=reason, left=what_is_left(state, request.detail)),
        )
    if request.permanent:
        begun = begin_rollback(state, at=request.at, by=MACHINE, reason=reason)
        return settle(state, begun, request.at)
    return (Paused(at=request.at, reason=reason, cause=PauseCause.RUNTIME_ERROR),)
