"""What tests of several kinds share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


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


@pytest.fixture(autouse=True)
def _ray_for_marked_tests(request: pytest.FixtureRequest) -> None:
    """Give every test that is marked `ray` a connected Ray; one for the whole session."""
    if request.node.get_closest_marker("ray") is not None:
        request.getfixturevalue("_local_ray")
