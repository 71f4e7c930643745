"""A plan as people and programs read it."""

from __future__ import annotations

from typing import Literal

from rolewise.coordinator.fleets import Planned
from rolewise.coordinator.plan.plan import Analyse, Pause, Plan, SetWeight, Step
from rolewise.coordinator.views.base import ByName, View
from rolewise.coordinator.wording import tell_step

StepKind = Literal["set_weight", "pause", "analysis"]


class StepView(View):
    """One thing that a stage does."""

    number: int
    """Place in the stage, from 1."""
    kind: StepKind
    text: str
    """What it does, in words."""
    weight: float | None = None
    """`set_weight`: percent of new tasks for the canary."""
    duration_s: float | None = None
    """`pause`: how long; null waits for a person."""
    evidence: Literal["gate", "full"] | None = None
    """`analysis`: how strong the evidence must be."""
    expected_tasks: int | None = None
    """`analysis`: tasks that an equally good canary needs, as far as can be told."""


class PlannedStageView(View):
    """The upgrade of one role, as planned."""

    number: int
    """Place in the plan, from 1: the least critical role comes first."""
    role: str
    from_version: str
    to_version: str
    reason: str
    """Why the role stands at this place."""
    replicas: int
    canary_replicas: int
    keep_stable_s: float
    """How long the old version stays warm after 100 %."""
    steps: tuple[StepView, ...]


class PlaceView(View):
    """A role's place in the order of all roles, and why."""

    role: str
    place: int
    """From 1, the least critical."""
    criticality: float
    """0 to 1."""
    source: Literal["configured", "observed", "declared"]
    reason: str


class PlanView(View):
    """From a release to a release, stage by stage, least critical role first."""

    fleet: str
    to: str
    """Name of the wanted release in the fleet's file; empty when it was spelled out."""
    from_release: ByName
    to_release: ByName
    on_stage_failure: Literal["roll_back_stage", "roll_back_all"]
    stages: tuple[PlannedStageView, ...]
    order: tuple[PlaceView, ...]
    """All roles of the fleet, least critical first."""
    expected_tasks: int | None
    """Tasks that all analyses need together; null when one of them cannot be told."""
    warnings: tuple[str, ...]


def view_plan(planned: Planned) -> PlanView:
    """Return a plan with the order that it follows."""
    plan = planned.plan
    return PlanView(
        fleet=plan.fleet,
        to=plan.to_name,
        from_release=dict(plan.from_release),
        to_release=dict(plan.to_release),
        on_stage_failure=plan.on_stage_failure,
        stages=tuple(
            PlannedStageView(
                number=number,
                role=stage.role,
                from_version=stage.from_version,
                to_version=stage.to_version,
                reason=stage.reason,
                replicas=stage.replicas,
                canary_replicas=stage.canary_replicas,
                keep_stable_s=stage.keep_stable_s,
                steps=tuple(
                    view_step(step, place) for place, step in enumerate(stage.steps, start=1)
                ),
            )
            for number, stage in enumerate(plan.stages, start=1)
        ),
        order=tuple(
            PlaceView(
                role=place.role,
                place=place.place,
                criticality=place.criticality,
                source=place.source,
                reason=place.reason,
            )
            for place in planned.places
        ),
        expected_tasks=_expected_tasks(plan),
        warnings=plan.warnings,
    )


def view_step(step: Step, number: int) -> StepView:
    """Return what a step is, whether it has run or not."""
    text = tell_step(step)
    match step:
        case SetWeight(weight=weight):
            return StepView(number=number, kind="set_weight", text=text, weight=weight)
        case Pause(duration_s=duration_s):
            return StepView(number=number, kind="pause", text=text, duration_s=duration_s)
        case Analyse(evidence=evidence, expected_tasks=tasks):
            return StepView(
                number=number,
                kind="analysis",
                text=text,
                evidence=evidence,
                expected_tasks=tasks,
            )


def _expected_tasks(plan: Plan) -> int | None:
    tasks = [
        step.expected_tasks
        for stage in plan.stages
        for step in stage.steps
        if isinstance(step, Analyse)
    ]
    known = [number for number in tasks if number is not None]
    return sum(known) if len(known) == len(tasks) else None
