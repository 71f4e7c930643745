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

RUNTIMES = ["local", pytest.param("ray", marks=pytest.mark.ray)]
_fleets = itertools.count(1)


def run_fleet(kind: str, scenario: Callable[[Runtime], Awaitable[None]]) -> None:
    """Run a scenario on a fresh fleet of that kind; `ray` wants the fixture `ray_cluster`."""

    async def on_local() -> None:
        await scenario(LocalRuntime(entry=("entry",), seed=1))

    async def on_ray() -> None:
        runtime = await RayRuntime.launch(
            f"contract-{next(_fleets)}", entry=("entry",), settle_s=0.5
        )
        try:
            await scenario(runtime)
        finally:
            await runtime.shutdown()

    if kind == "local":
        run_virtual(on_local())
    else:
        asyncio.run(on_ray())
