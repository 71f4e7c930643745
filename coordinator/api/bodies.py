"""What requests say, field by field; unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

ONE_DAY_S = 86_400.0

Reason = Annotated[str, Field(max_length=2000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class PlanBody(_Body):
    """Where to go."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "v2"}]})

    to: Annotated[str, Field(min_length=1, max_length=10_000)]
    """Name of a release in the fleet's file, or `role=version,role=version`."""


class RolloutBody(PlanBody):
    """Where to go, and why."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": "v2", "reason": "fewer bargaining rounds"}]}
    )

    reason: Reason = ""
    """For the rollout's log."""


class ReasonBody(_Body):
    """Why, for the rollout's log."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "lunch"}]})

    reason: Reason = ""


class PromoteBody(ReasonBody):
    """Why, and how far."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "looks good to ana", "full": False}]}
    )

    full: bool = False
    """Skip all steps that remain; guards stay on."""


class AbortBody(_Body):
    """Why; everybody will want to know."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "wrong prices"}]})

    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
    """For the rollout's log; must say something."""


class TaskBody(_Body):
    """A task for the fleet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "body": {"item": "pump", "quantity": 3},
                    "attributes": {"customer": "c-17"},
                    "timeout_s": 10.0,
                }
            ]
        }
    )

    body: Any = None
    """Body of the first message."""
    kind: Annotated[str, Field(min_length=1, max_length=200)] = "task"
    """Kind of the first message."""
    role: Annotated[str, Field(max_length=200)] = ""
    """Entry role; the fleet's first one when empty."""
    timeout_s: Annotated[float, Field(gt=0, le=ONE_DAY_S)] | None = None
    """Deadline from submission; the entry role's `timeout` when null."""
    conversation: Annotated[str, Field(max_length=200)] = ""
    """Session that the task belongs to; its own id when empty."""
    attributes: dict[str, Any] = Field(default_factory=dict)
    """For routing rules and cohorts."""
    retry_of: Annotated[str, Field(max_length=200)] = ""
    """Task that this one tries again: it gets that one's arms, and the judge counts both as one."""
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@-]{1,128}$")] | None = None
    """Unique in the fleet; drawn when null. Submitting an id again changes nothing."""
