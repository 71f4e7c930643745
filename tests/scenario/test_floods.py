"""Who floods is rolled back before a comparison of tasks could be made; more work is no flood."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rolewise.coordinator.rollout.events import PauseCause, VerdictGiven
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.views.rollout import view_rollout
from rolewise.fleet.task import TaskRequest
from rolewise.graphs.patterns import next_look_at
from tests.scenario.stage import Stage, config, given

FLEET = """
fleet: shop
entry: [clerk]
defaults: {replicas: 1, slots: 64, drain: 1s}
roles:
  clerk:
    versions:
      v1: {agent: PLAYER, config: {does: &does {task: [NOTE, {sleep: 1.0}], busy: [NOTES]}}}
      v2: {agent: PLAYER, config: {does: {<<: *does, more: []}}}
  store:
    versions: {v1: {agent: PLAYER, config: {does: {}}}}
releases:
  v1: {clerk: v1, store: v1}
  v2: {clerk: v2}
release: v1
strategy:
  canary:
    steps: [{set_weight: 50}, {pause: {duration: 12s}}, {set_weight: 100}]
    keep_stable_for: 0s
    drain: 1s
"""
NOTE = "{tell: store.note}"
BUSY = ", ".join([NOTE] * 12 + ["{sleep: 1.0}"])
SHOP = (
    FLEET.replace("NOTES", ", ".join([BUSY] * 3))
    .replace("NOTE", NOTE)
    .replace("PLAYER", '"tests.support.players:Player"')
)

Traffic = list[tuple[int, int, str]]
"""Seconds, tasks a second, kind."""


async def serve(stage: Stage, traffic: Traffic) -> None:
    for seconds, rate, kind in traffic:
        for _ in range(seconds * rate):
            task = TaskRequest(id=f"{kind}-{stage.clock.now()}", kind=kind)
            await stage.runtime.submit(task)
            await stage.clock.sleep(1.0 / rate)


def play(during: Traffic, check: Callable[[Stage, Rollout], Awaitable[None]]) -> None:
    async def story(stage: Stage) -> None:
        await serve(stage, [(10, 10, "task")])
        rollout = await stage.start("v2")
        await serve(stage, during)
        await check(stage, await stage.journal.rollout(rollout))

    given(SHOP, story, traffic=False)


def test_v3_flood_is_rolled_back_before_the_first_comparison_with_its_evidence() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v3-flood")
        state = await stage.ends(rollout)
        view = view_rollout(state)
        assert view.rollback is not None
        (fact,) = view.rollback.facts
        assert fact.kind == "flood"
        assert "flood on negotiator -> pricing: observed of canary tasks" in fact.sentence
        rates, split = fact.details
        assert "canary tasks send" in rates
        assert "baseline tasks 0." in rates
        assert split.endswith(": the canary's own")
        (_, *_, last) = (
            event.verdict.tasks_canary
            for event in await stage.events(rollout)
            if isinstance(event, VerdictGiven)
        )
        assert last < next_look_at(0)

    given(config("supply-chain"), story)


def test_more_traffic_and_bursts_in_both_arms_are_no_flood(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check(stage: Stage, state: Rollout) -> None:
        state = await stage.ends(state.id)
        assert state.phase is Phase.COMPLETED, state.reason
        assert not state.paused_for

    # Twice and six times the tasks, and a second of busy ones, who send a dozen times as much.
    play([(3, 20, "task"), (3, 60, "task"), (1, 10, "busy"), (5, 20, "task")], check)
    assert "flood" not in caplog.text


def test_a_flood_in_both_arms_pauses_and_blames_nobody() -> None:
    async def check(stage: Stage, state: Rollout) -> None:
        assert state.phase is Phase.PAUSED
        assert state.pause is not None
        assert state.pause.cause is PauseCause.FACT
        assert state.reason.startswith("flood on clerk -> store: note")
        assert state.pause.facts[0].details[1].endswith(": not the canary's beyond doubt")

    play([(9, 10, "busy")], check)
