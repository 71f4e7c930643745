"""A verb must not wait: whatever the fleet does not answer, an abort is heard at once."""

from __future__ import annotations

import asyncio
from typing import Any

from rolewise.coordinator.rollout.events import TableChanged
from rolewise.coordinator.rollout.requests import Abort
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import Observation
from tests.scenario.stage import Stage, given

PAIR = """
fleet: pair
entry: [entry]
roles:
  worker:
    versions:
      v1: {agent: "tests.support.agents:Worker"}
      v2: {agent: "tests.support.agents:Worker", config: {newer: true}}
  entry:
    calls: [worker]
    versions:
      v1: {agent: "tests.support.agents:Entry"}
releases:
  v1: {worker: v1, entry: v1}
  v2: {worker: v2}
release: v1
strategy:
  canary:
    steps:
      - {set_weight: 50}
      - {pause: {}}
      - {set_weight: 100}
    keep_stable_for: 0s
    drain: 1s
"""


class Deaf(LocalRuntime):
    """A fleet whose accounts do not answer while `is_deaf`."""

    is_deaf = False

    async def observe(self, cursor: int = 0) -> Observation:
        while self.is_deaf:
            await asyncio.sleep(1000.0)
        return await super().observe(cursor)


def play(story: Any) -> None:
    given(PAIR, story, traffic=False, runtime=Deaf)


async def on_trial(stage: Stage) -> str:
    rollout = await stage.start("v2")
    await stage.until(rollout, lambda state: state.weight == 50.0 and state.pending is None)
    return rollout


def routes_all_to_stable(stage: Stage) -> bool:
    table = stage.runtime._router.table
    return ("worker", "v2") in table.withdrawn


async def seconds_until_stable(stage: Stage, rollout: str) -> float:
    began = stage.clock.now()
    await stage.journal.request(rollout, Abort(at=stage.journal.now, by="ana", reason="enough"))
    while not routes_all_to_stable(stage):
        await stage.clock.sleep(0.001)
    return stage.clock.now() - began


def test_an_abort_is_carried_out_at_once_between_two_passes() -> None:
    async def story(stage: Stage) -> None:
        rollout = await on_trial(stage)
        assert await seconds_until_stable(stage, rollout) < 0.01
        assert (await stage.ends(rollout)).phase is Phase.ROLLED_BACK

    play(story)


def test_an_abort_is_carried_out_at_once_while_the_fleet_does_not_answer() -> None:
    async def story(stage: Stage) -> None:
        rollout = await on_trial(stage)
        stage.runtime.is_deaf = True
        await stage.clock.sleep(2.0)
        assert await seconds_until_stable(stage, rollout) < 0.01
        assert (await stage.ends(rollout)).phase is Phase.ROLLED_BACK

    play(story)


def test_no_step_moves_while_the_fleet_does_not_answer_and_it_goes_on_afterwards() -> None:
    async def story(stage: Stage) -> None:
        rollout = await on_trial(stage)
        stage.runtime.is_deaf = True
        before = await stage.journal.rollout(rollout)
        await stage.clock.sleep(60.0)
        assert await stage.journal.rollout(rollout) == before
        stage.runtime.is_deaf = False
        await stage.clock.sleep(10.0)
        assert await seconds_until_stable(stage, rollout) < 0.01
        tables = [e for e in await stage.events(rollout) if isinstance(e, TableChanged)]
        assert len(tables) == 2

    play(story)
