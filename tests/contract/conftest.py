"""The fleet on Ray that those scenarios share which need no fresh one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.runtimes import Scenario, end_shared_fleet, run_shared_fleet


@pytest.fixture(scope="package")
def _shared_fleets() -> Iterator[set[str]]:
    used: set[str] = set()
    yield used
    if "ray" in used:
        end_shared_fleet()


@pytest.fixture
def run_shared(_shared_fleets: set[str]) -> Callable[[str, Scenario], None]:
    """Give `run_shared_fleet`; the fleet ends after the last test of this folder."""

    def run(kind: str, scenario: Scenario) -> None:
        _shared_fleets.add(kind)
        run_shared_fleet(kind, scenario)

    return run
