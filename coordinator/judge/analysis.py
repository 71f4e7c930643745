"""How a stage is judged: signals, limits, error budgets. Plain data; the plan holds one a stage."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from rolewise.coordinator.judge.metrics import MEASURES, Kind, Measure, Metric

Reaction = Literal["rollback", "pause", "hold"]
Evidence = Literal["gate", "full"]
EdgeName = tuple[str, str, str]
Direction = Literal["higher_is_better", "lower_is_better"]

USUAL_QUANTILE = 0.95
GATE_EVIDENCE = 2.0  # leaving an early step is wrong for a harmful canary half the time at most
RATE_EDGE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One measured series with a direction and a limit.

    Attributes:
        name: As people see it; unique in its analysis.
        metric: What is measured; see `metrics`.
        compare: `baseline` compares the arms; `absolute` holds the canary alone against `limit`.
        tolerate: What the canary may be worse by and still be safe: for shares and scores in their
            own unit (0.02 is two points of completion), for latencies and amounts relative (0.25
            is a quarter more).
        harm_margin: What it must be worse by, beyond doubt, to be harm, in the same unit; with 0
            any proven loss is, also one that `tolerate` would allow.
        quantile: For latencies: the one that is compared. None: the whole distribution is, by the
            50th, 95th and 99th percentile and by ranks; safe needs the first two.
        limit: For `absolute`: largest latency in seconds at `quantile`, largest share of bad
            tasks, smallest share of completed tasks, largest mean amount, worst mean score.
        score: For `score`: which of a task's scores.
        direction: For `score`: which way is better.
        scorer: For `score`: import path of the function that gives it; empty where agents do.
        sample: Share of tasks that are scored.
        cap: For amounts: a larger value counts as this one. None: the 99th percentile of the
            baseline, as it was before the tasks that are compared.
        required: Promotion needs this signal to be safe.
        dry_run: Judged and shown, never decides.
        min_tasks: Closed canary tasks before this signal may say safe.

    Raises:
        ValueError: A number is out of its range, or one is missing.
    """

    name: str
    metric: Metric
    compare: Literal["baseline", "absolute"] = "baseline"
    tolerate: float = 0.02
    harm_margin: float = 0.0
    quantile: float | None = None
    limit: float | None = None
    score: str = ""
    direction: Direction = "higher_is_better"
    scorer: str = ""
    sample: float = 1.0
    cap: float | None = None
    required: bool = True
    dry_run: bool = False
    min_tasks: int = 0

    def __post_init__(self) -> None:
        for key in ("tolerate", "harm_margin"):
            value = getattr(self, key)
            if value < 0.0 or (not self.is_relative and value >= 1.0):
                raise self._refuse(key, value, "0 or more" + ("" if self.is_relative else ", < 1"))
        if self.quantile is not None and not 0.0 < self.quantile < 1.0:
            raise self._refuse("quantile", self.quantile, "between 0 and 1")
        if not 0.0 < self.sample <= 1.0:
            raise self._refuse("sample", self.sample, "above 0, at most 1")
        if self.cap is not None and self.cap <= 0.0:
            raise self._refuse("cap", self.cap, "above 0")
        if self.metric == "score" and not self.score:
            raise ValueError(f"signal {self.name}: metric score needs `score`: which one")
        if self.compare == "absolute":
            if self.limit is None:
                raise ValueError(f"signal {self.name}: compare: absolute needs a limit")
            if self.limit < 0.0 or (self.is_in_unit and self.limit > 1.0):
                raise self._refuse("limit", self.limit, "0 or more, and a share at most 1")

    @property
    def measure(self) -> Measure:
        """What is known of the metric."""
        return MEASURES[self.metric]

    @property
    def kind(self) -> Kind:
        """How it is compared."""
        return self.measure.kind

    @property
    def is_in_unit(self) -> bool:
        """Values lie between 0 and 1."""
        return self.kind in {Kind.SHARE, Kind.SCORE}

    @property
    def is_relative(self) -> bool:
        """A difference is a share of the baseline's value."""
        return not self.is_in_unit

    @property
    def is_higher_better(self) -> bool:
        """A larger value, as people read it, is a better one."""
        return self.metric == "task.completed" or (
            self.metric == "score" and self.direction == "higher_is_better"
        )

    @property
    def level(self) -> float:
        """The quantile that is looked at."""
        return USUAL_QUANTILE if self.quantile is None else self.quantile

    @property
    def bad_rate_limit(self) -> float:
        """For `absolute`: the largest share of bad tasks, kept away from 0 and 1."""
        if self.kind is Kind.LATENCY:
            rate = 1.0 - self.level
        else:
            limit = self.limit or 0.0
            rate = 1.0 - limit if self.is_higher_better else limit
        return min(1.0 - RATE_EDGE, max(RATE_EDGE, rate))

    def _refuse(self, key: str, value: float, want: str) -> ValueError:
        return ValueError(f"signal {self.name}: {key} is {value}, want {want}")


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
        no_data_for_s: Seconds without a closed task of one arm after which `on_no_data` follows;
            0: never.
        on_harm: What follows from `harm`.
        on_unsure: What follows from `unsure`.
        on_no_data: What follows from `no_data` that lasts.
        is_grouped: Arms are drawn for a session or a user, not for each task: that is the unit.
        unit_tasks: Of one session or user the first tasks count, this many at most,
        unit_window_s: and of them those that start within this many seconds of its first.
        on_pattern_harm: What follows where canary tasks talk worse: messages that fail or get no
            answer, loops, edges that are forbidden.
        on_pattern_different: What follows where they talk otherwise, without being worse.
        on_interference: What follows where they crowd what both arms share, so that baseline tasks
            fare worse as well.
        on_flood: What follows where they flood an edge; a pause at most if others do as well.
        declared_edges: (from, to, kind) that the new version is said to add.
        forbidden_edges: (from, to, kind) that no version may use.
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
    on_no_data: Reaction = "hold"
    no_data_for_s: float = 900.0
    is_grouped: bool = False
    unit_tasks: int = 10
    unit_window_s: float = 3600.0
    on_pattern_harm: Reaction = "rollback"
    on_pattern_different: Reaction = "hold"
    on_flood: Reaction = "rollback"
    on_interference: Literal["pause", "hold"] = "pause"
    declared_edges: tuple[EdgeName, ...] = ()
    forbidden_edges: tuple[EdgeName, ...] = ()
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
    total = sum(one.measure.share for one in analysis.deciding if one is not signal)
    part = signal.measure.share
    return (total + part) / (part * analysis.alpha)


def safe_threshold(analysis: Analysis, evidence: Evidence) -> float:
    """Return the evidence of non-inferiority that every required signal needs.

    No correction for their number: a harmful canary is beyond the limit of at least one.
    """
    return min(GATE_EVIDENCE, 1.0 / analysis.beta) if evidence == "gate" else 1.0 / analysis.beta
