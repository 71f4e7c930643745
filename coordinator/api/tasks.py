"""Tasks: submit one, look at its account."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from rolewise.coordinator.api.bodies import TaskBody
from rolewise.coordinator.api.deps import FleetPath, Operator, Served, Viewer
from rolewise.coordinator.api.examples import TASK
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.views import TaskView, view_task
from rolewise.fleet.runtime import TaskExpired
from rolewise.fleet.spec import role_settings
from rolewise.fleet.spec.values import Duration
from rolewise.fleet.task import TaskRecord, TaskRequest

router = APIRouter(prefix="/v1", tags=["tasks"])

WAIT_LIMIT_S = 60

Wait = Annotated[
    Duration | None,
    Query(
        le=WAIT_LIMIT_S,
        description="Wait for the task's end, at most so long (60s).",
        examples=["10s"],
    ),
]
TaskPath = Annotated[str, Path(description="The task's id.", examples=["order-1"])]


@router.post(
    "/fleets/{fleet}/tasks",
    status_code=202,
    summary="Submit a task",
    description="The task is accepted: it will end completed, failed or timed out, and its account "
    "says how. Submitting an id again changes nothing.",
    responses=answers(
        TASK,
        "unknown_fleet",
        "too_many_tasks",
        status=202,
        headers={"Location": "Where the task's account is."},
    ),
)
async def submit_task(
    fleets: Served, _by: Operator, fleet: FleetPath, task: TaskBody, response: Response
) -> TaskView:
    """Give a fleet a task."""
    runtime, spec = fleets.runtime(fleet), await fleets.spec(fleet)
    role = task.role or spec.entry[0]
    if role not in spec.entry:
        raise RolewiseError(
            "bad_input", f"body.role = {role!r}: want an entry role: {', '.join(spec.entry)}"
        )
    request = TaskRequest(
        id=task.id or f"task-{secrets.token_hex(8)}",
        body=task.body,
        kind=task.kind,
        role=role,
        timeout_s=task.timeout_s or role_settings(spec, role).timeout_s,
        conversation=task.conversation,
        attributes=task.attributes,
        retry_of=task.retry_of,
    )
    await runtime.submit(request)
    response.headers["Location"] = f"/v1/fleets/{fleet}/tasks/{request.id}"
    return view_task(await _read(fleets, fleet, request.id, 0.0), fleet)


@router.get(
    "/fleets/{fleet}/tasks/{task}",
    summary="Look at a task",
    description="With `wait`, the answer comes when the task has ended, or after that time.",
    responses=answers(TASK, "unknown_fleet", "unknown_task", "task_expired"),
)
async def read_task(
    fleets: Served, _by: Viewer, fleet: FleetPath, task: TaskPath, wait: Wait = None
) -> TaskView:
    """Return the account of a task."""
    return view_task(await _read(fleets, fleet, task, wait or 0.0), fleet)


@router.get(
    "/tasks/{task}",
    summary="Look at a task of any fleet",
    description="Like the fleet's own, for those who know the task only.",
    responses=answers(TASK, "unknown_task", "task_expired"),
)
async def find_task(fleets: Served, _by: Viewer, task: TaskPath, wait: Wait = None) -> TaskView:
    """Return the account of the one task of this id."""
    having = [name for name in fleets.running if await _has(fleets, name, task)]
    if len(having) > 1:
        raise RolewiseError(
            "bad_input",
            f"task {task!r} is in fleets {', '.join(having)}",
            hint=f"GET /v1/fleets/{having[0]}/tasks/{task}",
        )
    if not having:
        raise RolewiseError("unknown_task", f"no fleet has a task {task!r}")
    return view_task(await _read(fleets, having[0], task, wait or 0.0), having[0])


async def _has(fleets: Fleets, fleet: str, task: str) -> bool:
    try:
        return await fleets.runtime(fleet).result(task) is not None
    except TaskExpired:
        return True


async def _read(fleets: Fleets, fleet: str, task: str, wait_s: float) -> TaskRecord:
    try:
        record = await fleets.runtime(fleet).result(task, wait_s=wait_s)
    except TaskExpired as error:
        raise RolewiseError("task_expired", str(error)) from error
    if record is None:
        raise RolewiseError("unknown_task", f"fleet {fleet!r} has no task {task!r}")
    return record
