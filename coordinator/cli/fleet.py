"""`rolewise up`, `down`, `status` and `plan`: fleets as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolewise.coordinator.cli.options import DEFAULT_URL, AsJson, Data, To, Url

if TYPE_CHECKING:
    from rolewise.fleet.spec import FleetSpec

DEFAULT_PORT = 8787
FILE_ENDINGS = (".yaml", ".yml", ".json")


def up(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Fleets' files.")],
    ray_address: Annotated[
        str,
        typer.Option(
            "--ray-address",
            help="A Ray cluster to join, such as auto or ray://host:10001; else one is started.",
        ),
    ] = "",
    redis_url: Annotated[
        str,
        typer.Option(
            "--redis-url",
            envvar="ROLEWISE_REDIS_URL",
            help="A store to use, such as rediss://host:6379; else one is started in --data.",
        ),
    ] = "",
    data: Data = Path(".rolewise"),
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port to listen at.")
    ] = DEFAULT_PORT,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="Who may do what; needed beyond this machine."),
    ] = None,
    workload: Annotated[
        bool,
        typer.Option("--workload", help="Also give each fleet the traffic its file describes."),
    ] = False,
    accepts_loss: Annotated[
        bool,
        typer.Option(
            "--accept-lost-entries",
            help="Go on with what is left in a store that has lost entries (docs: operations).",
        ),
    ] = False,
) -> int:
    """Start fleets with their coordinator and API; Ctrl-C ends them."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.up import run_up

    return run_up(
        files,
        ray_address=ray_address or None,
        redis_url=redis_url or None,
        data=data,
        host=host,
        port=port,
        token_file=token_file,
        workload=workload,
        accepts_loss=accepts_loss,
        say=render.say,
    )


def down(data: Data = Path(".rolewise")) -> int:
    """End the server that `up` runs with this data folder."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.up import take_down

    return take_down(data, say=render.say)


def status(
    fleet: Annotated[str, typer.Argument(metavar="FLEET", help="This fleet only.")] = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Show fleets: what runs, how their tasks ended, what needs a person."""
    from rolewise.coordinator.cli import render, screen
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import FleetsView, FleetView

    path = ("fleets", fleet) if fleet else ("fleets",)
    client = connect(url)
    if as_json:
        render.say_json(client.read_text(*path))
        return 0
    fleets = (client.read(FleetView, *path),) if fleet else client.read(FleetsView, *path).fleets
    for one in fleets:
        render.say(*screen.fleet_lines(one))
    return 0


def plan(
    target: Annotated[
        str, typer.Argument(metavar="FILE|FLEET", help="A fleet's file, or a fleet that runs.")
    ],
    to: To,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Show the way to a release, and all that stands in it; nothing is changed.

    For a file the order follows from its own words; for a fleet that runs, from its traffic.
    """
    from rolewise.coordinator.cli import render, screen
    from rolewise.coordinator.views import PlanView, view_plan

    if is_file(target):
        from rolewise.coordinator.fleets import plan_from_file

        view = view_plan(plan_from_file(read_file(Path(target))[0], to))
    else:
        from rolewise.coordinator.cli.client import connect

        view = connect(url).post(PlanView, "fleets", target, "plans", body={"to": to})
    if as_json:
        render.say_json(view.to_json(indent=2))
    else:
        render.say(*screen.plan_lines(view))
    return 0


def is_file(target: str) -> bool:
    """Tell whether a word means a file and not the name of a fleet."""
    return target.endswith(FILE_ENDINGS) or "/" in target or Path(target).is_file()


def read_file(path: Path) -> tuple[FleetSpec, str]:
    """Return a fleet's file, and its text as it was read.

    Agents of the user's own stand beside the file or in the working directory: both are put
    where Python looks for modules.

    Raises:
        SpecError: It cannot be used.
    """
    import sys

    from rolewise.fleet.spec import load_fleet

    spec = load_fleet(path)
    for folder in (str(Path.cwd()), str(path.resolve().parent)):
        if folder not in sys.path:
            sys.path.append(folder)
    return spec, path.read_text(encoding="utf-8")
