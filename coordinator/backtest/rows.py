"""One recorded task, from whatever kind of file it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from rolewise.fleet.task import Outcome


@dataclass(slots=True, kw_only=True)
class Row:
    """One attempt at a task, and after `cohort` one task. What is None was not recorded.

    Attributes:
        task: Its id; attempts of one task share it.
        weight: Percent of tasks that the canary was given at the draw.
        started_s: Seconds on the recording's own clock.
        ended_s: When its outcome was known; infinite while it never was.
        stratum: What kind of task it is; empty where not recorded.
        unit: Session or user that the arm was drawn for; empty: the task itself.
    """

    task: str
    canary: bool
    weight: float
    started_s: float
    ended_s: float = inf
    outcome: Outcome = Outcome.COMPLETED
    latency_s: float | None = None
    tool_errors: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] | None = None
    stratum: str = ""
    unit: str = ""
