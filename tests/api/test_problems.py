"""Errors, tokens, the guard: every way to be refused, and that nothing else comes through."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from rolewise.agents.errors import Overloaded
from rolewise.coordinator.api.access import Identity, Role, Token
from rolewise.coordinator.errors import ERROR_KINDS
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.journal import Journal
from rolewise.fleet.local.clock import LoopClock
from rolewise.fleet.local.runtime import LocalRuntime
from tests.api.world import World, build_world, check_problem
from tests.support.away_store import AwayStore

START = {"to": "v2"}


def token(name: str, role: Role) -> Token:
    digest = hashlib.sha256(f"{name}-secret".encode()).digest()
    return Token(identity=Identity(name=name, role=role), digest=digest)


TOKENS = (
    token("page", Role.VIEWER),
    token("ana", Role.OPERATOR),
    token("root", Role.ADMIN),
)


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-secret"}


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient):
    check_problem(await client.get("/v2"), 404, "not_found")
    answer = await client.delete("/v1/fleets")
    check_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
    check_problem(await client.get("/v1/fleets/nobody"), 404, "unknown_fleet")
    check_problem(await client.post("/v1/fleets/nobody/rollouts", json=START), 404, "unknown_fleet")
    check_problem(await client.get("/v1/fleets/nobody/graph"), 404, "unknown_fleet")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"{}", "body.to"),
        (b'{"to": 2}', "body.to"),
        (b'{"to": ""}', "body.to"),
        (b'{"to": "v2", "weigth": 5}', "body.weigth"),
        (b'{"to": "v2", "reason": null}', "body.reason"),
    ],
)
async def test_bodies_that_do_not_fit_name_the_field(
    client: httpx.AsyncClient, body: bytes, path: str
):
    answer = await client.post(
        "/v1/fleets/pair/rollouts", content=body, headers={"Content-Type": "application/json"}
    )
    problem = check_problem(answer, 422, "bad_input")
    assert [error["path"] for error in problem["errors"]] == [path]
    assert problem["errors"][0]["message"]
    assert (await client.get("/v1/rollouts")).json() == {"rollouts": []}


async def test_every_wrong_field_is_listed(client: httpx.AsyncClient):
    answer = await client.post("/v1/fleets/pair/rollouts", json={"to": 1, "reason": 2})
    problem = check_problem(answer, 422, "bad_input")
    assert [(error["path"], error["value"]) for error in problem["errors"]] == [
        ("body.to", "1"),
        ("body.reason", "2"),
    ]
    assert len(problem["details"]) == 2


async def test_bodies_beyond_the_limit_are_not_read(world: World):
    async with world.at(body_limit=100) as client:
        check_problem(
            await client.post("/v1/fleets/pair/tasks", json={"body": "x" * 200}), 413, "too_large"
        )

        async def drip():
            for _ in range(200):
                yield b"x"

        answer = await client.post("/v1/fleets/pair/tasks", content=drip())
        check_problem(answer, 413, "too_large")
        assert (await client.get("/v1/fleets/pair")).json()["tasks"]["submitted"] == 0


async def test_each_problem_has_a_page_that_explains_it(client: httpx.AsyncClient):
    for code, kind in ERROR_KINDS.items():
        page = (await client.get(f"/v1/problems/{code}")).json()
        assert (page["code"], page["status"], page["meaning"]) == (code, kind.status, kind.meaning)
    check_problem(await client.get("/v1/problems/odd"), 404, "not_found")


async def test_tokens_decide_who_may_do_what(world: World):
    task = "/v1/fleets/pair/tasks"
    async with world.at(access=TOKENS) as client:
        nobody = await client.get("/v1/fleets")
        check_problem(nobody, 401, "unauthorized")
        assert nobody.headers["www-authenticate"] == "Bearer"
        wrong = await client.get("/v1/fleets", headers={"Authorization": "Bearer wrong"})
        check_problem(wrong, 401, "unauthorized")
        assert "wrong" not in wrong.text

        page = bearer("page")
        assert (await client.get("/v1/fleets", headers=page)).status_code == 200
        planned = await client.post("/v1/fleets/pair/plans", json=START, headers=page)
        assert planned.status_code == 200
        check_problem(await client.post(task, json={}, headers=page), 403, "forbidden")
        started = await client.post("/v1/fleets/pair/rollouts", json=START, headers=page)
        check_problem(started, 403, "forbidden")

        ana = bearer("ana")
        started = await client.post("/v1/fleets/pair/rollouts", json=START, headers=ana)
        assert (started.status_code, started.json()["started_by"]) == (202, "ana")
        refused = await client.post("/v1/rollouts/pair-1/pause", headers=page)
        check_problem(refused, 403, "forbidden")
        paused = await client.post("/v1/rollouts/pair-1/pause", headers=bearer("root"))
        assert paused.json()["pause"]["by"] == "root"
        assert (await client.post(task, json={}, headers=ana)).status_code == 202

        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/v1/problems/forbidden")).status_code == 200


async def test_every_path_under_v1_wants_a_token(world: World):
    async with world.at(access=TOKENS) as client:
        document = (await client.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            if not path.startswith("/v1/") or path.startswith("/v1/problems"):
                continue
            for method in operations:
                answer = await client.request(
                    method, path.format(fleet="pair", rollout="pair-1", task="t"), json={}
                )
                assert answer.status_code == 401, (method, path)


async def test_other_sites_cannot_act_through_a_browser(client: httpx.AsyncClient):
    evil = {"Origin": "http://evil.example"}
    answer = await client.post("/v1/fleets/pair/rollouts", json=START, headers=evil)
    check_problem(answer, 403, "forbidden")
    rebound = await client.get("/v1/fleets", headers={"Host": "evil.example"})
    check_problem(rebound, 403, "forbidden")
    own = {"Origin": "http://127.0.0.1"}
    accepted = await client.post("/v1/fleets/pair/rollouts", json=START, headers=own)
    assert accepted.status_code == 202
    for host in ("localhost:8787", "127.0.0.1:1", "[::1]:8787"):
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


async def test_with_tokens_any_host_name_will_do(world: World):
    async with world.at(access=TOKENS) as client:
        headers = bearer("page") | {"Host": "rolewise.example"}
        assert (await client.get("/v1/fleets", headers=headers)).status_code == 200


async def test_a_store_that_is_away_is_503_and_readiness_says_so():
    store = AwayStore(LoopClock())
    world = await build_world(store)
    async with world.at() as client:
        assert (await client.get("/readyz")).json() == {"ready": True, "problems": []}
        store.is_away = True
        answer = await client.post("/v1/fleets/pair/rollouts", json=START)
        problem = check_problem(answer, 503, "store_unavailable")
        assert problem["definite"] is False
        assert "the store is away since 20" in problem["detail"]
        assert answer.headers["retry-after"]
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert "no answer" in ready.json()["problems"][0]
        assert (await client.get("/healthz")).status_code == 200


async def test_readiness_asks_the_server_too(world: World):
    async def starting() -> list[str]:
        return ["fleet pair is starting"]

    async with world.at(ready=starting) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["problems"]) == (503, ["fleet pair is starting"])


class FullRuntime(LocalRuntime):
    async def submit(self, request: object) -> None:
        raise Overloaded("7 tasks are in flight; the limit is 7")


class FaultyRuntime(LocalRuntime):
    async def submit(self, request: object) -> None:
        raise LookupError("a secret detail")


def with_runtime(world: World, runtime: LocalRuntime) -> World:
    journal: Journal = world.fleets.journal
    world.fleets = Fleets(journal=journal, runtimes={"pair": runtime}, draw_salt=str)
    return world


async def test_a_full_fleet_is_429_and_says_when_to_come_back(world: World):
    async with with_runtime(world, FullRuntime(entry=("entry",), seed=1)).at() as client:
        answer = await client.post("/v1/fleets/pair/tasks", json={})
        check_problem(answer, 429, "too_many_tasks")
        assert answer.headers["retry-after"]


async def test_a_fault_of_ours_is_a_problem_without_its_insides(world: World):
    async with with_runtime(world, FaultyRuntime(entry=("entry",), seed=1)).at() as client:
        answer = await client.post("/v1/fleets/pair/tasks", json={})
        problem = check_problem(answer, 500, "internal")
        assert problem["definite"] is False
        assert "secret" not in answer.text
