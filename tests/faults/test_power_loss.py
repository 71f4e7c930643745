"""All of Rolewise dies at once in the middle of a rollout; the store is left, and is enough."""

from __future__ import annotations

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets, bring_up, register
from rolewise.coordinator.judging import Judging
from rolewise.coordinator.rollout.events import StepStarted
from rolewise.coordinator.rollout.requests import Promote
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.harness.workload import NOTHING_NEW
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.task import TaskRequest
from tests.scenario.stage import Stage, given
from tests.scenario.test_operators import PAIR


async def power_loss(stage: Stage) -> None:
    """End everything, then start a fleet from nothing, as `rolewise up` does."""
    await stage.stop()
    for replica in list(stage.runtime.staff.live):
        stage.runtime.staff.stop(replica)
    stage.runtime = LocalRuntime(entry=("entry",), seed=8)
    stage.fleets = Fleets(
        journal=stage.journal, runtimes={"pair": stage.runtime}, draw_salt=lambda: "other"
    )
    lease = await stage.store.acquire("fleet/pair", "up", 5.0)
    assert lease is not None
    state = await register(stage.journal, stage.spec, text=PAIR, file="test.yaml", by="up")
    last = await stage.journal.last_rollout(state)
    await bring_up(stage.runtime, stage.spec, state, fencing=lease.number(), last=last)
    await stage.store.release(lease)
    stage.lead("after")


async def runs(stage: Stage) -> list[tuple[str, str]]:
    replicas = (await stage.runtime.observe(NOTHING_NEW)).replicas
    return sorted((replica.role, replica.version) for replica in replicas)


def test_a_rollout_goes_on_from_its_log_alone() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        before = await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
        ran = await runs(stage)
        await power_loss(stage)
        assert await runs(stage) == ran
        assert stage.runtime._router.table == before.table
        for _ in range(2):
            await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
            await stage.journal.request(rollout, Promote(at=stage.journal.now, by="ana"))
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED
        assert await runs(stage) == [("entry", "v2"), ("worker", "v2")]
        steps = [
            (e.stage, e.step) for e in await stage.events(rollout) if isinstance(e, StepStarted)
        ]
        assert steps == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
        assert len((await stage.journal.fleet("pair")).rollouts) == 1

    given(PAIR, story, traffic=False)


def test_a_rollout_under_way_does_not_take_another_file() -> None:
    async def story(stage: Stage) -> None:
        await stage.start("v2")
        with pytest.raises(RolewiseError, match="cannot be registered anew") as refused:
            await register(stage.journal, stage.spec, text=PAIR + "\n", file="x", by="up")
        assert "unchanged" in refused.value.hint

    given(PAIR, story, traffic=False)


def test_the_judge_counts_on_when_accounts_begin_anew() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
        for number in range(40):
            await stage.runtime.submit(TaskRequest(id=f"before-{number}"))
        await stage.clock.sleep(10.0)
        await power_loss(stage)
        for number in range(20):
            await stage.runtime.submit(TaskRequest(id=f"after-{number}"))
        await stage.clock.sleep(10.0)
        judging = Judging(stage.store, stage.runtime)
        await judging.meet(await stage.journal.rollout(rollout))
        await judging.observe()
        assert judging.judge is not None
        assert sum(judging.judge.counts) == 60

    given(PAIR, story, traffic=False)
