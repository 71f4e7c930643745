"""Baseline and canary side by side: of a fleet on trial, and of recordings that are sent."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import httpx
import pytest

from tests.api.test_tasks_and_graph import end_of, submit
from tests.api.world import World, check_problem

DIFF = "/v1/graph/diff"
RETAIL = Path(__file__).parents[2] / "configs" / "traces" / "tau1_retail_strategies.jsonl.gz"
BOTH = {
    "stable": "tool-calling/unstated",
    "canary": "tool-calling-with-preconditions/unstated",
}


async def test_a_trials_arms_are_told_apart_edge_by_edge(world: World):
    async with world.at() as client:
        await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
        await world.lead(lambda state: state.phase.value == "paused")
        for number in range(60):
            await submit(client, id=f"t-{number}", body={"do": "add", "a": 1, "b": number})
        for number in range(60):
            await end_of(client, f"t-{number}")
        view = (await client.get("/v1/fleets/pair/graph/diff")).json()

    edges = {(edge["source"], edge["target"], edge["kind"]): edge for edge in view["edges"]}
    asked = edges["entry", "adder", "add"]
    assert asked["change"] == "same"
    assert asked["baseline"]["per_task"] == asked["canary"]["per_task"] == 1.0
    assert view["tasks_baseline"] + view["tasks_canary"] == 60
    assert view["tasks_canary"] > 0
    assert view["patterns"] is None, "these are in the rollout's verdict"


async def test_without_a_trial_there_is_nothing_to_compare(client: httpx.AsyncClient):
    view = (await client.get("/v1/fleets/pair/graph/diff?last=60s")).json()

    assert (view["edges"], view["tasks_baseline"], view["tasks_canary"]) == ([], 0, 0)
    check_problem(await client.get("/v1/fleets/none/graph/diff"), 404, "unknown_fleet")
    check_problem(await client.get("/v1/fleets/pair/graph/diff?last=x"), 422, "bad_input")


@pytest.mark.parametrize("packed", [True, False])
async def test_recordings_that_are_sent_are_compared(client: httpx.AsyncClient, packed: bool):
    lines = [
        line
        for line in gzip.decompress(RETAIL.read_bytes()).decode().splitlines()
        if not json.loads(line)["versions"]["agent"].startswith("assertions")
    ][:60]
    data = "\n".join(lines).encode()
    sent = gzip.compress(data) if packed else data
    body = {"stable": "trace_id=" + json.loads(lines[0])["trace_id"], "canary": "fleet=none"}

    view = (await client.post(DIFF, params=BOTH, content=RETAIL.read_bytes())).json()
    assert view["patterns"]["state"] == "alarm"
    assert view["patterns"]["follows"] == "pause"
    assert view["patterns"]["changed"] == ["agent"]
    assert (view["tasks_baseline"], view["tasks_canary"]) == (100, 100)
    assert sum(view["changes"].values()) == len(view["edges"])

    problem = check_problem(await client.post(DIFF, params=body, content=sent), 422, "bad_input")
    assert "matches none of 60 tasks" in problem["detail"]


@pytest.mark.parametrize(
    ("params", "content", "words"),
    [
        (BOTH, b"{}\n", "body, line 1: messages is missing"),
        (BOTH, b"\xff", "body: not UTF-8"),
        (BOTH, b"\x1f\x8b broken", "body: the gzip data is broken"),
        ({"stable": "", "canary": "x"}, b"", "selector is empty"),
    ],
)
async def test_what_is_no_recording_is_told(
    client: httpx.AsyncClient, params: dict[str, str], content: bytes, words: str
):
    problem = check_problem(
        await client.post(DIFF, params=params, content=content), 422, "bad_input"
    )
    assert words in problem["detail"]


async def test_both_versions_must_be_named(client: httpx.AsyncClient):
    problem = check_problem(await client.post(DIFF, content=b""), 422, "bad_input")
    assert {error["path"] for error in problem["errors"]} == {"query.stable", "query.canary"}


async def test_no_task_may_be_on_both_sides(client: httpx.AsyncClient):
    same = {"stable": BOTH["stable"], "canary": BOTH["stable"]}
    problem = check_problem(
        await client.post(DIFF, params=same, content=RETAIL.read_bytes()), 422, "bad_input"
    )
    assert "both choose 100 tasks" in problem["detail"]
