"""What tests of several kinds share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def _local_ray() -> Iterator[None]:
    # Here, so that a run without such tests does not pay for importing Ray.
    from rolewise.fleet.ray.cluster import leave_ray, start_local_ray  # noqa: PLC0415

    start_local_ray(num_cpus=2)
    yield
    leave_ray()


@pytest.fixture(autouse=True)
def _ray_for_marked_tests(request: pytest.FixtureRequest) -> None:
    """Give every test that is marked `ray` a connected Ray; one for the whole session."""
    if request.node.get_closest_marker("ray") is not None:
        request.getfixturevalue("_local_ray")
