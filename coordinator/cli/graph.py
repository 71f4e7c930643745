"""`rolewise graph`: who asks whom, and how much; who waits for whom, and what is stuck."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rolewise.coordinator.cli.exits import FAILED
from rolewise.coordinator.cli.graph_diff import diff
from rolewise.coordinator.cli.options import DEFAULT_URL, AsJson, Url

app = typer.Typer(help="Show or export the interaction graph.", no_args_is_help=True)

Fleet = Annotated[str, typer.Argument(metavar="FLEET", help="Name of a fleet that runs.")]


class Format(StrEnum):
    """What a graph is written in."""

    JSON = "json"
    GRAPHML = "graphml"
    DOT = "dot"
    SVG = "svg"


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
    from rolewise.coordinator.cli import graph_screen, render
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import GraphView
    from rolewise.graphs.export import from_node_link
    from rolewise.graphs.outline import outline

    path, client = ("fleets", fleet, "graph"), connect(url)
    if as_json:
        render.say_json(client.read_text(*path, view=by, last=last))
    else:
        view = client.read(GraphView, *path, view=by, last=last)
        if view.edges:
            render.say(*outline(from_node_link(view.model_dump(mode="json"))), "")
        render.say(*graph_screen.graph_lines(view))
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
    """Write the graph for another program, or with `svg` as a picture."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.cli.client import connect

    text = connect(url).read_text("fleets", fleet, "graph", view=by, last=last, format=form)
    if output is None:
        render.say_file(text)
    else:
        _write(output, text, option="--output")
    return 0


app.command()(diff)


@app.command()
def waits(
    fleet: Fleet,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save", metavar="FILE", help="Write a snapshot instead, for `graph deadlocks`."
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Show who waits for whom now, and what does not move.

    Exit code 1 when a deadlock is confirmed.
    """
    from rolewise.coordinator.cli import render, wait_screen
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import WaitsView

    client, path = connect(url), ("fleets", fleet, "waits")
    if save is not None:
        _write(save, client.read_text(*path, format="snapshot") + "\n", option="--save")
        return 0
    if as_json:
        text = client.read_text(*path)
        render.say_json(text)
        return FAILED if WaitsView.model_validate_json(text).deadlocks else 0
    view = client.read(WaitsView, *path)
    render.say(*wait_screen.waits_lines(view))
    return FAILED if view.deadlocks else 0


@app.command()
def deadlocks(
    snapshot: Annotated[
        Path, typer.Argument(metavar="SNAPSHOT.json", help="Written by `graph waits --save`.")
    ],
    later: Annotated[
        Path | None,
        typer.Argument(
            metavar="[LATER.json]", help="A later one: only waits that stand in both count then."
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Say what is stuck in saved snapshots, and what holds it.

    Exit code 1 where something is stuck.
    """
    from rolewise.coordinator.cli import render, wait_screen
    from rolewise.coordinator.saved_waits import SavedPair, analyse_saved, read_saved

    pair = SavedPair(
        snapshot=read_saved(snapshot), later=None if later is None else read_saved(later)
    )
    view = analyse_saved(pair)
    if as_json:
        render.say_json(view.to_json(indent=2))
    else:
        render.say(*wait_screen.analysis_lines(view))
    return FAILED if view.soft.stuck else 0


def _write(file: Path, text: str, *, option: str) -> None:
    from rolewise.coordinator.errors import RolewiseError

    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{option} = {str(file)!r} cannot be written: {error.strerror}"
        raise RolewiseError("bad_input", message) from error
