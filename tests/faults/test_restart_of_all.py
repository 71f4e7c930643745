"""A server that is killed in the middle of a rollout: the next one brings the fleet back to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import bring_up, definitions_of, register
from rolewise.coordinator.rollout.events import StepStarted
from rolewise.coordinator.rollout.requests import Abort
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import ReplicaState
from rolewise.fleet.spec import parse_fleet
from rolewise.fleet.task import Outcome, TaskRequest
from tests.scenario.stage import Stage, given
from tests.scenario.test_operators import TIMED

STEPS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


async def restart(stage: Stage, text: str = TIMED, *, runtime: LocalRuntime | None = None) -> None:
    """End everything but the store, wait, and start the fleet again as the server does.

    Args:
        runtime: The fleet's processes, if they are still there.
    """
    await stage.stop()
    await stage.clock.sleep(60.0)
    stage.runtime = runtime or LocalRuntime(entry=tuple(stage.spec.entry), seed=8)
    spec = parse_fleet(text)
    fleet = await register(stage.journal, spec, text=text, file="test.yaml", by="up")
    last = await stage.journal.last_rollout(fleet)
    lease = await stage.store.acquire("fleet/pair", "up", 30.0)
    assert lease is not None
    await bring_up(stage.runtime, spec, fleet, last=last, fencing=lease.fencing)
    await stage.store.release(lease)


async def a_task_completes(stage: Stage, name: str) -> None:
    await stage.runtime.submit(TaskRequest(id=name))
    record = await stage.runtime.result(name, wait_s=10.0)
    assert record is not None
    assert record.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("moment_s", [0.05, 0.3, 0.6, 1.0, 10.0, 31.0, 31.3, 31.6, 40.0, 62.0])
def test_the_rollout_goes_on_where_its_log_stands(moment_s: float) -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.clock.sleep(moment_s)
        before = await stage.journal.rollout(rollout)
        assert not before.phase.is_final
        await restart(stage)
        state = await stage.journal.rollout(rollout)
        assert state.sequence == before.sequence, "starting it again is no event of the rollout"
        ready = (await stage.runtime.observe()).replicas
        assert {r.state for r in ready} == {ReplicaState.READY}
        assert {r.table for r in ready} == {state.table.number}
        await a_task_completes(stage, "before the controller")
        stage.lead("second")
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED
        events = await stage.events(rollout)
        assert [(e.stage, e.step) for e in events if isinstance(e, StepStarted)] == STEPS
        versions = {(r.role, r.version) for r in (await stage.runtime.observe()).replicas}
        assert versions == {("entry", "v2"), ("worker", "v2")}
        await a_task_completes(stage, "afterwards")

    given(TIMED, story, traffic=False)


def test_it_can_be_aborted_as_soon_as_it_is_back() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.timer_ends is not None)
        await restart(stage)
        await stage.journal.request(
            rollout, Abort(at=stage.journal.now, by="ana", reason="not after this")
        )
        stage.lead("second")
        assert (await stage.ends(rollout)).phase is Phase.ROLLED_BACK
        versions = {(r.role, r.version) for r in (await stage.runtime.observe()).replicas}
        assert versions == {("entry", "v1"), ("worker", "v1")}

    given(TIMED, story, traffic=False)


def test_another_file_is_refused_until_the_rollout_has_ended() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        changed = TIMED.replace("slots: 8", "slots: 4")
        with pytest.raises(RolewiseError) as refused:
            await restart(stage, changed)
        assert refused.value.kind.code == "rollout_in_progress"
        assert "unchanged" in refused.value.hint
        await restart(stage)
        stage.lead("second")
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED
        await restart(stage, changed)

    given(TIMED, story, traffic=False)


def test_a_fleet_that_outlived_its_server_keeps_nothing_that_is_not_wanted() -> None:
    async def story(stage: Stage) -> None:
        left = definitions_of(stage.spec)["worker", "v2"]
        gone = replace(left, role="clerk", version="v9")
        for version in (left, gone):
            await stage.runtime.scale(version, 2, fencing=0)
        await restart(stage, runtime=stage.runtime)
        await a_task_completes(stage, "afterwards")
        versions = {(r.role, r.version) for r in (await stage.runtime.observe()).replicas}
        assert versions == {("entry", "v1"), ("worker", "v1")}

    given(TIMED, story, traffic=False)
