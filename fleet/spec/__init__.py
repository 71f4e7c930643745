"""The fleet's file: what runs, in which versions, and how it moves from release to release.

`load_fleet` reads and checks it; `role_settings` and `stage_settings` fill in the defaults. No
module here imports an agent or anything that runs a fleet.
"""

from rolewise.fleet.spec.analysis import AnalysisTemplateSpec, SignalSpec
from rolewise.fleet.spec.edges import expected_edges
from rolewise.fleet.spec.guards import GuardsSpec, guard_limits
from rolewise.fleet.spec.loader import load_fleet, load_templates, parse_fleet
from rolewise.fleet.spec.models import FleetSpec, RoleSpec, VersionSpec, WorkloadSpec
from rolewise.fleet.spec.problems import Problem, SpecError
from rolewise.fleet.spec.settings import (
    BUILT_IN_TEMPLATES,
    DEFAULT_TEMPLATE,
    RoleSettings,
    StageSettings,
    role_settings,
    stage_settings,
)
from rolewise.fleet.spec.strategy import CanarySpec, StepSpec

__all__ = [
    "BUILT_IN_TEMPLATES",
    "DEFAULT_TEMPLATE",
    "AnalysisTemplateSpec",
    "CanarySpec",
    "FleetSpec",
    "GuardsSpec",
    "Problem",
    "RoleSettings",
    "RoleSpec",
    "SignalSpec",
    "SpecError",
    "StageSettings",
    "StepSpec",
    "VersionSpec",
    "WorkloadSpec",
    "expected_edges",
    "guard_limits",
    "load_fleet",
    "load_templates",
    "parse_fleet",
    "role_settings",
    "stage_settings",
]
