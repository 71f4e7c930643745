"""Joining a cluster that runs already: the fleet outlives the process that launched it."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A cluster started by hand asks for a token; this one gets a token of its own.
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}

LAUNCH = """
import asyncio, sys
from rolewise.fleet.ray.cluster import join_ray
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition

async def main():
    fleet = await RayRuntime.launch("lasting", entry=("rough",))
    version = VersionDefinition(
        role="rough", version="v1", content_hash="h", agent="tests.ray.agents:Rough", config={}
    )
    await fleet.scale(version, 1, fencing=1)
    routes = (RoleRoute(role="rough", stable="v1"),)
    await fleet.install(RoutingTable(number=1, routes=routes), fencing=1)

join_ray(sys.argv[1])
asyncio.run(main())
"""

ATTACH = """
import asyncio, sys
from rolewise.fleet.ray.cluster import join_ray
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.task import TaskRequest

async def main():
    fleet = RayRuntime.attach("lasting")
    await fleet.submit(TaskRequest(id="t", body="still here"))
    print((await fleet.result("t", wait_s=30.0)).result)
    await fleet.shutdown()

join_ray(sys.argv[1])
asyncio.run(main())
"""


def run(script: str, address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, address],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def wait_for(port: int) -> None:
    """Return when somebody listens on the port."""
    end = time.monotonic() + 120.0
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        select.select([], [], [], 0.1)
    pytest.fail("the cluster did not come up")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A cluster of its own, in a process group of its own; no other Ray is touched."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--head", "--block", f"--port={port}", "--num-cpus=1"]
    with (tmp_path / "ray.log").open("w") as log:
        head = subprocess.Popen(
            [*command, "--include-dashboard=false", "--node-ip-address=127.0.0.1"],
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for(port)
            yield f"127.0.0.1:{port}"
        finally:
            # Asked to end, it may take a minute; there is nothing in it to save.
            os.killpg(head.pid, signal.SIGKILL)
            head.wait(timeout=30)


def test_a_fleet_outlives_the_process_that_launched_it(address: str) -> None:
    launched = run(LAUNCH, address)
    assert launched.returncode == 0, launched.stderr
    attached = run(ATTACH, address)
    assert attached.stdout.strip() == "still here", attached.stderr


def rolewise(*arguments: str, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("rolewise")), *arguments],
        cwd=ROOT,
        env=ENVIRONMENT | {"ROLEWISE_URL": f"http://127.0.0.1:{port}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_up_joins_a_cluster_serves_a_rollout_and_leaves_the_cluster(
    address: str, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("rolewise")), "up", "tests/ray/pair.yaml"]
    options = [f"--ray-address={address}", f"--data={tmp_path / 'data'}", f"--port={port}"]
    server = subprocess.Popen(
        [*command, *options], cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        said = next((line for line in server.stdout if line.startswith("ready")), "")
        assert f"pair at http://127.0.0.1:{port}" in said
        body = '{"do": "add", "a": 2, "b": 3}'
        task = rolewise("task", "submit", "pair", "--body", body, "--wait", port=port)
        assert "result: 5" in task.stdout, task.stderr
        options = ["--to", "worker=v2", "--wait", "--timeout", "200s"]
        rollout = rolewise("rollout", "start", "pair", *options, port=port)
        assert rollout.returncode == 0, rollout.stdout + rollout.stderr
        assert "completed" in rollout.stdout
        down = rolewise("down", f"--data={tmp_path / 'data'}", port=port)
        assert down.returncode == 0, down.stderr
        assert server.wait(timeout=60) == 0
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    assert run(LAUNCH, address).returncode == 0, "the cluster is still there"
