"""At which figures one task is ended, whatever its arm. See `rolewise.graphs.loops`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """At which figures one task is ended; 0 switches a limit off.

    Attributes:
        hops: Longest chain of parents that is allowed.
        messages: Most messages of a task.
        stalled: Most messages since the last progress.
    """

    hops: int = 32
    messages: int = 1000
    stalled: int = 90
