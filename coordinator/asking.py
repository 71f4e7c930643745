"""Asks the machine, and tells people what speaks against it: refusals as errors with a code."""

from __future__ import annotations

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.rollout.decide import Refusal, decide
from rolewise.coordinator.rollout.events import Events
from rolewise.coordinator.rollout.requests import Request
from rolewise.coordinator.rollout.state import Rollout


def ask_machine(state: Rollout, request: Request, expected: int | None = None) -> Events:
    """Return what follows from a request in this state.

    Args:
        state: Where the rollout stands.
        request: What is asked.
        expected: Refuse if the log has moved on from this number of events.

    Raises:
        RolewiseError: `verb_refused`, `stale_sequence`, `log_unreadable`.
    """
    check_readable(state.unread)
    if expected is not None and state.sequence != expected:
        raise RolewiseError(
            "stale_sequence",
            f"rollout {state.id} has moved on: event {state.sequence}, not {expected}",
        )
    events = decide(state, request)
    if isinstance(events, Refusal):
        raise refused(events)
    return events


def check_readable(unread: str) -> None:
    """Let nobody write behind entries that they cannot read.

    Raises:
        RolewiseError: `log_unreadable`, if there are any.
    """
    if unread:
        raise RolewiseError(
            "log_unreadable", unread, hint="run the Rolewise that wrote it, or a newer one"
        )


def refused(refusal: Refusal) -> RolewiseError:
    """Return the error for a verb that the machine refuses."""
    return RolewiseError(
        "verb_refused", refusal.message, details=tuple(verb.value for verb in refusal.allowed)
    )
