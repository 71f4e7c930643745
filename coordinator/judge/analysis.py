"""How a stage is judged: signals, limits, error budgets. Plain data; the plan holds one a stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Metric = Literal["task.completed", "tool.error", "task.latency"]
Reaction = Literal["rollback", "pause", "hold"]
Evidence = Literal["gate", "full"]

USUAL_QUANTILE = 0.95
GATE_EVIDENCE = 2.0  # leaving an early step is wrong for a harmful canary half the time at most
RATE_EDGE = 1e-4
METRIC_SHARES: Mapping[Metric, float] = {
    "task.completed": 0.40,
    "tool.error": 0.15,
    "task.latency": 0.15,
}
"""How signals share the chance of a false rollback, before they are scaled to sum to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One measured series with a direction and a limit.

    Attributes:
        name: As people see it; unique in its analysis.
        metric: What is measured: the share of completed tasks, the share of tasks with a failed
            tool call, the seconds from submission to the end of a task.
        compare: `baseline` compares the arms; `absolute` holds the canary alone against `limit`.
        tolerate: What the canary may be worse by and still be safe: a share (0.02 is two points
            of completion) or, for latency, a relative excess (0.25 is a quarter more).
        harm_margin: What it must be worse by, beyond doubt, to be harm, in the same unit; with 0
            any proven loss is, also one that `tolerate` would allow.
        quantile: For latency; 0.95 when None.
        limit: For `absolute`: largest latency in seconds at `quantile`, largest share of tasks
            with a failed tool call, smallest share of completed tasks.
        required: Promotion needs this signal to be safe.
        dry_run: Judged and shown, never decides.

    Raises:
        ValueError: A number is out of its range, or an absolute signal has no limit.
    """

    name: str
    metric: Metric
    compare: Literal["baseline", "absolute"] = "baseline"
    tolerate: float = 0.02
    harm_margin: float = 0.0
    quantile: float | None = None
    limit: float | None = None
    required: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        for key in ("tolerate", "harm_margin"):
            value = getattr(self, key)
            if value < 0.0 or (self.metric != "task.latency" and value >= 1.0):
                raise ValueError(f"signal {self.name}: {key} is {value}, want 0 or more, below 1")
        if self.quantile is not None and not 0.0 < self.quantile < 1.0:
            raise ValueError(
                f"signal {self.name}: quantile is {self.quantile}, want between 0 and 1"
            )
        if self.compare == "absolute":
            if self.limit is None:
                raise ValueError(f"signal {self.name}: compare: absolute needs a limit")
            if self.limit < 0.0 or (self.metric != "task.latency" and self.limit > 1.0):
                raise ValueError(
                    f"signal {self.name}: limit is {self.limit}, want a share or seconds"
                )

    @property
    def level(self) -> float:
        """The quantile that is looked at."""
        return USUAL_QUANTILE if self.quantile is None else self.quantile

    @property
    def bad_rate_limit(self) -> float:
        """For `absolute`: the largest share of bad tasks, kept away from 0 and 1."""
        if self.metric == "task.latency":
            rate = 1.0 - self.level
        else:
            limit = self.limit or 0.0
            rate = 1.0 - limit if self.metric == "task.completed" else limit
        return min(1.0 - RATE_EDGE, max(RATE_EDGE, rate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """All signals of a stage and the chances of error that they share.

    Attributes:
        alpha: Chance of a false rollback in the whole stage, however often it is looked at.
        beta: Chance of a false promotion at the tolerated limit.
        max_tasks: Closed canary tasks after which no answer is `unsure`; 0 for no bound.
        max_duration_s: Seconds in one analysis step after which no answer is `unsure`; 0 for no
            bound.
        min_tasks: Closed canary tasks before `safe` may be said.
        on_harm: What follows from `harm`.
        on_unsure: What follows from `unsure`.
        deadlock: A confirmed deadlock with the canary in it is harm at once.
        restart_limit: Restarts of one canary replica that are a crash loop; 0 switches it off.

    Raises:
        ValueError: A chance is not between 0 and 1, or two signals have one name.
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

    def __post_init__(self) -> None:
        for key in ("alpha", "beta"):
            value = getattr(self, key)
            if not 0.0 < value < 1.0:
                raise ValueError(f"analysis: {key} is {value}, want between 0 and 1")
        for name, count in Counter(signal.name for signal in self.signals).items():
            if count > 1:
                raise ValueError(f"analysis: {count} signals are called {name}")

    @property
    def deciding(self) -> tuple[Signal, ...]:
        """The signals that can decide: all but the dry runs."""
        return tuple(signal for signal in self.signals if not signal.dry_run)


def harm_threshold(analysis: Analysis, signal: Signal) -> float:
    """Return the evidence at which this signal alone is harm.

    Each deciding signal gets its part of `alpha` and the parts sum to it, so that the chance of a
    false rollback by any of them is at most `alpha`, whatever they have to do with each other. A
    dry run is measured by what it would get in their place.
    """
    total = sum(METRIC_SHARES[one.metric] for one in analysis.deciding if one is not signal)
    part = METRIC_SHARES[signal.metric]
    return (total + part) / (part * analysis.alpha)


def safe_threshold(analysis: Analysis, evidence: Evidence) -> float:
    """Return the evidence of non-inferiority that every required signal needs.

    No correction for their number: a harmful canary is beyond the limit of at least one.
    """
    return min(GATE_EVIDENCE, 1.0 / analysis.beta) if evidence == "gate" else 1.0 / analysis.beta
