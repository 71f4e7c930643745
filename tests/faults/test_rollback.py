"""The way back always works: whatever fails, at whatever moment somebody aborts."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from rolewise.coordinator.rollout.requests import Abort, Retry
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.local.pages import LocalPages
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.runtime import (
    CapacityShort,
    DrainStuck,
    Observation,
    VersionDefinition,
)
from rolewise.fleet.task import Outcome, TaskRequest
from tests.faults.test_attention import PAIR, on_trial
from tests.scenario.stage import Stage, given

ASKS = {"do": "relay", "body": {"do": "version"}}
NAMES = ("worker@v2#3", "worker@v2#4")


@dataclass
class Troubles:
    """What a fleet does not do."""

    is_deaf: bool = False
    is_stuck: bool = False
    has_no_room: bool = False


class Troubled(LocalRuntime):
    """A fleet that accounts and drains do not come back from, and that may have no room."""

    def __init__(self, **options: object) -> None:
        super().__init__(pages=LocalPages(), **options)  # type: ignore[arg-type]
        self.troubles = Troubles()

    async def observe(self, cursor: int = 0) -> Observation:
        if self.troubles.is_deaf:
            raise TimeoutError("the fleet does not answer")
        return await super().observe(cursor)

    async def drain(self, role: str, version: str, limit_s: float, *, fencing: int) -> int:
        if self.troubles.is_stuck:
            raise DrainStuck(NAMES, "they do not answer")
        return await super().drain(role, version, limit_s, fencing=fencing)

    async def scale(self, version: VersionDefinition, replicas: int, *, fencing: int) -> None:
        if self.troubles.has_no_room and replicas:
            raise CapacityShort("1 more replicas want 4 gpu, 0 is free")
        await super().scale(version, replicas, fencing=fencing)


def play(story: object) -> None:
    given(PAIR, story, traffic=False, runtime=Troubled)  # type: ignore[arg-type]


async def abort(stage: Stage, rollout: str) -> None:
    await stage.journal.request(rollout, Abort(at=stage.journal.now, by="ana", reason="enough"))


async def new_tasks_are_on_stable(stage: Stage, name: str) -> bool:
    ends = []
    for n in range(12):
        await stage.runtime.submit(TaskRequest(id=f"{name}-{n}", body=ASKS))
        record = await stage.runtime.result(f"{name}-{n}", wait_s=30.0)
        assert record is not None
        ends.append((record.outcome, record.result))
    return set(ends) == {(Outcome.COMPLETED, "v1")}


def test_a_canary_that_cannot_be_drained_fails_the_rollback_by_name_and_retry_finishes_it() -> None:
    async def story(stage: Stage) -> None:
        assert isinstance(stage.runtime, Troubled)
        rollout = await on_trial(stage)
        stage.runtime.troubles.is_stuck = True
        await abort(stage, rollout)
        await stage.clock.sleep(0.1)
        assert await new_tasks_are_on_stable(stage, "at-once")
        state = await stage.ends(rollout)
        assert state.phase is Phase.FAILED
        assert state.left[0].startswith("drain worker v2 within 1 s")
        assert all(name in state.left[0] for name in NAMES)
        assert "worker" in state.left[1]
        assert await new_tasks_are_on_stable(stage, "failed")
        stage.runtime.troubles.is_stuck = False
        await stage.journal.request(rollout, Retry(at=stage.journal.now, by="ana"))
        assert (await stage.ends(rollout)).phase is Phase.ROLLED_BACK
        versions = {one.version for one in (await stage.runtime.observe()).replicas}
        assert versions == {"v1"}

    play(story)


def test_another_rollout_may_start_where_one_could_not_finish_and_clears_up_first() -> None:
    async def story(stage: Stage) -> None:
        assert isinstance(stage.runtime, Troubled)
        rollout = await on_trial(stage)
        stage.runtime.troubles.is_stuck = True
        await abort(stage, rollout)
        assert (await stage.ends(rollout)).phase is Phase.FAILED
        stage.runtime.troubles.is_stuck = False
        another = await stage.start("v2")
        await stage.clock.sleep(0.1)
        await abort(stage, another)
        state = await stage.ends(another)
        assert (state.phase, state.left_by) == (Phase.ROLLED_BACK, rollout)
        assert await new_tasks_are_on_stable(stage, "after")
        versions = {one.version for one in (await stage.runtime.observe()).replicas}
        assert versions == {"v1"}

    play(story)


Faults = st.lists(
    st.sampled_from(["deaf", "no room", "canary dies", "stable dies", "gateway", "collector"]),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@for_all(moment=st.floats(0.0, 8.0), faults=Faults, then=Faults)
def test_an_abort_at_any_moment_under_any_fault_leads_back_in_seconds(
    moment: float, faults: list[str], then: list[str]
) -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        for fault in faults:
            await happen(stage, fault)
        await stage.clock.sleep(moment)
        for fault in then:
            await happen(stage, fault)
        state = await stage.journal.rollout(rollout)
        if not state.phase.is_final:  # without room it may have gone back by itself
            await abort(stage, rollout)
        await stage.clock.sleep(0.5)
        assert await new_tasks_are_on_stable(stage, "after")
        began = stage.clock.now()
        state = await stage.ends(rollout)
        assert state.phase is Phase.ROLLED_BACK
        assert stage.clock.now() - began < 10.0
        assert dict(state.release) == {"worker": "v1", "entry": "v1"}

    play(story)


async def happen(stage: Stage, fault: str) -> None:
    runtime = stage.runtime
    assert isinstance(runtime, Troubled)
    versions = {address.version for address in runtime.staff.live if address.role == "worker"}
    match fault:
        case "deaf":
            runtime.troubles.is_deaf = True
        case "no room":
            runtime.troubles.has_no_room = True
        case "canary dies" if "v2" in versions:
            runtime.kill("worker", "v2", kind=IncidentKind.OUT_OF_MEMORY)
        case "stable dies":
            runtime.kill("worker", "v1", unnoticed=True)
        case "gateway":
            await runtime.kill_gateway()
        case "collector":
            runtime.kill_collector()
        case _:
            pass
