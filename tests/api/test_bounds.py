"""What would fill the server is refused or cut off, with the limit named and a way to go on."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn

from rolewise.coordinator.api.app import create_app
from rolewise.coordinator.api.streams import Streams
from rolewise.coordinator.journal import rollout_stream
from rolewise.coordinator.rollout.codec import encode_event
from rolewise.coordinator.rollout.events import PauseCause, Paused
from rolewise.coordinator.up import listen
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.spec import parse_fleet
from tests.api.world import PAIR, World, build_world, check_problem

SOON_S = 20.0
TASKS = "/v1/fleets/pair/tasks"
EVENTS = "/v1/rollouts/pair-1/events"
SSE = {"Accept": "text/event-stream"}
STALL_S = 0.3


async def test_a_body_that_is_too_large_is_told_the_limit(world: World):
    async with world.at(body_limit=100) as client:
        answer = await client.post(TASKS, json={"body": "x" * 200})
        problem = check_problem(answer, 413, "too_large")
        assert "100 bytes" in problem["detail"]


async def test_more_tasks_than_the_file_allows_are_429_until_one_has_ended():
    text = PAIR.replace("release: v1\n", "release: v1\ntasks_in_flight: 2\n")
    spec = parse_fleet(text, "pair.yaml")
    runtime = LocalRuntime(entry=tuple(spec.entry), seed=1, tasks_in_flight=spec.tasks_in_flight)
    world = await build_world(runtime=runtime)
    async with world.at() as client:
        sleeps = {"do": "relay", "body": {"do": "wait_for_ever"}}
        for task in ("t-1", "t-2"):
            answer = await client.post(TASKS, json={"id": task, "body": sleeps})
            assert answer.status_code == 202
        answer = await client.post(TASKS, json={"id": "t-3"})
        problem = check_problem(answer, 429, "too_many_tasks")
        assert "2 tasks are in flight; the limit is 2" in problem["detail"]
        assert problem["definite"]
        assert int(answer.headers["retry-after"]) >= 1
        runtime.kill("worker", "v1")
        assert (await client.get(f"{TASKS}/t-1?wait=10s")).json()["outcome"] == "failed"
        assert (await client.post(TASKS, json={"id": "t-3"})).status_code == 202
        counts = (await client.get("/v1/fleets/pair")).json()["tasks"]
        assert counts["submitted"] == 3


async def long_log(world: World, client: httpx.AsyncClient, events: int) -> None:
    """Begin a rollout whose log is so long that no buffer holds it."""
    await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
    at = world.fleets.journal.now
    stream = rollout_stream("pair-1")
    last = (await world.store.read(stream))[-1][0]
    paused = Paused(at=at, by="ana", cause=PauseCause.OPERATOR, reason="x" * 2000)
    await world.store.append(stream, [encode_event(paused)] * events, after=last)


@asynccontextmanager
async def served(world: World, streams: Streams) -> AsyncIterator[int]:
    """Serve the API by a real web server; give its port."""
    app = create_app(world.fleets, streams=streams)
    config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    web = uvicorn.Server(config)
    bound = listen("127.0.0.1", 0)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    serving = asyncio.create_task(web.serve(sockets=[bound]))
    while not web.started:
        await asyncio.sleep(0.01)
    yield bound.getsockname()[1]
    web.should_exit = True
    await serving


async def test_a_reader_that_stalls_is_cut_off_and_goes_on_behind_its_last_event(
    world: World, client: httpx.AsyncClient
):
    await long_log(world, client, events=1000)
    streams = Streams(stall_s=STALL_S)
    async with served(world, streams) as port:
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.setblocking(False)  # noqa: FBT003
            loop = asyncio.get_running_loop()
            await loop.sock_connect(reader, ("127.0.0.1", port))
            ask = f"GET {EVENTS} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
            await loop.sock_sendall(reader, ask.encode())
            async with asyncio.timeout(SOON_S):
                while not streams.open:
                    await asyncio.sleep(0.01)
                while streams.open:  # it takes nothing, and nobody waits for it for ever
                    await asyncio.sleep(0.01)
            got = b""
            while part := await loop.sock_recv(reader, 65536):
                got += part
        whole = got[: got.rindex(b"\n\n")] if b"\n\n" in got else b""
        numbers = [int(number) for number in re.findall(rb"id: (\d+)\r?\n", whole)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) < 1000, "most of the log was never put into any buffer"

    async with served(world, Streams()) as port:
        url = f"http://127.0.0.1:{port}{EVENTS}"
        headers = SSE | {"Last-Event-ID": str(len(numbers))}
        rest: list[int] = []
        async with (
            httpx.AsyncClient() as back,
            back.stream("GET", url, headers=headers) as answer,
            asyncio.timeout(SOON_S),
        ):
            async for line in answer.aiter_lines():
                rest += [int(line.removeprefix("id: "))] if line.startswith("id: ") else []
                if rest and rest[-1] >= 1000:
                    break
        assert rest[0] == len(numbers) + 1
        assert rest == list(range(rest[0], rest[-1] + 1))


async def test_so_many_streams_at_a_time_and_a_place_is_free_when_one_has_ended(world: World):
    streams = Streams(at_most=1)
    async with world.at(streams=streams) as client:
        await client.post("/v1/fleets/pair/rollouts", json={"to": "v2"})
        await world.lead(lambda state: state.pause is not None)
        open_one = asyncio.create_task(client.get(f"{EVENTS}?until=end", headers=SSE))
        while not streams.open:
            await asyncio.sleep(0)
        answer = await client.get(EVENTS, headers=SSE)
        problem = check_problem(answer, 429, "too_many_streams")
        assert "the limit is 1" in problem["detail"]
        assert answer.headers["retry-after"]
        assert (await client.get(EVENTS)).status_code == 200, "as a list it can be had"
        await client.post("/v1/rollouts/pair-1/abort", json={"reason": "enough"})
        await world.lead(lambda state: state.phase.is_final and state.pending is None)
        assert (await open_one).status_code == 200
        assert streams.open == 0
        again = await client.get(f"{EVENTS}?until=end", headers=SSE)
        assert again.status_code == 200
