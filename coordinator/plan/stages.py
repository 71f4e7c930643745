"""One stage, as the fleet's file describes it: its steps, and the analysis that judges it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.plan.plan import Analyse, Pause, SetWeight, Stage, Step
from rolewise.fleet.routing.table import BY_TASK
from rolewise.fleet.spec import (
    AnalysisTemplateSpec,
    FleetSpec,
    SignalSpec,
    StepSpec,
    expected_edges,
    role_settings,
    stage_settings,
)
from rolewise.graphs.criticality import RolePlace


def build_stage(spec: FleetSpec, place: RolePlace, from_version: str, to_version: str) -> Stage:
    """Return the upgrade of one role."""
    settings = stage_settings(spec, place.role)
    edges = expected_edges(spec, place.role, to_version)
    return Stage(
        role=place.role,
        from_version=from_version,
        to_version=to_version,
        replicas=role_settings(spec, place.role).replicas,
        canary_replicas=settings.canary_replicas,
        steps=tuple(_build_step(step) for step in settings.steps),
        analysis=replace(
            build_analysis(settings.template, is_grouped=settings.bucket_by != BY_TASK),
            declared_edges=tuple(edges.declared),
            forbidden_edges=tuple(edges.forbidden),
        ),
        reason=place.reason,
        drain_limit_s=settings.drain_s,
        keep_stable_s=settings.keep_stable_s,
        bucket_by=settings.bucket_by,
    )


def _build_step(step: StepSpec) -> Step:
    if step.set_weight is not None:
        return SetWeight(weight=step.set_weight)
    if step.analysis is not None:
        return Analyse(evidence=step.analysis)
    return Pause(duration_s=None if step.pause is None else step.pause.duration)


def build_analysis(template: AnalysisTemplateSpec, *, is_grouped: bool = False) -> Analysis:
    """Return a template of the fleet's file as the judge takes it.

    Args:
        template: The template.
        is_grouped: Arms are drawn for sessions or users, not for each task.
    """
    return Analysis(
        alpha=template.alpha,
        beta=template.beta,
        signals=tuple(_build_signal(signal, template.dry_run) for signal in template.signals),
        min_tasks=template.min_tasks,
        max_tasks=template.max_tasks,
        max_duration_s=template.max_duration,
        no_data_for_s=template.no_data_for,
        on_harm=template.on.harm,
        on_unsure=template.on.unsure,
        on_no_data=template.on.no_data,
        is_grouped=is_grouped,
        unit_tasks=template.unit.tasks,
        unit_window_s=template.unit.window,
        on_pattern_harm=template.patterns.harm,
        on_pattern_different=template.patterns.different,
        on_flood=template.patterns.flood,
        on_interference=template.patterns.interference,
        deadlock=template.deadlock,
        restart_limit=template.restarts,
    )


def _build_signal(signal: SignalSpec, dry_run: Collection[str]) -> Signal:
    return Signal(
        name=signal.name,
        metric=signal.measured,
        compare=signal.compared,
        tolerate=signal.tolerated,
        harm_margin=signal.harm_margin,
        quantile=signal.quantile,
        limit=signal.limit_value,
        score=signal.score_name,
        direction=signal.direction or "higher_is_better",
        scorer=signal.scorer or "",
        sample=1.0 if signal.sample is None else signal.sample,
        cap=signal.cap_value,
        required=signal.required,
        dry_run=signal.dry_run or signal.name in dry_run,
        min_tasks=signal.min_tasks,
    )
