"""The runtimes that keep the contract, and how a test gets one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.runtime import Runtime

Scenario = Callable[[Runtime], Awaitable[None]]

RUNTIMES = ["local", pytest.param("ray", marks=pytest.mark.ray)]
SHARED = "contract-shared"
_fleets = itertools.count(1)


def run_fleet(kind: str, scenario: Scenario) -> None:
    """Run a scenario on a fresh fleet of that kind; `ray` wants a connected Ray."""
    if kind == "local":
        run_virtual(_on_local(scenario))
    else:
        asyncio.run(_on_ray(scenario, f"contract-{next(_fleets)}", ends=True))


def run_shared_fleet(kind: str, scenario: Scenario) -> None:
    """Run a scenario that needs no fresh fleet: on Ray, where a launch takes seconds, on one.

    It leaves the fleet as `launch` makes it, gives its tasks ids of its own, and looks at nothing
    but them.
    """
    if kind == "local":
        run_virtual(_on_local(scenario))
    else:
        asyncio.run(_on_ray(scenario, SHARED, ends=False))


def end_shared_fleet() -> None:
    """Stop the shared fleet on Ray."""
    asyncio.run(RayRuntime.attach(SHARED).shutdown())


async def _on_local(scenario: Scenario) -> None:
    await scenario(LocalRuntime(entry=("entry",), seed=1))


async def _on_ray(scenario: Scenario, fleet: str, *, ends: bool) -> None:
    runtime = await RayRuntime.launch(fleet, entry=("entry",), settle_s=0.5, fencing=1)
    try:
        await scenario(runtime)
    finally:
        if ends:
            await runtime.shutdown()
