"""A task as people and programs read it."""

from __future__ import annotations

from typing import Any

from rolewise.coordinator.views.base import ByName, NumberByName, View, to_jsonable
from rolewise.fleet.task import Outcome, TaskRecord


class TaskView(View):
    """The account of one task."""

    id: str
    fleet: str
    outcome: Outcome
    """`running` until it ends in exactly one of the others."""
    result: Any
    """What the entry role returned, as JSON; what has no form in JSON, as text."""
    error: str
    """Failure code and sentence; empty when it runs or is completed."""
    latency_s: float | None
    """From submission to the end; null while it runs."""
    number: int
    """Order of submission in the fleet, from 1."""
    table: int
    """Number of the routing table that it was given its versions by."""
    arms: ByName
    """Role on trial -> `canary` or `baseline`."""
    messages: int
    """Requests and events sent for it."""
    tool_calls: int
    tool_errors: int
    input_tokens: int | None
    """Null where no agent noted any usage; so are the next two."""
    output_tokens: int | None
    cost_usd: float | None
    scores: NumberByName
    """0 to 1 by name; null where a scorer could not tell."""
    flags: tuple[str, ...]
    """Loop flags that were raised for it: `repeat`, `ping_pong`, `stalled`, ..."""
    partial: bool
    """Some of its telemetry was lost: the sums are lower bounds."""


def view_task(record: TaskRecord, fleet: str) -> TaskView:
    """Return the account of a task."""
    return TaskView(
        id=record.task,
        fleet=fleet,
        outcome=record.outcome,
        result=to_jsonable(record.result),
        error=record.error,
        latency_s=record.latency_s,
        number=record.number,
        table=record.table,
        arms={one.role: one.arm.name.lower() for one in record.assignments},
        messages=record.messages,
        tool_calls=record.tool_calls,
        tool_errors=record.tool_errors,
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cost_usd=record.cost_usd,
        scores=dict(record.scores),
        flags=record.flags,
        partial=record.partial,
    )
