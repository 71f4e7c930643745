"""Tasks from submission to their end; the graphs that they leave."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import networkx as nx
import pytest

from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from tests.api.world import World, check_problem

TASKS = "/v1/fleets/pair/tasks"


async def submit(client: httpx.AsyncClient, **task: Any) -> httpx.Response:
    return await client.post(TASKS, json=task)


async def end_of(client: httpx.AsyncClient, task: str) -> dict[str, Any]:
    view: dict[str, Any] = (await client.get(f"{TASKS}/{task}?wait=20s")).json()
    return view


async def test_a_task_is_accepted_and_its_end_can_be_awaited(client: httpx.AsyncClient):
    body = {"do": "add", "a": 2, "b": 3}
    accepted = await submit(client, id="t-1", body=body, attributes={"team": "qa"})
    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"{TASKS}/t-1"
    assert (accepted.json()["id"], accepted.json()["outcome"]) == ("t-1", "running")
    ended = await end_of(client, "t-1")
    assert (ended["outcome"], ended["result"], ended["error"]) == ("completed", 5, "")
    assert ended["latency_s"] >= 0
    assert (await client.get("/v1/tasks/t-1")).json() == ended


async def test_a_task_without_an_id_gets_one(client: httpx.AsyncClient):
    first, second = (await submit(client)).json(), (await submit(client)).json()
    assert first["id"] != second["id"]
    assert (await end_of(client, first["id"]))["result"]["task"] == first["id"]


async def test_submitting_an_id_again_changes_nothing(client: httpx.AsyncClient):
    await submit(client, id="t-1", body={"do": "add", "a": 1, "b": 1})
    again = await submit(client, id="t-1", body={"do": "add", "a": 9, "b": 9})
    assert again.status_code == 202
    assert (await end_of(client, "t-1"))["result"] == 2
    assert (await client.get("/v1/fleets/pair")).json()["tasks"]["submitted"] == 1


async def test_a_retry_and_a_session_get_the_arms_that_they_had(
    client: httpx.AsyncClient, world: World
):
    trial = RoleRoute(role="adder", stable="v1", canary="v2", weight=50.0, salt="pepper")
    routes = [RoleRoute(role=role, stable="v1") for role in ("worker", "entry")]
    for number, route in enumerate((trial, replace(trial, bucket_by="conversation")), start=2):
        table = RoutingTable(number=number, routes=(route, *routes))
        await world.runtime.install(table, fencing=0)
        seen = set()
        for n in range(12):
            first = (await submit(client, id=f"{number}-{n}", conversation=f"s{n}")).json()["arms"]
            more = {"conversation": f"s{n}"} if number == 3 else {"retry_of": f"{number}-{n}"}
            assert (await submit(client, **more)).json()["arms"] == first
            seen.add(first["adder"])
        assert seen == {"canary", "baseline"}


async def test_a_result_that_waited_too_long_is_gone_and_says_why(
    client: httpx.AsyncClient, world: World
):
    world.runtime._gateway._accounts._results_kept_s = 0.0
    await submit(client, id="t-1", body={"do": "add", "a": 2, "b": 3})
    await world.runtime.result("t-1", wait_s=0.0)
    for path in (f"{TASKS}/t-1?wait=20s", "/v1/tasks/t-1?wait=20s"):
        problem = check_problem(await client.get(path), 404, "task_expired")
        assert "task 't-1' has completed" in problem["detail"]
        assert "expired" in problem["detail"]
    check_problem(await client.get(f"{TASKS}/t-2"), 404, "unknown_task")


async def test_a_failed_and_a_late_task_say_so(client: httpx.AsyncClient):
    await submit(client, id="bad", body={"do": "relay", "body": {"do": "raise"}})
    sleeps = {"do": "relay", "body": {"do": "wait_for_ever"}}
    await submit(client, id="late", body=sleeps, timeout_s=0.05)
    bad, late = await end_of(client, "bad"), await end_of(client, "late")
    assert bad["outcome"] == "failed"
    assert "broken on purpose" in bad["error"]
    assert late["outcome"] == "timed_out"
    counts = (await client.get("/v1/fleets/pair")).json()["tasks"]
    assert counts == {"submitted": 2, "running": 0, "completed": 0, "failed": 1, "timed_out": 1}


@pytest.mark.parametrize(
    ("task", "path"),
    [
        ({"timeout_s": 0}, "body.timeout_s"),
        ({"timeout_s": "10"}, "body.timeout_s"),
        ({"id": "a/b"}, "body.id"),
        ({"id": ""}, "body.id"),
        ({"attributes": [1]}, "body.attributes"),
        ({"colour": "red"}, "body.colour"),
    ],
)
async def test_a_task_that_does_not_fit_is_refused_by_field(
    client: httpx.AsyncClient, task: dict[str, Any], path: str
):
    problem = check_problem(await submit(client, **task), 422, "bad_input")
    assert [error["path"] for error in problem["errors"]] == [path]
    assert (await client.get("/v1/fleets/pair")).json()["tasks"]["submitted"] == 0


async def test_unknown_roles_tasks_and_waits_are_problems(client: httpx.AsyncClient):
    for role in ("adder", "nobody"):
        problem = check_problem(await submit(client, role=role), 422, "bad_input")
        assert "entry" in problem["detail"]
    check_problem(await client.get(f"{TASKS}/t-0"), 404, "unknown_task")
    check_problem(await client.get("/v1/tasks/t-0"), 404, "unknown_task")
    for odd in ("10", "61s", "soon"):
        check_problem(await client.get(f"{TASKS}/t-0?wait={odd}"), 422, "bad_input")


async def test_the_graph_comes_in_four_forms(client: httpx.AsyncClient):
    await submit(client, id="t-1", body={"do": "add", "a": 2, "b": 3})
    await end_of(client, "t-1")
    graph = (await client.get("/v1/fleets/pair/graph")).json()
    assert {node["id"] for node in graph["nodes"]} >= {"entry@v1", "adder@v1"}
    edges = [(edge["source"], edge["target"], edge["kind"]) for edge in graph["edges"]]
    assert ("entry@v1", "adder@v1", "add") in edges

    roles = (await client.get("/v1/fleets/pair/graph?view=role&last=60s")).json()
    assert {node["id"] for node in roles["nodes"]} >= {"entry", "adder"}

    dot = await client.get("/v1/fleets/pair/graph?format=dot")
    assert dot.headers["content-type"].startswith("text/vnd.graphviz")
    assert '"entry@v1" -> "adder@v1"' in dot.text

    graphml = await client.get("/v1/fleets/pair/graph?format=graphml")
    assert graphml.headers["content-type"].startswith("application/graphml+xml")
    read = nx.read_graphml(io.BytesIO(graphml.content), force_multigraph=True)
    assert read.has_edge("entry@v1", "adder@v1")

    svg = await client.get("/v1/fleets/pair/graph?format=svg")
    assert svg.headers["content-type"].startswith("image/svg+xml")
    assert "entry@v1 to adder@v1: add 1" in svg.text

    for odd in ("format=png", "view=cell", "last=-1s"):
        check_problem(await client.get(f"/v1/fleets/pair/graph?{odd}"), 422, "bad_input")


async def look(
    client: httpx.AsyncClient, holds: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Look at the waits until they are as wanted; every look lets the fleet run on."""
    for _ in range(200):
        waits: dict[str, Any] = (await client.get("/v1/fleets/pair/waits")).json()
        if holds(waits):
            return waits
    raise AssertionError(f"it never came so far: {waits}")


async def test_waits_show_who_waits_for_whom(client: httpx.AsyncClient):
    sleeps = {"do": "relay", "body": {"do": "wait_for_ever"}}
    await submit(client, id="stuck", body=sleeps, timeout_s=5.0)
    waits = await look(
        client, lambda seen: any("#" in one["waits_for"][0] for one in seen["waits"])
    )
    (wait,) = waits["waits"]
    assert (wait["task"], wait["kind"], wait["need"]) == ("stuck", "reply", 1)
    assert wait["replica"].startswith("entry@v1")
    assert wait["waits_for"][0].startswith("worker@v1")
    assert "stuck" in wait["text"]
    assert waits["deadlocks"] == []


async def test_a_deadlock_is_told_with_its_cycle(client: httpx.AsyncClient):
    # A worker asks a worker, and so on, until all of its slots wait for one more.
    mutual = {"do": "relay", "body": {"do": "mutual"}}
    await submit(client, id="circle", body=mutual, timeout_s=20.0)
    waits = await look(client, lambda seen: bool(seen["deadlocks"]))
    (deadlock,) = waits["deadlocks"]
    assert deadlock["nodes"] == ["worker@v1"]
    assert deadlock["tasks"] == ["circle"]
    assert "worker@v1" in deadlock["sentence"]
    assert deadlock["cycle"]


async def test_a_snapshot_is_saved_and_analysed_later(client: httpx.AsyncClient):
    mutual = {"do": "relay", "body": {"do": "mutual"}}
    await submit(client, id="circle", body=mutual, timeout_s=20.0)
    await look(client, lambda seen: bool(seen["deadlocks"]))
    path = "/v1/fleets/pair/waits?format=snapshot"
    first, later = (await client.get(path)).json(), (await client.get(path)).json()
    assert {one["role"] for one in first["replicas"]} == {"entry", "worker", "adder"}
    answer = await client.post("/v1/waits/deadlocks", json={"snapshot": first, "later": later})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["confirmed"], found["hard"]["stuck"]) == (True, [])
    (core,) = found["soft"]["cores"]
    assert {wait["id"] for wait in found["cycle"]} <= set(core)
    assert found["cycle"][0]["in_words"].startswith("task circle: worker@v1#")
    alone = (await client.post("/v1/waits/deadlocks", json={"snapshot": first})).json()
    assert not alone["confirmed"]
    assert alone["soft"] == found["soft"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "body.snapshot"),
        ({"snapshot": {"replicas": [{"replica": "a"}]}}, "body.snapshot.replicas.0.role"),
        ({"snapshot": {"replicas": 3}}, "body.snapshot.replicas"),
        ({"snapshot": {"replicas": []}, "later": {}}, "body.later.replicas"),
    ],
)
async def test_a_snapshot_that_does_not_fit_is_refused_by_field(
    client: httpx.AsyncClient, body: dict[str, Any], path: str
):
    problem = check_problem(await client.post("/v1/waits/deadlocks", json=body), 422, "bad_input")
    assert path in [error["path"] for error in problem["errors"]]
