"""What becomes of each release of the example fleets: which phase, and for which reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import pytest

from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.plan import Analyse
from rolewise.coordinator.rollout.events import (
    Event,
    StageStarted,
    StepStarted,
    TableChanged,
    VerdictGiven,
    WeightSet,
)
from rolewise.coordinator.rollout.state import Phase, Rollout
from rolewise.fleet.runtime import TaskCounts
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


@dataclass(frozen=True)
class Played:
    """A release that was rolled out to its end."""

    state: Rollout
    events: tuple[Event, ...]
    before: Mapping[str, str]
    versions: frozenset[tuple[str, str]]
    counts: TaskCounts


@lru_cache
def play(fleet: str, to: str) -> Played:
    """Play a release once for all tests that look at it."""
    played: list[Played] = []

    async def story(stage: Stage) -> None:
        before = dict(await stage.fleets.release(fleet))
        rollout = await stage.start(to)
        state = await stage.ends(rollout)
        replicas = (await stage.runtime.observe()).replicas
        played.append(
            Played(
                state=state,
                events=tuple(await stage.events(rollout)),
                before=before,
                versions=frozenset((one.role, one.version) for one in replicas),
                counts=await stage.accounts(),
            )
        )

    given(config(fleet), story)
    return played[0]


@pytest.mark.parametrize(
    ("fleet", "to", "phase", "reason"),
    CASES,
)
def test_release(fleet: str, to: str, phase: Phase, reason: str) -> None:
    played = play(fleet, to)
    state, counts = played.state, played.counts
    assert state.phase is phase, state.reason
    assert reason in state.reason
    if phase is Phase.ROLLED_BACK:
        assert dict(state.release) == played.before
    assert played.versions == set(state.release.items()), "no canary is left behind"
    assert counts.submitted == counts.completed + counts.failed + counts.timed_out > 0


def test_a_good_release_goes_up_step_by_step_and_through_every_gate() -> None:
    played = play("supply-chain", "v2")
    events = played.events
    for number, planned in enumerate(played.state.plan.stages):
        weights = [
            e.to_weight for e in events if isinstance(e, WeightSet) and e.role == planned.role
        ]
        assert weights == [1.0, 5.0, 25.0, 50.0, 100.0]
        analyses = [n for n, step in enumerate(planned.steps) if isinstance(step, Analyse)]
        begun = [e.step for e in events if isinstance(e, StepStarted) and e.stage == number]
        assert len(analyses) == 2
        assert begun == list(range(len(planned.steps)))
    safe = [
        e.verdict for e in events if isinstance(e, VerdictGiven) and e.verdict.ruling is Ruling.SAFE
    ]
    assert safe
    required = {"completion", "tool-errors", "tokens", "saving"}
    for verdict in safe:
        shown = {s.name for s in verdict.signals if s.ruling is Ruling.SAFE}
        assert required <= shown


def test_roles_go_least_critical_first_and_the_orchestrator_last() -> None:
    played = play("supply-chain", "v2")
    stages = played.state.plan.stages
    started = [e.stage for e in played.events if isinstance(e, StageStarted)]
    assert [stages[i].role for i in started] == ["pricing", "negotiator", "orchestrator"]
    assert "entry role" in stages[-1].reason


def test_at_most_one_role_is_on_trial_and_table_numbers_rise() -> None:
    tables = [e.table for e in play("supply-chain", "v2").events if isinstance(e, TableChanged)]
    numbers = [table.number for table in tables]
    assert numbers == sorted(set(numbers))
    for table in tables:
        assert sum(route.weight > 0 for route in table.routes) <= 1


def test_a_deadlock_is_told_as_a_circle_of_waits() -> None:
    state = play("supply-chain", "v3-deadlock").state
    assert state.rollback is not None
    fact = state.rollback.facts[0]
    assert fact.kind == "deadlock"
    words = "\n".join(fact.details)
    assert "negotiator@v1" in words
    assert "supplier@v3-deadlock" in words
    assert "waits for a slot" in words or "for a slot of" in words
    assert "task t-" in words
