"""Rollouts by the API: start, look, verbs, refusals; every accepted one is in the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.redis import connect_store
from tests.api.world import World, build_world, check_problem


def waits(state: Rollout) -> bool:
    return state.phase is Phase.PAUSED


def has_ended(state: Rollout) -> bool:
    return state.phase.is_final and state.pending is None


async def start(client: httpx.AsyncClient, to: str = "v2", **headers: str) -> httpx.Response:
    return await client.post("/v1/fleets/pair/rollouts", json={"to": to}, headers=headers)


async def read(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/v1/rollouts/pair-1")
    assert answer.status_code == 200
    view: dict[str, Any] = answer.json()
    return view


async def test_a_plan_shows_stages_in_order_and_starts_nothing(client: httpx.AsyncClient):
    answer = await client.post("/v1/fleets/pair/plans", json={"to": "v2"})
    assert answer.status_code == 200
    plan = answer.json()
    assert [stage["role"] for stage in plan["stages"]] == ["adder", "entry"]
    assert all(stage["reason"] for stage in plan["stages"])
    assert [step["kind"] for step in plan["stages"][0]["steps"]] == [
        "set_weight",
        "pause",
        "set_weight",
    ]
    assert (await client.get("/v1/rollouts")).json() == {"rollouts": []}


async def test_a_rollout_goes_from_start_to_completed_by_promotions(
    world: World, client: httpx.AsyncClient
):
    started = await start(client)
    assert started.status_code == 202
    assert started.headers["location"] == "/v1/rollouts/pair-1"
    assert started.json()["phase"] == "pending"
    assert started.json()["started_by"] == "anonymous@127.0.0.1"

    for _ in range(2):
        await world.lead(waits)
        view = await read(client)
        assert view["pause"]["cause"] == "step"
        assert "promote" in view["allowed_verbs"]
        states = [step["state"] for step in view["stages"][view["stage"] - 1]["steps"]]
        assert states == ["done", "current", "waiting"]
        promoted = await client.post("/v1/rollouts/pair-1/promote", json={"reason": "looks good"})
        assert promoted.status_code == 202
        assert promoted.json()["phase"] == "progressing"
    await world.lead(has_ended)

    view = await read(client)
    assert view["phase"] == "completed"
    assert view["release"] == {"adder": "v2", "entry": "v2", "worker": "v1"}
    assert [stage["status"] for stage in view["stages"]] == ["done", "done"]
    fleet = (await client.get("/v1/fleets/pair")).json()
    assert fleet["release"] == view["release"]
    assert fleet["rollout_phase"] == "completed"
    assert {role["role"]: [(v["version"], v["ready"]) for v in role["versions"]]
            for role in fleet["roles"]} == {
        "adder": [("v2", 1)],
        "entry": [("v2", 1)],
        "worker": [("v1", 1)],
    }  # fmt: skip
    assert fleet["alerts"] == []


async def test_abort_rolls_back_and_says_why(world: World, client: httpx.AsyncClient):
    await start(client)
    await world.lead(waits)
    answer = await client.post("/v1/rollouts/pair-1/abort", json={"reason": "wrong prices"})
    assert answer.status_code == 202
    assert answer.json()["phase"] == "rolling_back"
    await world.lead(has_ended)
    view = await read(client)
    assert view["phase"] == "rolled_back"
    assert view["rollback"] | {"since": ""} == {
        "reason": "wrong prices",
        "by": "anonymous@127.0.0.1",
        "since": "",
        "roles": ["adder"],
        "facts": [],
    }
    assert view["release"]["adder"] == "v1"
    assert [step["state"] for step in view["stages"][0]["steps"]] == ["done", "stopped", "skipped"]


async def test_abort_wants_a_reason(client: httpx.AsyncClient):
    await start(client)
    problem = check_problem(
        await client.post("/v1/rollouts/pair-1/abort", json={}), 422, "bad_input"
    )
    assert problem["errors"] == [{"path": "body.reason", "value": "", "message": "is missing"}]
    blank = await client.post("/v1/rollouts/pair-1/abort", json={"reason": "  "})
    assert check_problem(blank, 422, "bad_input")["errors"][0]["path"] == "body.reason"
    check_problem(await client.post("/v1/rollouts/pair-1/abort"), 422, "bad_input")
    assert (await read(client))["sequence"] == 1


async def test_pause_and_resume(world: World, client: httpx.AsyncClient):
    await start(client)
    paused = await client.post("/v1/rollouts/pair-1/pause", json={"reason": "lunch"})
    assert (paused.status_code, paused.json()["reason"]) == (202, "lunch")
    again = await client.post("/v1/rollouts/pair-1/pause")
    assert check_problem(again, 409, "verb_refused")["details"] == [
        "resume",
        "promote_full",
        "abort",
    ]
    resumed = await client.post("/v1/rollouts/pair-1/resume")
    assert (resumed.status_code, resumed.json()["phase"]) == (202, "progressing")


@pytest.mark.parametrize("verb", ["resume", "promote", "retry", "undo"])
async def test_a_verb_in_the_wrong_phase_is_refused_with_what_is_allowed(
    client: httpx.AsyncClient, verb: str
):
    await start(client)
    problem = check_problem(await client.post(f"/v1/rollouts/pair-1/{verb}"), 409, "verb_refused")
    assert problem["details"] == ["pause", "abort"]
    assert (await read(client))["sequence"] == 1


async def test_promote_in_full_skips_the_steps_that_remain(world: World, client: httpx.AsyncClient):
    await start(client, to="adder=v2")
    await world.lead(waits)
    await client.post("/v1/rollouts/pair-1/promote", json={"full": True})
    await world.lead(has_ended)
    view = await read(client)
    assert view["phase"] == "completed"
    assert [step["state"] for step in view["stages"][0]["steps"]] == ["done", "done", "skipped"]


async def test_retry_tries_again_and_undo_begins_a_rollout_back(
    world: World, client: httpx.AsyncClient
):
    await start(client, to="adder=v2")
    await world.lead(waits)
    await client.post("/v1/rollouts/pair-1/abort", json={"reason": "not yet"})
    await world.lead(has_ended)
    retried = await client.post("/v1/rollouts/pair-1/retry")
    assert (retried.status_code, retried.json()["attempt"]) == (202, 2)
    await world.lead(waits)
    await client.post("/v1/rollouts/pair-1/promote")
    await world.lead(has_ended)

    undone = await client.post("/v1/rollouts/pair-1/undo", json={"reason": "changed my mind"})
    assert undone.status_code == 202
    assert undone.headers["location"] == "/v1/rollouts/pair-2"
    assert undone.json()["id"] == "pair-2"
    assert undone.json()["to_release"]["adder"] == "v1"


async def test_if_match_lets_the_first_win(client: httpx.AsyncClient):
    await start(client)
    etag = (await client.get("/v1/rollouts/pair-1")).headers["etag"]
    first = await client.post("/v1/rollouts/pair-1/pause", headers={"If-Match": etag})
    assert first.status_code == 202
    assert first.headers["etag"] != etag
    late = await client.post(
        "/v1/rollouts/pair-1/abort", json={"reason": "x"}, headers={"If-Match": etag}
    )
    check_problem(late, 412, "stale_sequence")
    check_problem(
        await client.post("/v1/rollouts/pair-1/undo", headers={"If-Match": etag}),
        412,
        "stale_sequence",
    )
    any_ = await client.post("/v1/rollouts/pair-1/resume", headers={"If-Match": "*"})
    assert any_.status_code == 202
    odd = await client.post("/v1/rollouts/pair-1/pause", headers={"If-Match": '"abc"'})
    check_problem(odd, 422, "bad_input")


async def test_the_same_key_starts_one_rollout_also_after_it_has_ended(
    world: World, client: httpx.AsyncClient
):
    first = await start(client, to="adder=v2", **{"Idempotency-Key": "k1"})
    again = await start(client, to="adder=v2", **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    other = await start(client, to="v2", **{"Idempotency-Key": "k1"})
    check_problem(other, 422, "key_reused")

    await world.lead(waits)
    await client.post("/v1/rollouts/pair-1/promote")
    await world.lead(has_ended)
    late = await start(client, to="adder=v2", **{"Idempotency-Key": "k1"})
    assert (late.status_code, late.json()["id"]) == (200, "pair-1")
    assert late.json()["phase"] == "completed"


async def test_a_second_rollout_waits_for_the_first(client: httpx.AsyncClient):
    await start(client)
    problem = check_problem(await start(client), 409, "rollout_in_progress")
    assert "pair-1" in problem["detail"]


async def test_a_plan_that_cannot_run_lists_every_problem(client: httpx.AsyncClient):
    for path in ("plans", "rollouts"):
        answer = await client.post(f"/v1/fleets/pair/{path}", json={"to": "adder=v9,nobody=v1"})
        problem = check_problem(answer, 422, "plan_refused")
        assert len(problem["details"]) == 2
    broken = await client.post("/v1/fleets/pair/rollouts", json={"to": "broken"})
    assert "NotThere" in check_problem(broken, 422, "plan_refused")["detail"]
    assert (await client.get("/v1/rollouts")).json() == {"rollouts": []}


async def test_rollouts_are_listed_newest_first_and_filtered(
    world: World, client: httpx.AsyncClient
):
    await start(client, to="adder=v2")
    await client.post("/v1/rollouts/pair-1/abort", json={"reason": "x"})
    await world.lead(has_ended)
    await start(client)

    async def ids(query: str) -> list[str]:
        answer = await client.get(f"/v1/rollouts{query}")
        return [one["id"] for one in answer.json()["rollouts"]]

    assert await ids("") == ["pair-2", "pair-1"]
    assert await ids("?fleet=pair&limit=1") == ["pair-2"]
    assert await ids("?phase=rolled_back") == ["pair-1"]
    check_problem(await client.get("/v1/rollouts?fleet=nobody"), 404, "unknown_fleet")
    check_problem(await client.get("/v1/rollouts?phase=odd"), 422, "bad_input")
    check_problem(await client.get("/v1/rollouts/nobody-1"), 404, "unknown_rollout")


async def test_the_verdict_is_there_once_the_judge_has_spoken(
    world: World, client: httpx.AsyncClient
):
    await start(client)
    check_problem(await client.get("/v1/rollouts/pair-1/verdict"), 404, "not_found")
    await world.lead(waits)
    verdict = (await client.get("/v1/rollouts/pair-1/verdict")).json()
    assert verdict["ruling"] == "no_data"
    assert [signal["name"] for signal in verdict["signals"]] == [
        "completion",
        "tool-errors",
        "latency-p95",
    ]
    assert (await read(client))["verdict"] == verdict


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[tuple[World, str]]:
    server = EmbeddedServer(tmp_path / "store")
    server.start()
    store = await connect_store(server.url)
    try:
        yield await build_world(store), server.url
    finally:
        await store.close()
        server.stop()


async def test_what_is_answered_with_202_is_in_the_real_store(durable: tuple[World, str]):
    world, url = durable
    async with world.at() as client:
        assert (await start(client)).status_code == 202
        await world.lead(waits)
        aborted = await client.post("/v1/rollouts/pair-1/abort", json={"reason": "wrong prices"})
        assert aborted.status_code == 202
    other = await connect_store(url)
    try:
        state = await Journal(other, lambda: datetime.now(UTC)).rollout("pair-1")
    finally:
        await other.close()
    assert state.sequence == aborted.json()["sequence"]
    assert state.phase is Phase.ROLLING_BACK
    assert state.aborted_by == "anonymous@127.0.0.1"


async def test_an_answered_verb_is_in_the_memory_store_too(world: World, client: httpx.AsyncClient):
    await start(client)
    paused = await client.post("/v1/rollouts/pair-1/pause")
    state = await Journal(world.store, lambda: datetime.now(UTC)).rollout("pair-1")
    assert (state.phase, state.sequence) == (Phase.PAUSED, paused.json()["sequence"])
