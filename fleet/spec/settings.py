"""What holds for one role once every default is filled in: its replicas, and its stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from rolewise.fleet.spec.analysis import AnalysisTemplateSpec
from rolewise.fleet.spec.models import FleetSpec, ResourcesSpec
from rolewise.fleet.spec.strategy import CanarySpec, StepSpec

_Value = TypeVar("_Value")

DEFAULT_TEMPLATE = "task-health"

BUILT_IN_TEMPLATES = {
    DEFAULT_TEMPLATE: AnalysisTemplateSpec.model_validate(
        {
            "signals": [
                {"name": "completion", "metric": "task.completed", "tolerate": "5%"},
                {"name": "tool-errors", "metric": "tool.error", "tolerate": "5%"},
                {
                    "name": "latency-p95",
                    "metric": "task.latency",
                    "quantile": 0.95,
                    "tolerate": "50%",
                },
            ]
        }
    )
}
"""Templates that a file may use without defining them; it may define them anew."""

_DEFAULT_STEPS = tuple(
    StepSpec.model_validate(step)
    for step in (
        {"set_weight": 1},
        {"pause": {"duration": "10s"}},
        {"set_weight": 5},
        {"analysis": "gate"},
        {"set_weight": 25},
        {"analysis": "gate"},
        {"set_weight": 50},
        {"analysis": "full"},
        {"set_weight": 100},
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """How replicas of one role run.

    Attributes:
        drain_s: What running work of a leaving version gets before it is cancelled.
        timeout_s: Deadline of a task given to the role when its submitter names none.
        resources: As `VersionDefinition.resources`: `cpu`, `gpu`, `memory_bytes`, custom names.
    """

    replicas: int
    slots: int
    queue_limit: int
    drain_s: float
    timeout_s: float
    resources: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """How a role's stage moves and is judged.

    Attributes:
        bucket_by: What an arm is drawn for: `task`, `conversation`, or an attribute's name.
    """

    bucket_by: str
    canary_replicas: int
    steps: tuple[StepSpec, ...]
    template: AnalysisTemplateSpec
    keep_stable_s: float
    drain_s: float


def role_settings(spec: FleetSpec, role: str) -> RoleSettings:
    """Return a role's settings: its own, else the fleet's defaults, else the built-in ones."""
    own, shared = spec.roles[role], spec.defaults
    return RoleSettings(
        replicas=_first(own.replicas, shared.replicas, 1),
        slots=_first(own.slots, shared.slots, 4),
        queue_limit=_first(own.queue_limit, shared.queue_limit, 1000),
        drain_s=_first(own.drain, shared.drain, 10.0),
        timeout_s=_first(own.timeout, shared.timeout, 60.0),
        resources=_resources(own.resources, shared.resources),
    )


def stage_settings(spec: FleetSpec, role: str) -> StageSettings:
    """Return what holds for a role's stage: its own, else the fleet's strategy, else built in."""
    own = spec.stages[role].canary if role in spec.stages else CanarySpec()
    shared = spec.strategy.canary
    name = _first(own.analysis, shared.analysis, DEFAULT_TEMPLATE)
    return StageSettings(
        bucket_by=_first(own.bucket_by, shared.bucket_by, "task"),
        canary_replicas=_first(own.canary_replicas, shared.canary_replicas, 1),
        steps=_first(own.steps, shared.steps, _DEFAULT_STEPS),
        template=spec.analysis_templates.get(name) or BUILT_IN_TEMPLATES[name],
        keep_stable_s=_first(own.keep_stable_for, shared.keep_stable_for, 10.0),
        drain_s=_first(own.drain, shared.drain, role_settings(spec, role).drain_s),
    )


def _first(own: _Value | None, shared: _Value | None, default: _Value) -> _Value:
    """Return the first that is given; 0 and an empty list are."""
    if own is not None:
        return own
    return default if shared is None else shared


def _resources(own: ResourcesSpec, shared: ResourcesSpec) -> dict[str, float]:
    needs: dict[str, float] = {
        "cpu": _first(own.cpu, shared.cpu, 0.1),
        "gpu": _first(own.gpu, shared.gpu, 0.0),
        "memory_bytes": _first(own.memory, shared.memory, 0),
        **shared.custom,
        **own.custom,
    }
    return {name: amount for name, amount in needs.items() if amount}
