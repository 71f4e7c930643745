"""Following a rollout until it ends, waits for a person, or the time is over."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from rolewise.coordinator.cli import render, screen
from rolewise.coordinator.cli.client import Client
from rolewise.coordinator.cli.exits import (
    FINAL_PHASES,
    INTERRUPTED,
    WAITING,
    Until,
    exit_code_of,
)
from rolewise.coordinator.views import EventView, RolloutView

REDRAW_S = 0.2
EVENTS_SHOWN = 4
SETTLING = frozenset({"Paused", "RolloutCompleted", "RolledBack", "RolloutFailed"})
"""Events behind which a rollout may rest."""

Tell = Callable[[EventView | None], None]
"""Is told each event; and None now and then, when there is none."""


def watch(
    client: Client, rollout: str, *, until: Until, limit_s: float | None, as_json: bool
) -> int:
    """Show a rollout until it rests; return the exit code.

    A terminal gets a screen that is redrawn, everything else one line for each event. Ctrl-C ends
    the watching, never the rollout.
    """
    try:
        if as_json:
            view = follow(client, rollout, until=until, limit_s=limit_s, tell=_tell_json)
        elif render.is_live():
            with render.Screen() as live:
                tell = _Redraw(client, rollout, live)
                view = follow(client, rollout, until=until, limit_s=limit_s, tell=tell)
        else:
            view = follow(client, rollout, until=until, limit_s=limit_s, tell=_tell_line)
    except KeyboardInterrupt:
        render.note(f"{rollout} goes on. See it again: rolewise rollout watch {rollout}")
        return INTERRUPTED
    if not as_json:
        show_end(view, until)
    return exit_code(view, until)


def follow(
    client: Client,
    rollout: str,
    *,
    until: Until,
    limit_s: float | None,
    tell: Tell,
    after: int = 0,
) -> RolloutView:
    """Tell the events behind number `after`; return where the rollout rests when the time is over.

    Raises:
        RolewiseError: `unknown_rollout`; `unavailable` when the server stays away.
    """
    ends = None if limit_s is None else time.monotonic() + limit_s
    view = read_rollout(client, rollout)
    told = after
    if told >= view.sequence and rests(view, until):
        return view
    for event in client.follow(rollout, after=after):
        tell(event)
        told = told if event is None else event.number
        if told >= view.sequence and (event is None or event.type in SETTLING):
            view = read_rollout(client, rollout)
        if told >= view.sequence and rests(view, until):
            break
        if ends is not None and time.monotonic() >= ends:
            return read_rollout(client, rollout)
    return view


def read_rollout(client: Client, rollout: str) -> RolloutView:
    """Return where a rollout stands."""
    return client.read(RolloutView, "rollouts", rollout)


def rests(view: RolloutView, until: Until) -> bool:
    """Tell whether there is nothing more to wait for."""
    waits = view.phase == "paused" and until is Until.PAUSED
    return view.phase in FINAL_PHASES or waits


def exit_code(view: RolloutView, until: Until) -> int:
    """Return the exit code for where a wait has ended."""
    return exit_code_of(view.phase) if rests(view, until) else WAITING


def show_end(view: RolloutView, until: Until) -> None:
    """Tell how a rollout ended, or that the time is over."""
    at = screen.local_time(view.since or datetime.now(UTC))
    render.say(*screen.ending_lines(view, at))
    if not rests(view, until):
        render.note(f"the time is over; {view.id} goes on: rolewise rollout watch {view.id}")
    elif view.phase == "paused":
        verbs = " · ".join(screen.commands_for(view))
        render.note(f"it waits for you: {verbs}")


class _Redraw:
    """Tells by drawing the screen anew, a few times a second at most."""

    def __init__(self, client: Client, rollout: str, live: render.Screen) -> None:
        self._client = client
        self._rollout = rollout
        self._live = live
        self._events: deque[EventView] = deque(maxlen=EVENTS_SHOWN)
        self._drawn = float("-inf")

    def __call__(self, event: EventView | None) -> None:
        if event is not None:
            self._events.append(event)
        if time.monotonic() - self._drawn < REDRAW_S:
            return
        view = read_rollout(self._client, self._rollout)
        lines = [
            *screen.rollout_lines(view, datetime.now(UTC)),
            *(screen.event_line(one, screen.local_time(one.at)) for one in self._events),
            "Ctrl-C leaves the rollout running.",
        ]
        self._live.draw(lines)
        self._drawn = time.monotonic()


def _tell_line(event: EventView | None) -> None:
    if event is not None:
        render.say(screen.event_line(event, screen.local_time(event.at)))


def _tell_json(event: EventView | None) -> None:
    if event is not None:
        render.say_json(event.to_json())
