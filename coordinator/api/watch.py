"""The log of a rollout: as a list, or as it grows (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response

from rolewise.coordinator.api.deps import RolloutPath, Served, Viewer
from rolewise.coordinator.api.examples import EVENTS
from rolewise.coordinator.api.openapi import answers
from rolewise.coordinator.api.streams import MEDIA_TYPE, Streams
from rolewise.coordinator.asking import check_readable
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.coordinator.views import EventsView, view_event

router = APIRouter(prefix="/v1/rollouts", tags=["rollouts"])

KEEP_ALIVE_S = 15.0
AWAY_S = 1.0
"""Time between two looks at a store that is away."""
EVENTS_AT_ONCE = 100
"""Events that a stream holds in memory for its reader, at most."""

_ID_DIGITS = 18


@router.get(
    "/{rollout}/events",
    response_model=EventsView,
    summary="What happened in a rollout",
    description="A list by default. With `Accept: text/event-stream` the events come as they "
    "happen, each with its number as the event's id, so that a client that was cut off goes on "
    "with `Last-Event-ID`. A comment is sent now and then to show that the stream lives. A reader "
    "that takes nothing for half a minute is cut off.",
    responses=answers(
        EVENTS,
        "unknown_rollout",
        "too_many_streams",
        "log_unreadable",
        other={MEDIA_TYPE: f"id: 1\ndata: {EVENTS.events[0].to_json()}\n\n"},
    ),
)
async def read_events(
    request: Request,
    fleets: Served,
    _by: Viewer,
    rollout: RolloutPath,
    after: Annotated[int, Query(ge=0, description="Only events behind this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many, in a list.")] = 1000,
    until: Annotated[
        Literal["end"] | None,
        Query(description="`end`: the stream ends with the rollout's last event."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="Number of the last event that was received; goes before `after`."),
    ] = None,
) -> EventsView | Response:
    """Return events behind a number."""
    after = after if last_event_id is None else _number(last_event_id)
    state = await fleets.journal.rollout(rollout)
    if MEDIA_TYPE in request.headers.get("accept", ""):
        if after >= state.sequence:
            check_readable(state.unread)  # who waits for more would wait for ever
        keep_alive_s: float = request.app.state.keep_alive_s
        events = follow(
            fleets.journal,
            rollout,
            after=after,
            until_end=until == "end",
            keep_alive_s=keep_alive_s,
        )
        streams: Streams = request.app.state.streams
        return streams.answer(events)
    read = await fleets.journal.events(rollout, after=after, limit=limit)
    return EventsView(
        rollout=rollout,
        sequence=state.sequence,
        events=tuple(view_event(number, event, state) for number, event in read),
    )


async def follow(
    journal: Journal, rollout: str, *, after: int, until_end: bool, keep_alive_s: float
) -> AsyncIterator[str]:
    """Yield the events of a rollout behind number `after`, as they happen.

    Args:
        journal: The logs.
        rollout: Its id; it must exist.
        after: Number of the last event that the reader has.
        until_end: End when the rollout has ended and all is told; else never.
        keep_alive_s: Silence after which a comment is sent.
    """
    yield "retry: 1000\n: the log follows\n\n"
    while True:
        try:
            # Events first: what comes between the two reads is then seen to be missing.
            events = await journal.events(rollout, after=after, limit=EVENTS_AT_ONCE)
            state = await journal.rollout(rollout)
            for number, event in events:
                yield f"id: {number}\ndata: {view_event(number, event, state).to_json()}\n\n"
                after = number
            if after < state.sequence:
                continue
            if until_end and state.phase.is_final:
                return
            if state.unread:
                yield f": {state.unread}\n\n"
                return
            if not await journal.wait(rollout, after=after, timeout_s=keep_alive_s):
                yield ": nothing new\n\n"
        except StoreUnavailable:
            yield ": the store is away\n\n"
            await asyncio.sleep(AWAY_S)


def _number(last_event_id: str) -> int:
    text = last_event_id.strip()
    if not text.isascii() or not text.isdigit() or len(text) > _ID_DIGITS:
        raise RolewiseError(
            "bad_input", f"header Last-Event-ID = {last_event_id!r}: want the number of an event"
        )
    return int(text)
