"""`rolewise rehearse`: a whole rollout in virtual time, on this machine, without a cluster."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolewise.coordinator.cli.options import AsJson, To, seconds_of

if TYPE_CHECKING:
    from datetime import datetime

    from rolewise.coordinator.fleets import Planned
    from rolewise.coordinator.rehearse import Rehearsal
    from rolewise.coordinator.rollout.events import Event
    from rolewise.coordinator.rollout.state import Rollout


def rehearse(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A fleet's file.")],
    to: To,
    seed: Annotated[
        int, typer.Option("--seed", help="The same seed gives the same rehearsal.")
    ] = 0,
    limit: Annotated[
        str,
        typer.Option("--limit", metavar="DURATION", help="Virtual time after which it is ended."),
    ] = "10m",
    as_json: AsJson = False,
) -> int:
    """Rehearse a rollout; the exit code is the one that it would have in earnest."""
    from rolewise.coordinator import rehearse as rehearsals
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.cli.exits import FINAL_PHASES, WAITING, exit_code_of
    from rolewise.coordinator.cli.fleet import read_file
    from rolewise.coordinator.views.rehearsal import view_rehearsal

    # What the controller logs is told here by the rollout's events.
    logging.getLogger("rolewise").addHandler(logging.NullHandler())
    limit_s = seconds_of(limit, "--limit")
    spec, text = read_file(file)
    onlooker = None if as_json else _Teller()
    done = rehearsals.rehearse(spec, text, to, seed=seed, limit_s=limit_s, onlooker=onlooker)
    if as_json:
        render.say_json(view_rehearsal(done).to_json(indent=2))
    else:
        _show_end(done, limit)
    phase = done.rollout.phase
    return exit_code_of(phase) if phase in {*FINAL_PHASES, "paused"} else WAITING


class _Teller:
    """Prints the plan and each event as it happens."""

    def planned(self, planned: Planned) -> None:
        """Print the plan."""
        from rolewise.coordinator.cli import render, screen
        from rolewise.coordinator.views import view_plan

        render.say(*screen.plan_lines(view_plan(planned)), "")

    def happened(self, number: int, event: Event, state: Rollout) -> None:
        """Print one event at its virtual time."""
        from rolewise.coordinator.cli import render, screen
        from rolewise.coordinator.views import view_event

        render.say(screen.event_line(view_event(number, event, state), _virtual(event.at)))


def _show_end(done: Rehearsal, limit: str) -> None:
    from rolewise.coordinator.cli import render, screen
    from rolewise.coordinator.cli.exits import FINAL_PHASES
    from rolewise.coordinator.views.rehearsal import view_rehearsal

    view = view_rehearsal(done)
    at = done.events[-1][1].at
    render.say("", *screen.ending_lines(view.rollout, _virtual(done.rollout.since or at)))
    render.say(f"    {screen.tasks_line(view.tasks)}")
    if view.rollout.phase not in {*FINAL_PHASES, "paused"}:
        render.say(f"    ended at its limit of {limit} (--limit)")
    took = screen.clock(view.virtual_s)
    render.say(
        f"    rehearsed in {took} of virtual time with seed {view.seed}: equal seed, equal end"
    )


def _virtual(at: datetime) -> str:
    from rolewise.coordinator.cli import screen
    from rolewise.coordinator.rehearse import EPOCH

    return screen.clock((at - EPOCH).total_seconds())
