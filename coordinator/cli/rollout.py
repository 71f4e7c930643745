"""`rolewise rollout`: start, look, and every verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rolewise.coordinator.cli.exits import Until
from rolewise.coordinator.cli.options import DEFAULT_URL, AsJson, Reason, Timeout, To, Url, limit_of

if TYPE_CHECKING:
    from rolewise.coordinator.views import RolloutView

app = typer.Typer(help="Start, watch and steer rollouts.", no_args_is_help=True)

Rollout = Annotated[str, typer.Argument(metavar="ID", help="The rollout, as `list` shows it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Come back when it has ended or is paused.")]
UntilPhase = Annotated[
    Until, typer.Option("--until", help="What to wait for: the end only, or also a pause.")
]


@app.command()
def start(
    fleet: Annotated[str, typer.Argument(metavar="FLEET", help="Name of a fleet that runs.")],
    to: To,
    reason: Reason = "",
    key: Annotated[
        str, typer.Option("--key", help="The same key never starts a second rollout.")
    ] = "",
    wait: Wait = False,
    timeout: Timeout = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Begin a rollout; with --wait, see it to its end."""
    from rolewise.coordinator.cli import render, watch
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import RolloutView

    limit_s = limit_of(timeout)
    client = connect(url)
    view = client.post(
        RolloutView,
        "fleets",
        fleet,
        "rollouts",
        body={"to": to, "reason": reason},
        headers={"Idempotency-Key": key} if key else {},
    )
    if not wait:
        _show(view, as_json=as_json)
        return 0
    if not as_json:
        render.say(f"{view.id} started")
    return watch.watch(client, view.id, until=Until.PAUSED, limit_s=limit_s, as_json=as_json)


@app.command("list")
def list_(
    fleet: Annotated[str, typer.Option("--fleet", help="Of this fleet only.")] = "",
    phase: Annotated[str, typer.Option("--phase", help="In this phase only.")] = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """List rollouts, those that need a person first."""
    from rolewise.coordinator.cli import render, screen
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import RolloutsView

    client = connect(url)
    if as_json:
        render.say_json(client.read_text("rollouts", fleet=fleet, phase=phase))
        return 0
    rollouts = list(client.read(RolloutsView, "rollouts", fleet=fleet, phase=phase).rollouts)
    if not rollouts:
        render.say("no rollouts yet: rolewise rollout start FLEET --to X")
        return 0
    # The sort is stable: within a phase they stay as the server lists them.
    rollouts.sort(key=lambda one: one.phase not in {"paused", "failed"})
    render.say(*screen.list_lines(rollouts))
    return 0


@app.command()
def status(
    rollout: Rollout,
    wait: Wait = False,
    until: UntilPhase = Until.PAUSED,
    timeout: Timeout = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Show where a rollout stands; the exit code says it too."""
    from rolewise.coordinator.cli import watch
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.cli.exits import exit_code_of

    limit_s = limit_of(timeout)
    client = connect(url)
    if not wait:
        view = watch.read_rollout(client, rollout)
        _show(view, as_json=as_json)
        return exit_code_of(view.phase)
    after = watch.read_rollout(client, rollout).sequence
    view = watch.follow(
        client, rollout, until=until, limit_s=limit_s, tell=lambda _: None, after=after
    )
    _show(view, as_json=as_json)
    return watch.exit_code(view, until)


@app.command("watch")
def watch_(
    rollout: Rollout,
    until: UntilPhase = Until.COMPLETED,
    timeout: Timeout = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Follow a rollout to its end; Ctrl-C leaves it running."""
    from rolewise.coordinator.cli import watch
    from rolewise.coordinator.cli.client import connect

    limit_s = limit_of(timeout)
    client = connect(url)
    return watch.watch(client, rollout, until=until, limit_s=limit_s, as_json=as_json)


@app.command()
def pause(
    rollout: Rollout, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL
) -> int:
    """Stop going forward; weight, replicas and guards stay as they are."""
    return _ask(url, rollout, "pause", {"reason": reason}, as_json=as_json)


@app.command()
def resume(
    rollout: Rollout, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL
) -> int:
    """Go on after a pause."""
    return _ask(url, rollout, "resume", {"reason": reason}, as_json=as_json)


@app.command()
def promote(
    rollout: Rollout,
    full: Annotated[
        bool, typer.Option("--full", help="Skip all steps that remain; guards stay on.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """End the wait of the current step; the guards stay on."""
    return _ask(url, rollout, "promote", {"reason": reason, "full": full}, as_json=as_json)


@app.command()
def abort(
    rollout: Rollout,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the log.")],
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Roll back: new tasks leave the canary at once."""
    return _ask(url, rollout, "abort", {"reason": reason}, as_json=as_json)


@app.command()
def retry(
    rollout: Rollout, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL
) -> int:
    """Try the first stage that is not done again, or finish a rollback that failed."""
    return _ask(url, rollout, "retry", {"reason": reason}, as_json=as_json)


@app.command()
def undo(
    rollout: Rollout, reason: Reason = "", as_json: AsJson = False, url: Url = DEFAULT_URL
) -> int:
    """Begin a new rollout, back to the release that this one came from."""
    return _ask(url, rollout, "undo", {"reason": reason}, as_json=as_json)


def _ask(url: str, rollout: str, verb: str, body: dict[str, object], *, as_json: bool) -> int:
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.views import RolloutView

    view = connect(url).post(RolloutView, "rollouts", rollout, verb, body=body)
    _show(view, as_json=as_json)
    return 0


def _show(view: RolloutView, *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from rolewise.coordinator.cli import render, screen

    if as_json:
        render.say_json(view.to_json(indent=2))
    else:
        render.say(*screen.rollout_lines(view, datetime.now(UTC)))
