"""The log as a list and as a stream that can be taken up again."""

from __future__ import annotations

import json
from typing import Any

import httpx

from rolewise.coordinator.api.watch import follow
from rolewise.coordinator.rollout.requests import Pause
from tests.api.world import World, check_problem

SSE = {"Accept": "text/event-stream"}
EVENTS = "/v1/rollouts/pair-1/events"


async def start_and_abort(world: World, client: httpx.AsyncClient) -> int:
    """Let a rollout begin and end; return the number of its last event."""
    await client.post("/v1/fleets/pair/rollouts", json={"to": "adder=v2"})
    await world.lead(lambda state: state.pause is not None)
    await client.post("/v1/rollouts/pair-1/abort", json={"reason": "wrong prices"})
    ended = await world.lead(lambda state: state.phase.is_final and state.pending is None)
    return ended.sequence


def parse(stream: str) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for block in stream.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
        )
        if "data" in fields:
            found.append((int(fields["id"]), json.loads(fields["data"])))
    return found


async def test_the_list_has_every_event_once_with_its_sentence(
    world: World, client: httpx.AsyncClient
):
    last = await start_and_abort(world, client)
    whole = (await client.get(EVENTS)).json()
    assert [event["number"] for event in whole["events"]] == list(range(1, last + 1))
    assert whole["sequence"] == last
    told = [event["text"] for event in whole["events"]]
    assert told[0] == "rollout pair-1 started: adder v1 → v2"
    assert told[-1] == "rolled back: wrong prices"
    assert "adder v2: weight 0 → 10 %" in told

    part = (await client.get(f"{EVENTS}?after=2&limit=3")).json()["events"]
    assert part == whole["events"][2:5]
    assert (await client.get(f"{EVENTS}?after={last}")).json()["events"] == []


async def test_a_stream_tells_the_same_and_ends_with_the_rollout(
    world: World, client: httpx.AsyncClient
):
    await start_and_abort(world, client)
    listed = (await client.get(EVENTS)).json()["events"]
    answer = await client.get(f"{EVENTS}?until=end", headers=SSE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = parse(answer.text)
    assert [event for _, event in events] == listed
    assert all(number == event["number"] for number, event in events)


async def test_a_cut_stream_goes_on_behind_the_last_event_id(
    world: World, client: httpx.AsyncClient
):
    last = await start_and_abort(world, client)
    answer = await client.get(f"{EVENTS}?until=end&after=1", headers=SSE | {"Last-Event-ID": "5"})
    assert [number for number, _ in parse(answer.text)] == list(range(6, last + 1))
    ended = await client.get(f"{EVENTS}?until=end", headers=SSE | {"Last-Event-ID": str(last)})
    assert parse(ended.text) == []


async def test_a_live_stream_waits_and_then_tells_what_happens(
    world: World, client: httpx.AsyncClient
):
    await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
    journal = world.fleets.journal
    stream = follow(journal, "pair-1", after=0, until_end=False, keep_alive_s=0.01)
    assert (await anext(stream)).startswith("retry: ")
    ((number, event),) = parse(await anext(stream))
    assert (number, event["type"]) == (1, "RolloutStarted")
    assert await anext(stream) == ": nothing new\n\n"
    await journal.request("pair-1", Pause(at=journal.now, by="ana", reason="lunch"))
    ((number, event),) = parse(await anext(stream))
    assert (number, event["by"], event["text"]) == (2, "ana", "paused: lunch")
    await stream.aclose()


async def test_what_cannot_be_watched_is_a_problem(client: httpx.AsyncClient):
    check_problem(await client.get(EVENTS, headers=SSE), 404, "unknown_rollout")
    await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
    for odd in ("x", "-1", "9" * 40):
        answer = await client.get(EVENTS, headers=SSE | {"Last-Event-ID": odd})
        check_problem(answer, 422, "bad_input")
    check_problem(await client.get(f"{EVENTS}?after=-1"), 422, "bad_input")
    check_problem(await client.get(f"{EVENTS}?limit=0"), 422, "bad_input")
