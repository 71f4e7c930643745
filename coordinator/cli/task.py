"""`rolewise task`: give work to a fleet, and see what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rolewise.coordinator.cli.options import DEFAULT_URL, AsJson, Timeout, Url, seconds_of

if TYPE_CHECKING:
    from rolewise.coordinator.cli.client import Client
    from rolewise.coordinator.views import TaskView

app = typer.Typer(help="Submit tasks and read their accounts.", no_args_is_help=True)

WAIT_S = 10
"""One request waits so long for a task's end; then it is asked again."""

Wait = Annotated[bool, typer.Option("--wait", help="Come back when it has ended.")]


@app.command()
def submit(
    fleet: Annotated[str, typer.Argument(metavar="FLEET", help="Name of a fleet that runs.")],
    body: Annotated[str, typer.Option("--body", metavar="JSON", help="Body of the task.")],
    kind: Annotated[str, typer.Option("--kind", help="Kind of the first message.")] = "task",
    role: Annotated[str, typer.Option("--role", help="Entry role; else the fleet's first.")] = "",
    conversation: Annotated[
        str, typer.Option("--conversation", metavar="ID", help="Session that it belongs to.")
    ] = "",
    attributes: Annotated[
        str,
        typer.Option("--attributes", metavar="JSON", help="What routing may look at, by name."),
    ] = "{}",
    retry_of: Annotated[
        str, typer.Option("--retry-of", metavar="ID", help="Task that this one tries again.")
    ] = "",
    timeout: Timeout = "",
    wait: Wait = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Give a task to a fleet; --timeout is the task's deadline."""
    import json

    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.errors import RolewiseError
    from rolewise.coordinator.views import TaskView

    request: dict[str, object] = {"kind": kind}
    for option, text in (("body", body), ("attributes", attributes)):
        try:
            request[option] = json.loads(text)
        except ValueError as error:
            raise RolewiseError("bad_input", f"--{option} is not JSON: {error}") from None
    said = {"role": role, "conversation": conversation, "retry_of": retry_of}
    request.update({field: value for field, value in said.items() if value})
    if timeout:
        request["timeout_s"] = seconds_of(timeout, "--timeout")
    client = connect(url)
    view = client.post(TaskView, "fleets", fleet, "tasks", body=request)
    return _show(_ended(client, view) if wait else view, as_json=as_json)


@app.command()
def get(
    task: Annotated[str, typer.Argument(metavar="ID", help="The task.")],
    wait: Wait = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Show what became of a task."""
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import TaskView

    client = connect(url)
    view = client.read(TaskView, "tasks", task)
    return _show(_ended(client, view) if wait else view, as_json=as_json)


def _ended(client: Client, view: TaskView) -> TaskView:
    while view.outcome == "running":
        view = client.read(type(view), "fleets", view.fleet, "tasks", view.id, wait=f"{WAIT_S}s")
    return view


def _show(view: TaskView, *, as_json: bool) -> int:
    from rolewise.coordinator.cli import render, screen
    from rolewise.coordinator.cli.exits import DONE, FAILED

    if as_json:
        render.say_json(view.to_json(indent=2))
    else:
        render.say(*screen.task_lines(view))
    return FAILED if view.outcome in {"failed", "timed_out"} else DONE
