"""`rolewise`: the commands, and what becomes of errors.

Each command imports what it needs when it runs, so that `--help` answers at once. Commands return
their exit code. Whatever goes wrong, the first line says what and where, the second what to try;
there is no traceback unless ROLEWISE_DEBUG asks for one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rolewise.coordinator.cli import doctor, fleet, graph, judge, rehearse, rollout, task
from rolewise.coordinator.cli.exits import INTERRUPTED
from rolewise.coordinator.cli.options import AsJson

if TYPE_CHECKING:
    from rolewise.coordinator.errors import RolewiseError

app = typer.Typer(
    name="rolewise",
    help="Staged rollouts for fleets of cooperating AI agents on Ray.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
UsageError: Any = typer.BadParameter.__bases__[0]  # typer brings its click along, under no name


app.command()(fleet.up)
app.command()(fleet.down)
app.command()(fleet.status)
app.command()(fleet.plan)
app.add_typer(rollout.app, name="rollout")
app.add_typer(graph.app, name="graph")
app.add_typer(task.app, name="task")
app.command()(rehearse.rehearse)
app.command()(judge.judge)
app.command()(doctor.doctor)


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder to keep its store in; else none is kept.")
    ] = None,
    all_acts: Annotated[
        bool, typer.Option("--all", help="Every kind of bad version: two or three minutes more.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """See it work: two fleets, a good release, bad ones, on a Ray of its own."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.demo import run_demo

    return run_demo(all_acts=all_acts, json_output=as_json, data=data, say=render.say)


@app.command()
def schema() -> int:
    """Print the JSON Schema of the fleet's file, for editors."""
    from rolewise.coordinator.cli import render
    from rolewise.fleet.spec.schema import fleet_schema

    render.say_data(fleet_schema())
    return 0


@app.command()
def version(as_json: AsJson = False) -> int:
    """Print the version of Rolewise."""
    from rolewise import __version__
    from rolewise.coordinator.cli import render

    if as_json:
        render.say_data({"rolewise": __version__})
    else:
        render.say(f"rolewise {__version__}")
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    try:
        return int(app(arguments, standalone_mode=False, prog_name="rolewise") or 0)
    except UsageError as error:
        return _complain(_misused(error), arguments)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last place where one can be told to a person)
        return _complain(_told(error), arguments)


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def _complain(error: RolewiseError, arguments: Sequence[str]) -> int:
    from rolewise.coordinator.cli import render

    render.complain(error, as_json="--json" in arguments)
    return error.kind.exit_code


def _misused(error: Any) -> RolewiseError:
    """Return the error for a command line that is no command."""
    from rolewise.coordinator.errors import RolewiseError

    command = error.ctx.command_path if error.ctx is not None else "rolewise"
    words = error.format_message().rstrip(".").replace("Value error, ", "")
    return RolewiseError("bad_input", words, hint=f"{command} --help")


def _told(error: Exception) -> RolewiseError:
    """Return any error as one that can be told."""
    from rolewise.coordinator.errors import RolewiseError, error_of
    from rolewise.coordinator.store.port import StoreError
    from rolewise.fleet.spec import SpecError

    if isinstance(error, RolewiseError):
        return error
    if isinstance(error, StoreError):
        return error_of(error)
    if isinstance(error, SpecError):
        lines = [str(problem) for problem in error.problems]
        what = lines[0] if len(lines) == 1 else f"{error.problems[0].file}: {len(lines)} problems"
        return RolewiseError(
            "bad_input",
            what,
            hint="docs/reference/configuration.md, or rolewise schema",
            details=tuple(lines) if len(lines) > 1 else (),
        )
    if os.environ.get("ROLEWISE_DEBUG"):
        from rolewise.coordinator.cli import render

        render.complain_of_fault()
    return RolewiseError(
        "internal",
        f"a fault in Rolewise: {type(error).__name__}: {error}",
        hint="the same with ROLEWISE_DEBUG=1 shows where; please report it",
    )


if __name__ == "__main__":
    main()
