"""How `rolewise` ends: the exit codes that scripts rely on, and what it waits for."""

from __future__ import annotations

from enum import StrEnum

DONE = 0
FAILED = 1
BAD_INPUT = 2
WAITING = 3
"""Paused for a person, or the time that was given is over."""
UNREACHABLE = 4
INTERRUPTED = 130
"""Ctrl-C, as shells have it."""

FINAL_PHASES = frozenset({"completed", "rolled_back", "failed"})


class Until(StrEnum):
    """What ends the waiting for a rollout, besides its end."""

    COMPLETED = "completed"
    PAUSED = "paused"


def exit_code_of(phase: str) -> int:
    """Return the exit code for the phase that a rollout is in."""
    if phase in {"rolled_back", "failed"}:
        return FAILED
    return WAITING if phase == "paused" else DONE
