"""A server that answers on a port, with a controller that leads its one small fleet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from rolewise.coordinator.api.app import create_app
from rolewise.coordinator.cli.main import run
from tests.api.world import build_world

STEP_S = 0.01


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        code = run(arguments)
        said = self._capsys.readouterr()
        return Said(code, said.out, said.err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the small fleet of the API's tests; commands find it by ROLEWISE_URL."""
    ready: Any = threading.Event()
    served: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: asyncio.run(_serve(served, ready)), daemon=True)
    thread.start()
    assert ready.wait(30)
    address = f"http://127.0.0.1:{served['port']}"
    monkeypatch.setenv("ROLEWISE_URL", address)
    yield address
    served["web"].should_exit = True
    thread.join(30)
    assert not thread.is_alive()


async def _serve(served: dict[str, Any], ready: threading.Event) -> None:
    world = await build_world()
    app = create_app(world.fleets, keep_alive_s=0.2)
    web = uvicorn.Server(
        uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="error",
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(web.serve())
    while not web.started:
        await asyncio.sleep(STEP_S)
    served.update(web=web, port=web.servers[0].sockets[0].getsockname()[1])
    ready.set()
    while not serving.done():
        await world.controller.step()
        await asyncio.sleep(STEP_S)
    await serving
