"""The part of the fleet's file that says how a stage moves; `analysis` says how it is judged."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from rolewise.fleet.spec.base import Count, Listed, Model, Name, Percent
from rolewise.fleet.spec.values import Duration


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

    bucket_by: Name | None = Field(
        default=None,
        description=(
            "What an arm is drawn for, so that it stays with it: each `task`, each `conversation`, "
            "or each value of the task's attribute of this name (such as `user`). A task without "
            "the attribute is drawn by its own id. Else `task`."
        ),
    )
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
