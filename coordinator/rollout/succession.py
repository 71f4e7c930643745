"""What follows when another controller begins to lead: one line in the log, and nothing else.

Whatever its predecessor left unfinished stands in the log already, as the pending command.
"""

from __future__ import annotations

from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.events import Events, TakenOver
from rolewise.coordinator.rollout.state import Rollout


def take_over(state: Rollout, request: requests.TakeOver) -> Events:
    """Note who leads from here on, once for each lease."""
    if request.fencing <= state.fencing:
        return ()
    return (TakenOver(at=request.at, holder=request.holder, fencing=request.fencing),)
