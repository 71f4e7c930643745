"""The bundled server is killed while a rollout runs: what the API says, and what comes after.

The real API on a real server, with a fleet in this process and its controller running.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from rolewise.coordinator.cli.screen import rollout_lines
from rolewise.coordinator.store.data_directory import DataDirectory
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.keeper import StoreKeeper
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.coordinator.store.redis import RedisStore, connect_store
from rolewise.coordinator.views import RolloutView
from tests.api.world import World, build_world, check_problem
from tests.support.redis_servers import real_server

SOON_S = 20.0
ROLLOUT = "/v1/rollouts/pair-1"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "store") as server:
        yield server


@pytest.fixture
async def world(server: EmbeddedServer) -> AsyncIterator[World]:
    store = await connect_store(server.url)
    world = await build_world(store)
    leading = asyncio.create_task(world.controller.run())
    yield world
    leading.cancel()
    with suppress(asyncio.CancelledError):
        await leading
    await store.close()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.at(keep_alive_s=0.1) as client:
        yield client


def kill(directory: Path) -> int:
    """Kill the server of a directory, wait until it is gone, and return its pid."""
    pid = DataDirectory(directory).server_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


async def gone(server: EmbeddedServer, directory: Path) -> None:
    kill(directory)
    assert await asyncio.to_thread(server.wait_for_end, SOON_S) == "it was ended by SIGKILL"


async def seen(read: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Look until it is as wanted."""
    async with asyncio.timeout(SOON_S):
        while not holds(answer := await read()):
            await asyncio.sleep(0.02)
    return answer


async def in_phase(client: httpx.AsyncClient, phase: str) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        view: dict[str, Any] = (await client.get(ROLLOUT)).json()
        return view

    found: dict[str, Any] = await seen(read, lambda view: view.get("phase") == phase)
    return found


async def test_while_it_is_dead_the_fleet_works_verbs_get_503_and_then_all_goes_on(
    tmp_path: Path, server: EmbeddedServer, world: World, client: httpx.AsyncClient
) -> None:
    await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
    paused = await in_phase(client, "paused")
    accepted = (await client.get(f"{ROLLOUT}/events")).json()["events"]
    tables = {(r.replica, r.table) for r in (await world.runtime.observe()).replicas}
    assert (await client.get("/readyz")).json() == {"ready": True, "problems": []}

    await gone(server, tmp_path / "store")

    for verb, body in (("promote", {}), ("abort", {"reason": "x"}), ("pause", {})):
        answer = await client.post(f"{ROLLOUT}/{verb}", json=body)
        problem = check_problem(answer, 503, "store_unavailable")
        assert answer.headers["retry-after"]
        assert "the store is away since" in problem["detail"]
        assert "fleets serve on" in problem["detail"]
        assert problem["hint"]
    answer = await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
    check_problem(answer, 503, "store_unavailable")

    submitted = await client.post("/v1/fleets/pair/tasks", json={"id": "t-1"})
    assert submitted.status_code == 202
    assert (await client.get("/v1/tasks/t-1?wait=10s")).json()["outcome"] == "completed"

    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "the store is away since" in ready.json()["problems"][0]
    assert (await client.get("/healthz")).status_code == 200
    fleet = (await client.get("/v1/fleets/pair")).json()
    assert fleet["rollout_phase"] == "paused"
    assert any("the store is away since" in alert for alert in fleet["alerts"])
    shown = (await client.get(ROLLOUT)).json()
    assert "the store is away since" in shown["alerts"][0]
    assert {**shown, "alerts": [], "verdict": None} == {**paused, "verdict": None}
    view = RolloutView.model_validate_json((await client.get(ROLLOUT)).text)
    assert any("! the store is away since" in line for line in rollout_lines(view, view.since))
    assert {(r.replica, r.table) for r in (await world.runtime.observe()).replicas} == tables

    await asyncio.to_thread(server.start)

    async def read() -> int:
        return (await client.get("/readyz")).status_code

    await seen(read, lambda status: status == 200)
    assert (await client.get(ROLLOUT)).json()["alerts"] == []
    log = (await client.get(f"{ROLLOUT}/events")).json()["events"]
    assert log[: len(accepted)] == accepted, "nothing that was accepted is lost"
    assert (await client.post(f"{ROLLOUT}/promote", json={"full": True})).status_code == 202
    await in_phase(client, "completed")
    log = (await client.get(f"{ROLLOUT}/events")).json()["events"]
    assert [event["number"] for event in log] == list(range(1, len(log) + 1))
    assert [event["type"] for event in log].count("Promoted") == 1


@pytest.mark.parametrize(
    ("setting", "value", "healthy", "code"),
    [
        ("maxmemory", "1", "0", "store_full"),
        ("min-replicas-to-write", "1", "0", "store_read_only"),
    ],
)
async def test_a_store_that_can_only_be_read_refuses_verbs_and_shows_the_rest(
    tmp_path: Path, setting: str, value: str, healthy: str, code: str
) -> None:
    with real_server(tmp_path / "outside") as outside:
        store = await connect_store(outside.url)
        world = await build_world(store)
        async with world.at() as client:
            await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
            outside.operator.config_set(setting, value)
            answer = await client.post(f"{ROLLOUT}/abort", json={"reason": "x"})
            problem = check_problem(answer, 503, code)
            assert problem["definite"]
            assert "the store is away since" in problem["detail"]
            assert answer.headers["retry-after"]
            for path in (ROLLOUT, "/v1/fleets/pair"):
                alerts = (await client.get(path)).json()["alerts"]
                assert any("the store is away since" in alert for alert in alerts)
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/readyz")).status_code == 503, "reading does not cure it"
            outside.operator.config_set(setting, healthy)
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get(ROLLOUT)).json()["alerts"] == []
            answer = await client.post(f"{ROLLOUT}/abort", json={"reason": "x"})
            assert answer.status_code == 202
        await store.close()


async def test_an_event_stream_lives_through_the_death_of_the_store(
    tmp_path: Path,
    server: EmbeddedServer,
    client: httpx.AsyncClient,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rolewise.coordinator.api import watch  # noqa: PLC0415

    monkeypatch.setattr(watch, "AWAY_S", 0.01)
    await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
    await in_phase(client, "paused")
    last = (await client.get(ROLLOUT)).json()["sequence"]
    stream = watch.follow(
        world.fleets.journal, "pair-1", after=last, until_end=True, keep_alive_s=0.05
    )
    async with asyncio.timeout(SOON_S):
        await anext(stream)
        await gone(server, tmp_path / "store")
        while "the store is away" not in await anext(stream):
            pass
        await asyncio.to_thread(server.start)
        while "nothing new" not in await anext(stream):
            pass
        await client.post(f"{ROLLOUT}/abort", json={"reason": "enough"})
        rest = [part async for part in stream if part.startswith("id: ")]
    assert rest[0].startswith(f"id: {last + 1}\n")
    assert "rolled back: enough" in rest[-1]


async def test_a_keeper_starts_a_killed_server_again_at_the_same_address(tmp_path: Path) -> None:
    told: list[str] = []
    keeper = StoreKeeper(EmbeddedServer(tmp_path / "store"), told.append)
    await asyncio.to_thread(keeper.start)
    store = await connect_store(keeper.url, explain=lambda: keeper.trouble)
    try:
        for last in range(3):
            assert await store.append("log", [b"a"], after=last) == last + 1
            killed = kill(tmp_path / "store")
            await seen(lambda: has(store, 1), bool)
            assert DataDirectory(tmp_path / "store").server_pid() != killed
        assert len(await store.read("log")) == 3
        assert "the bundled store server has ended: it was ended by SIGKILL" in told
        assert "the bundled store server runs again" in told
    finally:
        await store.close()
        await asyncio.to_thread(keeper.stop)
    assert not DataDirectory(tmp_path / "store").is_server_alive()


async def test_a_keeper_says_that_the_disk_is_full_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    keeper = StoreKeeper(EmbeddedServer(tmp_path / "store"), lambda _: None)
    await asyncio.to_thread(keeper.start)
    store = await connect_store(keeper.url, explain=lambda: keeper.trouble)
    try:
        last = await store.append("log", [b"a"], after=0)
        limit_files(tmp_path / "store", 4096)

        async def write() -> str:
            nonlocal last
            try:
                last = await store.append("log", [b"x" * 1000], after=last)
            except StoreUnavailable as error:
                return str(error)
            return ""

        await seen(write, lambda words: "the bundled store server has ended" in words)
        await seen(lambda: has(store, last), bool)
        entries = await store.read("log")
        assert [number for number, _ in entries] == list(range(1, len(entries) + 1))
        assert len(entries) >= last, "what was confirmed is there"
    finally:
        await store.close()
        await asyncio.to_thread(keeper.stop)


async def has(store: RedisStore, number: int) -> bool:
    """Tell whether the store answers, and has this entry."""
    with suppress(StoreUnavailable):
        return bool(await store.read("log", after=number - 1))
    return False


def limit_files(directory: Path, size: int) -> None:
    import resource  # noqa: PLC0415

    pid = DataDirectory(directory).server_pid()
    assert pid is not None
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
