"""The part of the fleet's file that says how a stage is judged: templates and their signals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from rolewise.fleet.spec.base import AgentPath, Count, Flag, Listed, Model, Name, Whole
from rolewise.fleet.spec.metrics import WRITINGS, Direction, Metric, Writing
from rolewise.fleet.spec.values import (
    DURATION_WORDS,
    MEMORY_WORDS,
    SHARE_WORDS,
    Duration,
    Share,
    Want,
)

Reaction = Literal["rollback", "pause", "hold"]
Figure = Annotated[
    str | float, Want(f"{DURATION_WORDS}, {SHARE_WORDS}, {MEMORY_WORDS}, or a number")
]
"""A value in the unit of its signal's metric; `rules` knows which."""
ScoreName = Annotated[str, StringConstraints(min_length=1), Want("the name of a score")]


class SignalSpec(Model):
    """One measured series with a direction and a limit."""

    name: Name = Field(description="As people see it; unique in its template.")
    metric: Metric | None = Field(
        default=None,
        description=(
            "What is measured. Shares of tasks: `task.completed`, `tool.error` (a tool call "
            "failed), `task.looping` (a loop flag was raised), `task.orphaned` (it waited for a "
            "reply that could no longer come), `task.late` (it sent messages long after its end; "
            "known 15 s after that). Latencies: `task.latency` (from "
            "submission to the end), `message.latency` (of each request to the role on trial). "
            "Amounts of a task: `gen_ai.tokens`, `task.cost`, `task.cpu`, `task.memory`. Else "
            "`score`, with `scorer` or `score`."
        ),
    )
    compare: Literal["baseline", "absolute"] | None = Field(
        default=None,
        description=(
            "`baseline` compares the arms, `absolute` holds the canary against `limit`. Else "
            "`absolute` with a `limit`, `baseline` without."
        ),
    )
    tolerate: Share | None = Field(
        default=None,
        description=(
            "What the canary may be worse by: points of a share or a score, for latencies and "
            "amounts a relative excess. Else shares 5%, latencies and amounts 25%, scores 0.04."
        ),
    )
    harm_margin: Share = Field(
        default=0.0,
        description="What it must be worse by, beyond doubt, to be harm; 0: any proven loss is.",
        json_schema_extra={"default": "0%"},
    )
    quantile: Share | None = Field(
        default=None,
        description=(
            "Which quantile of a latency, between 0 and 1. Else the whole distribution; with "
            "`limit` 0.95."
        ),
    )
    limit: Figure | None = Field(
        default=None,
        description=(
            "What the canary alone must keep to: the largest latency (`8s`), share of bad tasks "
            "(`2%`) or mean amount (`4000`, `0.05USD`, `2s`, `256MiB`); the smallest share of "
            "completed tasks; the worst mean score."
        ),
    )
    score: ScoreName | None = Field(
        default=None, description="Which of a task's scores. Else the signal's name."
    )
    scorer: AgentPath | None = Field(
        default=None,
        description=(
            "Import path of a function that gives the score: from a task's record, with its body "
            "and result, to a number from 0 to 1. It may be async. Else the agents note the score."
        ),
    )
    sample: Share | None = Field(
        default=None, description="Share of tasks that the scorer is asked about. Else 100%."
    )
    direction: Direction | None = Field(
        default=None,
        description="Which way is better. Only scores leave it open. Else `higher_is_better`.",
    )
    cap: Figure | None = Field(
        default=None,
        description=(
            "For amounts, in the unit of `limit`: a larger value counts as this one. Else the "
            "99th percentile of the baseline."
        ),
    )
    min_tasks: Whole = Field(
        default=0, description="Closed canary tasks before this signal may say `safe`."
    )
    required: Flag = Field(default=True, description="Promotion needs this signal to be safe.")
    dry_run: Flag = Field(default=False, description="Judged and shown, but never decides.")

    @property
    def measured(self) -> Metric:
        """What is measured."""
        return self.metric or "score"

    @property
    def compared(self) -> Literal["baseline", "absolute"]:
        """What the canary is held against."""
        return self.compare or ("baseline" if self.limit is None else "absolute")

    @property
    def tolerated(self) -> float:
        """What the canary may be worse by."""
        return self.writing.tolerate if self.tolerate is None else self.tolerate

    @property
    def limit_value(self) -> float | None:
        """The limit in the metric's unit: a share, seconds, a count, dollars, bytes."""
        return None if self.limit is None else self.writing.parse(self.limit)

    @property
    def cap_value(self) -> float | None:
        """The cap in the metric's unit."""
        return None if self.cap is None else self.writing.parse(self.cap)

    @property
    def score_name(self) -> str:
        """Which of a task's scores; empty for other metrics."""
        return (self.score or self.name) if self.measured == "score" else ""

    @property
    def writing(self) -> Writing:
        """How values of the metric are written."""
        return WRITINGS[self.measured]


class ReactionSpec(Model):
    """What follows from a verdict."""

    harm: Reaction = Field(default="rollback", description="The canary is shown to be worse.")
    unsure: Reaction = Field(
        default="pause", description="The budget is spent and nothing is shown."
    )
    no_data: Reaction = Field(
        default="hold", description="One arm has had no closed task for `no_data_for`."
    )


class UnitSpec(Model):
    """What counts of one session or user, where `bucket_by` draws arms for those."""

    tasks: Count = Field(default=10, description="Its first tasks, this many at most,")
    window: Duration = Field(
        default=3600.0,
        description="and of them those that start within this time of its first.",
        json_schema_extra={"default": "1h"},
    )


class PatternsSpec(Model):
    """What follows from a difference in how tasks talk; false alarms: 1 % a stage at most."""

    harm: Reaction = Field(
        default="rollback",
        description=(
            "Messages fail or get no answer, tasks loop, or a forbidden edge is used. `hold`: "
            "nothing but an alert."
        ),
    )
    different: Reaction = Field(
        default="hold",
        description=(
            "Other counts, choices, sizes or edges, without being worse: a new version may mean it."
        ),
    )
    flood: Reaction = Field(
        default="rollback",
        description=(
            "For three seconds canary tasks send fifteen times what is usual on an edge, and "
            "baseline tasks do not. A flood (five times) that is not the canary's own beyond doubt "
            "pauses at most; `hold`: nothing but an alert."
        ),
    )
    interference: Literal["pause", "hold"] = Field(
        default="pause",
        description=(
            "Baseline tasks fare worse than tasks did before the trial, and canary tasks ask more "
            "of the roles that both arms share: a comparison misses what the new version does."
        ),
    )


class AnalysisTemplateSpec(Model):
    """How a stage is judged. Tests hold however often they are looked at."""

    alpha: Share = Field(
        default=0.01,
        description="Chance of rolling back a version that is no worse, over the whole stage.",
        json_schema_extra={"default": 0.01},
    )
    beta: Share = Field(
        default=0.05,
        description="Chance of promoting a version that is worse by what is tolerated.",
        json_schema_extra={"default": 0.05},
    )
    min_tasks: Whole = Field(
        default=50, description="Closed canary tasks before `safe` may be said."
    )
    max_tasks: Whole = Field(
        default=20_000,
        description="Closed canary tasks after which no answer is `unsure`; 0: no bound.",
    )
    max_duration: Duration = Field(
        default=7200.0,
        description="Time in one analysis step after which no answer is `unsure`.",
        json_schema_extra={"default": "2h"},
    )
    no_data_for: Duration = Field(
        default=900.0,
        description="Time without a closed task of one arm before `on.no_data` follows; 0s: never.",
        json_schema_extra={"default": "15m"},
    )
    on: ReactionSpec = Field(
        default_factory=ReactionSpec, description="What follows from each verdict."
    )
    unit: UnitSpec = Field(
        default_factory=UnitSpec,
        description="What counts of one session or user, where `bucket_by` is not `task`.",
    )
    patterns: PatternsSpec = Field(
        default_factory=PatternsSpec,
        description="What follows where canary tasks talk otherwise than baseline tasks.",
    )
    deadlock: Flag = Field(
        default=True, description="A confirmed deadlock with the canary in it is harm at once."
    )
    restarts: Whole = Field(
        default=3,
        description="Restarts of one canary replica that are a crash loop; 0 switches it off.",
    )
    signals: Listed[SignalSpec] = Field(default=(), description="What is measured and compared.")
    dry_run: Listed[Name] = Field(
        default=(), description="Names of signals that are judged and shown, but never decide."
    )
