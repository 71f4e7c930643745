"""What tests of several kinds share, and how pytest-xdist deals them out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.shares import Shares, is_on_ray

MAKES_WAY = 10
"""Niceness of a worker that computes: who waits for Ray must not wait for the processor too."""
# Also of Rays that tests start themselves.
os.environ.update(
    RAY_worker_niceness="0",  # 15 otherwise
    # A busy machine may let the cluster wait for longer than a minute, the default of both.
    RAY_gcs_server_request_timeout_seconds="240",
    RAY_gcs_rpc_server_reconnect_timeout_s="240",
)

# An example that takes long says that the machine is busy. Against hanging each test has a limit.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """See `tests.support.shares`."""
    return Shares(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See that each test is dealt out as what it is."""
    for item in items:
        is_marked = item.get_closest_marker("ray") is not None
        if is_marked is not is_on_ray(item.nodeid):
            raise pytest.UsageError(f"tests/support/shares.py takes {item.nodeid} for another kind")


@pytest.fixture(scope="session")
def crash_point_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Say here where a coordinator is to be killed; see `rolewise.coordinator.crash_points`."""
    return tmp_path_factory.mktemp("armed") / "crash-point"


@pytest.fixture(scope="session")
def _local_ray(crash_point_file: Path) -> Iterator[None]:
    # Here, so that a run without such tests does not pay for importing Ray.
    from rolewise.fleet.ray.cluster import leave_ray, start_local_ray  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patched:
        # Processes that Ray starts inherit it.
        patched.setenv("ROLEWISE_CRASH_POINT_FILE", str(crash_point_file))
        start_local_ray(num_cpus=2)
    yield
    leave_ray()


@pytest.fixture(scope="session")
def _gives_way() -> None:
    """Let the tests on Ray go first, which are other workers'; alone there is nobody to let."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.nice(MAKES_WAY)


@pytest.fixture(autouse=True)
def _ray_for_marked_tests(request: pytest.FixtureRequest) -> None:
    """Give every test that is marked `ray` a connected Ray; one for the whole session."""
    is_on_ray = request.node.get_closest_marker("ray") is not None
    request.getfixturevalue("_local_ray" if is_on_ray else "_gives_way")
