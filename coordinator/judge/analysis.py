"""How a stage is judged: signals, limits, error budgets. Plain data; the plan holds one a stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Metric = Literal["task.completed", "tool.error", "task.latency"]
Reaction = Literal["rollback", "pause", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One measured series with a direction and a limit.

    Attributes:
        name: As people see it; unique in its analysis.
        metric: What is measured: the share of completed tasks, the share of tasks with a failed
            tool call, the seconds from submission to the end of a task.
        compare: `baseline` compares the arms; `absolute` holds the canary alone against `limit`.
        tolerate: What the canary may be worse by: a share (0.02 is two points of completion) or,
            for latency, a relative excess (0.25 is a quarter more).
        quantile: For latency.
        limit: For `absolute`: largest latency in seconds at `quantile`, or largest rate.
        required: Promotion needs this signal to be safe.
        dry_run: Judged and shown, never decides.
    """

    name: str
    metric: Metric
    compare: Literal["baseline", "absolute"] = "baseline"
    tolerate: float = 0.02
    quantile: float | None = None
    limit: float | None = None
    required: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All signals of a stage and the chances of error that they share.

    Attributes:
        alpha: Chance of a false rollback in the whole stage, however often it is looked at.
        beta: Chance of a false promotion at the tolerated limit.
        max_tasks: Closed canary tasks after which no answer is `unsure`; 0 for no bound.
        max_duration_s: Seconds in one analysis step after which no answer is `unsure`.
        min_tasks: Closed canary tasks before `safe` may be said.
        on_harm: What follows from `harm`.
        on_unsure: What follows from `unsure`.
        deadlock: A confirmed deadlock with the canary in it is harm at once.
        restart_limit: Restarts of one canary replica that are a crash loop; 0 switches it off.
    """

    alpha: float = 0.01
    beta: float = 0.05
    signals: tuple[Signal, ...] = ()
    min_tasks: int = 0
    max_tasks: int = 0
    max_duration_s: float = 7200.0
    on_harm: Reaction = "rollback"
    on_unsure: Reaction = "pause"
    deadlock: bool = True
    restart_limit: int = 3
