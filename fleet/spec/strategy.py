"""The part of the fleet's file that says how a stage moves and how it is judged."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rolewise.fleet.spec.base import Count, Flag, Listed, Model, Name, Percent, Whole
from rolewise.fleet.spec.values import (
    DURATION_WORDS,
    SHARE_WORDS,
    Duration,
    Share,
    Want,
    parse_duration,
    parse_share,
)

Metric = Literal["task.completed", "tool.error", "task.latency"]
Reaction = Literal["rollback", "pause", "hold"]
LimitText = Annotated[str | float, Want(f"{DURATION_WORDS} for task.latency, else {SHARE_WORDS}")]


class PauseSpec(Model):
    """A wait at the weight that is set, with the guards on."""

    duration: Duration | None = Field(
        default=None, description="How long; without it, until promoted."
    )


class StepSpec(Model):
    """One step of a stage: exactly one of its keys."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    set_weight: Percent | None = Field(
        default=None,
        description="Percent of new tasks given to the canary. Weights rise and end at 100.",
    )
    analysis: Literal["gate", "full"] | None = Field(
        default=None,
        description=(
            "Stay at this weight until the judge has said safe or harm: `gate` asks for part of "
            "the evidence, `full` for all of it."
        ),
    )
    pause: PauseSpec | None = Field(
        default=None, description="`{duration: 10m}` waits that long; `{}` waits for a person."
    )


class CanarySpec(Model):
    """A stage that gives a growing share of new tasks to the new version."""

    canary_replicas: Count | None = Field(
        default=None, description="Replicas of the new version while it is on trial. Else 1."
    )
    steps: Listed[StepSpec] | None = Field(
        default=None,
        description="What a stage does, in order. Else 1, 5, 25, 50, 100 with analyses between.",
    )
    analysis: Name | None = Field(
        default=None,
        description="Name of the analysis template that judges the stage. Else task-health.",
    )
    keep_stable_for: Duration | None = Field(
        default=None,
        description="How long the old version stays warm after 100, guards on. Else 10s.",
    )
    drain: Duration | None = Field(
        default=None,
        description="What running work of a leaving version gets. Else the role's `drain`.",
    )


class StrategySpec(Model):
    """How a stage moves from the old version to the new one."""

    canary: CanarySpec = Field(
        default_factory=CanarySpec, description="A growing share of new tasks, judged on the way."
    )


class SignalSpec(Model):
    """One measured series with a direction and a limit."""

    name: Name = Field(description="As people see it; unique in its template.")
    metric: Metric = Field(
        description=(
            "`task.completed`: share of completed tasks. `tool.error`: share of tasks with a "
            "failed tool call. `task.latency`: seconds from submission to the end of a task."
        )
    )
    compare: Literal["baseline", "absolute"] = Field(
        default="baseline",
        description="`baseline` compares the arms, `absolute` holds the canary against `limit`.",
    )
    tolerate: Share = Field(
        default=0.05,
        description=(
            "What the canary may be worse by: points of a share, or for latency a relative excess."
        ),
        json_schema_extra={"default": "5%"},
    )
    harm_margin: Share = Field(
        default=0.0,
        description="What it must be worse by, beyond doubt, to be harm; 0: any proven loss is.",
        json_schema_extra={"default": "0%"},
    )
    quantile: Share | None = Field(
        default=None,
        description="Which quantile of latency, between 0 and 1. Needed for task.latency.",
    )
    limit: LimitText | None = Field(
        default=None,
        description=(
            "What `absolute` allows: the largest latency or share of tasks with tool errors, the "
            "smallest share of completed tasks."
        ),
    )
    required: Flag = Field(default=True, description="Promotion needs this signal to be safe.")
    dry_run: Flag = Field(default=False, description="Judged and shown, but never decides.")

    @property
    def limit_value(self) -> float | None:
        """The limit in seconds or as a share; None without one."""
        if self.limit is None:
            return None
        parse = parse_duration if self.metric == "task.latency" else parse_share
        return parse(self.limit)


class ReactionSpec(Model):
    """What follows from a verdict."""

    harm: Reaction = Field(default="rollback", description="The canary is shown to be worse.")
    unsure: Reaction = Field(
        default="pause", description="The budget is spent and nothing is shown."
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
    on: ReactionSpec = Field(
        default_factory=ReactionSpec, description="What follows from each verdict."
    )
    deadlock: Flag = Field(
        default=True, description="A confirmed deadlock with the canary in it is harm at once."
    )
    restarts: Whole = Field(
        default=3,
        description="Restarts of one canary replica that are a crash loop; 0 switches it off.",
    )
    signals: Listed[SignalSpec] = Field(default=(), description="What is measured and compared.")
