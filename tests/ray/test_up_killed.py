"""`rolewise up` is killed in the middle of a rollout; the next one goes on with all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from rolewise.coordinator.store.data_directory import DataDirectory
from tests.support.redis_servers import free_port

pytestmark = [pytest.mark.ray, pytest.mark.slow]
FILE = Path(__file__).parent / "pair.yaml"
ROOT = Path(__file__).parents[2]
SOON_S = 100.0


@contextmanager
def up(data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run `rolewise up`, wait until it is ready, and see that it is gone at the end."""
    program = [sys.executable, "-m", "rolewise.coordinator.cli.main"]
    command = [*program, "up", FILE, "--data", data, "--port", str(port)]
    with (data / "up.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    try:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}")
        until(lambda: is_ready(client) or process.poll() is not None)
        assert process.poll() is None, (data / "up.log").read_text()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(SOON_S)


def until(holds: Callable[[], Any]) -> Any:
    ends = time.monotonic() + SOON_S
    while not (found := holds()):
        assert time.monotonic() < ends, "it did not become so in time"
        time.sleep(0.05)
    return found


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_server_killed_in_a_rollout_leaves_no_orphan_and_the_next_goes_on(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    store = DataDirectory(tmp_path / "store")
    with up(tmp_path, port) as first:
        httpx.post(f"{url}/fleets/pair/rollouts", json={"to": "v2"}).raise_for_status()
        rollout = f"{url}/rollouts/pair-1"
        until(lambda: httpx.get(rollout).json()["weight"] == 50.0)
        first.kill()
        first.wait()
    until(lambda: not store.is_server_alive())
    with up(tmp_path, port):
        view = until(lambda: (found := httpx.get(rollout).json())["phase"] == "completed" and found)
        assert view["release"] == {"adder": "v1", "entry": "v2", "worker": "v2"}
        events = httpx.get(f"{rollout}/events").json()["events"]
        assert [event["number"] for event in events] == list(range(1, len(events) + 1))
        steps = [event["data"]["step"] for event in events if event["type"] == "StepStarted"]
        assert steps == [0, 1, 2, 0, 1, 2]
        task = httpx.post(f"{url}/fleets/pair/tasks", json={"id": "after"}).json()["id"]
        ended = httpx.get(f"{url}/tasks/{task}?wait=10s", timeout=20.0).json()
        assert (ended["outcome"], ended["result"]["version"]) == ("completed", "v2")
    assert not store.is_server_alive()
