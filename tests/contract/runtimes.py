"""The runtimes that keep the contract, and how a test gets one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import Runtime

RUNTIMES = ["local"]


def run_fleet(kind: str, scenario: Callable[[Runtime], Awaitable[None]]) -> None:
    """Run a scenario on a fresh fleet of that kind."""
    if kind == "local":

        async def main() -> None:
            await scenario(LocalRuntime(entry=("entry",), seed=1))

        run_virtual(main())
    else:
        pytest.fail(f"no runtime {kind!r}")
