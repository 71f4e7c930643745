"""What becomes of each release of the example fleets: which phase, and for which reason."""

from __future__ import annotations

import pytest

from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.plan import Analyse
from rolewise.coordinator.rollout.events import (
    StageStarted,
    StepStarted,
    TableChanged,
    VerdictGiven,
    WeightSet,
)
from rolewise.coordinator.rollout.state import Phase
from tests.scenario.stage import Stage, config, given

CASES = [
    ("supply-chain", "v2", Phase.COMPLETED, ""),
    ("supply-chain", "v3-deadlock", Phase.ROLLED_BACK, "supplier@v3-deadlock hold each other up"),
    ("supply-chain", "v3-wrong", Phase.ROLLED_BACK, "harm: completion"),
    ("supply-chain", "v3-loop", Phase.ROLLED_BACK, "harm: "),
    ("supply-chain", "v3-slow", Phase.ROLLED_BACK, "harm: latency"),
    ("supply-chain", "v3-costly", Phase.ROLLED_BACK, "harm: tokens"),
    ("replay-retail", "preconditions", Phase.COMPLETED, ""),
    ("replay-retail", "assertions", Phase.ROLLED_BACK, "harm: completion"),
]


@pytest.mark.parametrize(("fleet", "to", "phase", "reason"), CASES)
def test_release(fleet: str, to: str, phase: Phase, reason: str) -> None:
    async def story(stage: Stage) -> None:
        before = dict(await stage.fleets.release(fleet))
        rollout = await stage.start(to)
        state = await stage.ends(rollout)
        assert state.phase is phase, state.reason
        assert reason in state.reason
        if phase is Phase.ROLLED_BACK:
            assert dict(state.release) == before
        versions = {(r.role, r.version) for r in (await stage.runtime.observe()).replicas}
        assert versions == set(state.release.items()), "no canary is left behind"
        counts = await stage.accounts()
        assert counts.submitted == counts.completed + counts.failed + counts.timed_out > 0

    given(config(fleet), story)


def test_a_good_release_goes_up_step_by_step_and_through_every_gate() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        state = await stage.ends(rollout)
        assert state.phase is Phase.COMPLETED, state.reason
        events = await stage.events(rollout)
        for number, planned in enumerate(state.plan.stages):
            weights = [
                e.to_weight for e in events if isinstance(e, WeightSet) and e.role == planned.role
            ]
            assert weights == [1.0, 5.0, 25.0, 50.0, 100.0]
            analyses = [n for n, step in enumerate(planned.steps) if isinstance(step, Analyse)]
            begun = [e.step for e in events if isinstance(e, StepStarted) and e.stage == number]
            assert len(analyses) == 2
            assert begun == list(range(len(planned.steps)))
        safe = [
            e.verdict
            for e in events
            if isinstance(e, VerdictGiven) and e.verdict.ruling is Ruling.SAFE
        ]
        required = {"completion", "tool-errors", "tokens", "saving"}
        for verdict in safe:
            shown = {s.name for s in verdict.signals if s.ruling is Ruling.SAFE}
            assert required <= shown

    given(config("supply-chain"), story)


def test_roles_go_least_critical_first_and_the_orchestrator_last() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        state = await stage.ends(rollout)
        started = [e.stage for e in await stage.events(rollout) if isinstance(e, StageStarted)]
        assert [state.plan.stages[i].role for i in started] == [
            "pricing",
            "negotiator",
            "orchestrator",
        ]
        assert "entry role" in state.plan.stages[-1].reason

    given(config("supply-chain"), story)


def test_at_most_one_role_is_on_trial_and_table_numbers_rise() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.ends(rollout)
        tables = [e.table for e in await stage.events(rollout) if isinstance(e, TableChanged)]
        numbers = [table.number for table in tables]
        assert numbers == sorted(set(numbers))
        for table in tables:
            assert sum(route.weight > 0 for route in table.routes) <= 1

    given(config("supply-chain"), story)


def test_a_deadlock_is_told_as_a_circle_of_waits() -> None:
    async def story(stage: Stage) -> None:
        state = await stage.ends(await stage.start("v3-deadlock"))
        assert state.rollback is not None
        fact = state.rollback.facts[0]
        assert fact.kind == "deadlock"
        words = "\n".join(fact.details)
        assert "negotiator@v1" in words
        assert "supplier@v3-deadlock" in words
        assert "waits for a slot" in words or "for a slot of" in words
        assert "task t-" in words

    given(config("supply-chain"), story)
