"""What people do to a rollout while it runs, and what dies meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.rollout.events import StepStarted
from rolewise.coordinator.rollout.requests import Abort, Pause, Promote, Resume, Retry
from rolewise.coordinator.rollout.state import Phase
from tests.scenario.stage import Stage, given

PAIR = """
fleet: pair
entry: [entry]
defaults: {replicas: 1, slots: 8, drain: 2s}
roles:
  entry:
    calls: [worker]
    versions:
      v1: {agent: "tests.support.agents:Entry"}
      v2: {agent: "tests.support.agents:Entry", model: newer}
      absent: {agent: "tests.support.agents:NoSuchAgent"}
  worker:
    versions:
      v1: {agent: "tests.support.agents:Worker"}
      v2: {agent: "tests.support.agents:Worker", model: newer}
releases:
  v1: {entry: v1, worker: v1}
  v2: {entry: v2, worker: v2}
  absent: {entry: absent}
release: v1
strategy:
  canary:
    steps: [{set_weight: 50}, {pause: {}}, {set_weight: 100}]
    keep_stable_for: 0s
    drain: 2s
"""
TIMED = PAIR.replace("{pause: {}}", "{pause: {duration: 30s}}")


def play(story, text: str = PAIR) -> None:
    given(text, story, traffic=False)


async def waits_for_a_person(stage: Stage, rollout: str) -> None:
    await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)


def test_a_step_waits_for_a_person_and_promote_ends_the_wait() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        for _ in range(2):
            await waits_for_a_person(stage, rollout)
            await stage.journal.request(rollout, Promote(at=stage.journal.now, by="ana"))
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED
        assert dict(await stage.fleets.release("pair")) == {"entry": "v2", "worker": "v2"}

    play(story)


def test_promote_full_skips_all_waits() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await waits_for_a_person(stage, rollout)
        await stage.journal.request(rollout, Promote(at=stage.journal.now, by="ana", full=True))
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED

    play(story)


def test_abort_ends_with_all_on_stable_and_retry_tries_again() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await waits_for_a_person(stage, rollout)
        await stage.journal.request(
            rollout, Abort(at=stage.journal.now, by="ana", reason="second thoughts")
        )
        state = await stage.ends(rollout)
        assert state.phase is Phase.ROLLED_BACK
        assert "second thoughts" in state.reason
        assert all(route.weight == 0 for route in state.table.routes)
        assert dict(state.release) == {"entry": "v1", "worker": "v1"}
        await stage.journal.request(rollout, Retry(at=stage.journal.now, by="ana"))
        await waits_for_a_person(stage, rollout)
        again = await stage.journal.rollout(rollout)
        assert (again.attempt, again.weight) == (2, 50.0)

    play(story)


def test_a_pause_stops_the_clock_of_a_bake() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        baking = await stage.until(rollout, lambda state: state.timer_ends is not None)
        began = stage.clock.now()
        await stage.journal.request(rollout, Pause(at=stage.journal.now, by="ana"))
        await stage.clock.sleep(120.0)
        paused = await stage.journal.rollout(rollout)
        assert (paused.phase, paused.step) == (Phase.PAUSED, baking.step)
        await stage.journal.request(rollout, Resume(at=stage.journal.now, by="ana"))
        await stage.until(rollout, lambda state: state.step > baking.step)
        assert stage.clock.now() - began >= 120.0 + 29.0

    play(story, TIMED)


def test_undo_is_a_new_rollout_back() -> None:
    async def story(stage: Stage) -> None:
        first = await stage.start("v2")
        await waits_for_a_person(stage, first)
        await stage.journal.request(first, Promote(at=stage.journal.now, by="ana", full=True))
        await stage.ends(first)
        back = await stage.fleets.undo(first, by="ana")
        assert back.rollout == "pair-2"
        await waits_for_a_person(stage, back.rollout)
        await stage.journal.request(
            back.rollout, Promote(at=stage.journal.now, by="ana", full=True)
        )
        await stage.ends(back.rollout)
        assert dict(await stage.fleets.release("pair")) == {"entry": "v1", "worker": "v1"}

    play(story)


def test_one_rollout_a_fleet_also_when_two_start_at_once() -> None:
    async def story(stage: Stage) -> None:
        answers = await asyncio.gather(
            *(stage.fleets.start("pair", "v2", by=who) for who in ("ana", "bo")),
            return_exceptions=True,
        )
        refused = [a for a in answers if isinstance(a, RolewiseError)]
        assert [error.kind.code for error in refused] == ["rollout_in_progress"]
        assert (await stage.journal.fleet("pair")).rollouts[0].rollout in refused[0].message

    play(story)


def test_a_key_starts_one_rollout_however_often_it_is_sent() -> None:
    async def story(stage: Stage) -> None:
        once = await stage.fleets.start("pair", "v2", by="ana", key="k1")
        twice = await stage.fleets.start("pair", "v2", by="ana", key="k1")
        assert (once.is_new, twice.is_new, once.rollout) == (True, False, twice.rollout)
        with pytest.raises(RolewiseError) as refused:
            await stage.fleets.start("pair", "worker=v2", by="ana", key="k1")
        assert refused.value.kind.code == "key_reused"

    play(story)


def test_a_version_that_does_not_import_is_refused_before_anything_runs() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(RolewiseError) as refused:
            await stage.start("absent")
        assert refused.value.kind.code == "plan_refused"
        assert "NoSuchAgent" in str(refused.value)
        assert not (await stage.journal.fleet("pair")).rollouts

    play(story)


@pytest.mark.parametrize("moment_s", [0.1, 0.4, 1.0, 10.0, 31.0, 31.5, 40.0, 62.0])
def test_a_controller_that_dies_at_any_moment_is_followed_by_another(moment_s: float) -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.clock.sleep(moment_s)
        (dying,) = stage.tasks
        dying.cancel()
        with suppress(asyncio.CancelledError):
            await dying
        stage.tasks.clear()
        stage.lead("second")
        state = await stage.ends(rollout)
        assert state.phase is Phase.COMPLETED
        steps = [
            (e.stage, e.step) for e in await stage.events(rollout) if isinstance(e, StepStarted)
        ]
        assert steps == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]

    play(story, TIMED)


def test_two_controllers_do_not_both_lead() -> None:
    async def story(stage: Stage) -> None:
        stage.lead("second")
        rollout = await stage.start("v2")
        await waits_for_a_person(stage, rollout)
        await stage.journal.request(rollout, Promote(at=stage.journal.now, by="ana", full=True))
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED
        steps = [
            (e.stage, e.step) for e in await stage.events(rollout) if isinstance(e, StepStarted)
        ]
        assert len(steps) == len(set(steps))

    play(story)


def test_a_replica_that_dies_is_replaced_and_the_rollout_goes_on() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.timer_ends is not None)
        stage.runtime.kill("worker", "v2")
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED

    play(story, TIMED)


def test_a_canary_in_a_crash_loop_is_rolled_back_at_once() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.timer_ends is not None)
        for _ in range(3):
            stage.runtime.kill("worker", "v2")
        state = await stage.ends(rollout)
        assert state.phase is Phase.ROLLED_BACK
        assert "crash loop: worker@v2" in state.reason

    play(story, TIMED)
