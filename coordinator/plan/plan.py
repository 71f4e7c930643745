"""A plan: the ordered stages from one release of a fleet to another. Frozen in its rollout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.fleet.routing.table import BY_TASK

Release = Mapping[str, str]
"""Role -> version."""


class PlanRefused(ValueError):
    """The wanted release cannot be reached; `problems` has one sentence for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWeight:
    """Give this percent of new tasks to the canary."""

    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Bake for some seconds, or wait for a person when `duration_s` is None."""

    duration_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyse:
    """Stay at this weight until the judge says safe or harm, or its budget is spent.

    Attributes:
        evidence: How strong the evidence of non-inferiority must be to leave this step, as a
            share of the full demand: `gate` (some) for early steps, `full` for the last one.
        expected_tasks: Tasks, of both arms together, that an equally good canary needs here; None
            when there is no telling.
    """

    evidence: Literal["gate", "full"] = "full"
    expected_tasks: int | None = None


Step = SetWeight | Pause | Analyse


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The upgrade of one role.

    Attributes:
        replicas: Replicas of the new version once it is stable.
        canary_replicas: Replicas of it while it is on trial.
        reason: Why this role stands at this place, in one sentence.
        drain_limit_s: What running invocations of a leaving version get before they are cancelled.
        bucket_by: What arms are drawn for; see `RoleRoute`.
        keep_stable_s: How long the old version stays warm after 100 %, with the guards on.
    """

    role: str
    from_version: str
    to_version: str
    replicas: int
    canary_replicas: int
    steps: tuple[Step, ...]
    analysis: Analysis
    reason: str = ""
    drain_limit_s: float = 120.0
    keep_stable_s: float = 0.0
    bucket_by: str = BY_TASK


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """From a release to a release, stage by stage, least critical role first.

    Attributes:
        from_release: Role -> version before.
        to_release: Role -> version after.
        to_name: The wanted release's name in the fleet's file, or empty.
        on_stage_failure: Roll back the failed stage only, or all stages of this rollout.
        warnings: What a person should know before starting.
    """

    fleet: str
    from_release: Release
    to_release: Release
    stages: tuple[Stage, ...]
    to_name: str = ""
    on_stage_failure: Literal["roll_back_stage", "roll_back_all"] = "roll_back_stage"
    warnings: tuple[str, ...] = ()
