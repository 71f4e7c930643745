"""A server with one small fleet on the local runtime, and a controller that steps when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from rolewise.coordinator.api.access import Token
from rolewise.coordinator.api.app import create_app
from rolewise.coordinator.controller import Controller
from rolewise.coordinator.fleets import Fleets, bring_up, definitions_of, register
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.coordinator.store.port import Store
from rolewise.fleet.local.clock import LoopClock
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.spec import parse_fleet

PAIR = """
fleet: pair
entry: [entry]
roles:
  adder:
    versions:
      v1: {agent: "tests.support.agents:Adder"}
      v2: {agent: "tests.support.agents:Adder", config: {newer: true}}
      broken: {agent: "tests.support.agents:NotThere"}
  worker:
    versions:
      v1: {agent: "tests.support.agents:Worker"}
  entry:
    calls: [adder, worker]
    timeout: 10s
    versions:
      v1: {agent: "tests.support.agents:Entry"}
      v2: {agent: "tests.support.agents:Entry", config: {newer: true}}
releases:
  v1: {adder: v1, worker: v1, entry: v1}
  v2: {adder: v2, entry: v2}
  broken: {adder: broken}
release: v1
strategy:
  canary:
    steps:
      - {set_weight: 10}
      - {pause: {}}
      - {set_weight: 100}
    keep_stable_for: 0s
    drain: 1s
"""
STEPS_MAX = 500


@dataclass
class World:
    """What a test needs of a server; `at` it may be asked, `lead` moves its rollouts."""

    fleets: Fleets
    store: Store
    runtime: LocalRuntime
    controller: Controller

    @asynccontextmanager
    async def at(
        self, *, access: Sequence[Token] | None = None, **more: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = create_app(self.fleets, access=access, **more)
        transport = httpx.ASGITransport(
            app=app, raise_app_exceptions=False, client=("127.0.0.1", 4711)
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client

    async def lead(self, until: Callable[[Rollout], bool]) -> Rollout:
        """Step the controller until its rollout is where the test wants it."""
        for _ in range(STEPS_MAX):
            state = await self.controller.step()
            if state is not None and until(state):
                return state
        raise AssertionError(f"it never came so far: {state}")


async def build_world(store: Store | None = None, runtime: LocalRuntime | None = None) -> World:
    store = store or MemoryStore(LoopClock())
    journal = Journal(store, lambda: datetime.now(UTC))
    spec = parse_fleet(PAIR, "pair.yaml")
    runtime = runtime or LocalRuntime(entry=tuple(spec.entry), seed=1)
    fleets = Fleets(journal=journal, runtimes={"pair": runtime}, draw_salt=lambda: "pepper")
    registered = await register(journal, spec, text=PAIR, file="pair.yaml", by="test")
    await bring_up(runtime, spec, registered, fencing=0)
    controller = Controller(
        fleet="pair",
        journal=journal,
        runtime=runtime,
        definitions=definitions_of(spec),
        holder="test",
    )
    return World(fleets=fleets, store=store, runtime=runtime, controller=controller)


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that an answer is a whole problem of this kind; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["type"] == f"/v1/problems/{code}"
    assert problem["title"]
    assert problem["detail"]
    return problem
