"""A canary that crowds what both arms share hides from their comparison; it pauses all the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.rollout.events import PauseCause
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.coordinator.views.rollout import view_rollout
from rolewise.fleet.task import TaskRequest
from tests.scenario.stage import Stage, given

SHOP = """
fleet: shop
entry: [clerk]
defaults: {replicas: 1, slots: 64, drain: 1s}
roles:
  clerk:
    versions:
      v1: {agent: PLAYER, config: {does: {task: [{ask: store.work}]}}}
      # Four things more that nobody waits for.
      greedy: {agent: PLAYER, config: {does: {task: [{ask: store.work}, TELL, TELL, TELL, TELL]}}}
      modest: {agent: PLAYER, config: {does: {task: [{ask: store.work}], more: []}}}
  store:
    slots: 2
    versions: {v1: {agent: PLAYER, config: {does: {work: [{sleep: 0.05}]}}}}
releases:
  v1: {clerk: v1, store: v1}
  greedy: {clerk: greedy}
  modest: {clerk: modest}
release: v1
strategy:
  canary:
    steps: [{set_weight: 50}, {pause: {duration: 20s}}, {set_weight: 100}]
    keep_stable_for: 0s
    drain: 1s
    analysis: speed
analysis_templates:
  speed:
    patterns: {harm: hold}                # that it repeats itself is told as well
    signals:
      - {name: latency, metric: task.latency, tolerate: 50%, harm_margin: 20%}
""".replace("TELL", "{tell: store.work}").replace("PLAYER", '"tests.support.players:Player"')


def play(to: str, rate: int, check: Callable[[Stage, Rollout], Awaitable[None]]) -> None:
    async def story(stage: Stage) -> None:
        await serve(stage, 10, 10)
        rollout = await stage.start(to)
        await serve(stage, 18, rate)
        await check(stage, await stage.journal.rollout(rollout))

    given(SHOP, story, traffic=False)


async def serve(stage: Stage, seconds: int, rate: int) -> None:
    for _ in range(seconds * rate):
        await stage.runtime.submit(TaskRequest(id=f"t-{stage.clock.now()}"))
        await stage.clock.sleep(1.0 / rate)


def test_a_canary_that_slows_both_arms_pauses_though_they_are_alike() -> None:
    async def check(stage: Stage, state: Rollout) -> None:
        assert state.phase is Phase.PAUSED, state.reason
        view = view_rollout(state)
        assert view.pause is not None
        assert view.pause.cause is PauseCause.FACT
        (fact,) = view.pause.facts
        assert fact.kind == "interference"
        worse, more, *_ = fact.details
        assert worse.startswith("latency on clerk -> store: work: ")
        assert more.startswith("canary tasks send store 5.0 messages each, baseline tasks 1.0")
        newest = await stage.journal.newest_verdict(state.id)
        assert newest is not None
        assert newest.verdict.ruling is not Ruling.HARM, "the comparison does not see it"

    play("greedy", 10, check)


def test_more_load_slows_both_arms_and_is_nobodys_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check(stage: Stage, state: Rollout) -> None:
        assert state.phase is Phase.PROGRESSING, state.reason
        alerts = await stage.journal.newest_alerts("shop")
        assert not [alert for alert in alerts if alert.startswith("interference")]

    play("modest", 36, check)
