"""`rolewise graph`: who asks whom, and how much."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rolewise.coordinator.cli.options import DEFAULT_URL, AsJson, Url

app = typer.Typer(help="Show or export the interaction graph.", no_args_is_help=True)

Fleet = Annotated[str, typer.Argument(metavar="FLEET", help="Name of a fleet that runs.")]


class Format(StrEnum):
    """What a graph is written in."""

    JSON = "json"
    GRAPHML = "graphml"
    DOT = "dot"


class By(StrEnum):
    """What the graph's nodes are."""

    VERSION = "version"
    ROLE = "role"


ByWhat = Annotated[By, typer.Option("--by", help="What the nodes are.")]
Last = Annotated[
    str,
    typer.Option(
        "--last", metavar="DURATION", help="Of this time only, such as 60s.", show_default=False
    ),
]


@app.command()
def show(
    fleet: Fleet,
    by: ByWhat = By.VERSION,
    last: Last = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Show who asks whom: how often, how fast, how often in vain."""
    from rolewise.coordinator.cli import render, screen
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import GraphView

    path, client = ("fleets", fleet, "graph"), connect(url)
    if as_json:
        render.say_json(client.read_text(*path, view=by, last=last))
    else:
        render.say(*screen.graph_lines(client.read(GraphView, *path, view=by, last=last)))
    return 0


@app.command()
def export(
    fleet: Fleet,
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.JSON,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else it is printed.")
    ] = None,
    by: ByWhat = By.VERSION,
    last: Last = "",
    url: Url = DEFAULT_URL,
) -> int:
    """Write the graph for another program."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.errors import RolewiseError

    text = connect(url).read_text("fleets", fleet, "graph", view=by, last=last, format=form)
    if output is None:
        render.say_file(text)
        return 0
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--output = {str(output)!r} cannot be written: {error.strerror}"
        raise RolewiseError("bad_input", message) from error
    return 0
