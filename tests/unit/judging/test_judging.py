"""The judge's life beside a controller: restarts, new attempts, tasks that run, scores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.judging import SAVE_S, Judging
from rolewise.coordinator.rollout.requests import Tick
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.fleet.runtime import Observation, TaskCounts
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm
from tests.unit.judge.records import some_records
from tests.unit.rollout.world import STEPS, Story, a_plan, a_stage

ANALYSIS = Analysis(
    signals=(
        Signal(name="completion", metric="task.completed", tolerate=0.05),
        Signal(name="p50", metric="task.latency", tolerate=0.25, quantile=0.5),
    )
)
ROLE = "supplier"


class StillClock:
    """A clock that stands, for a store that only its lease asks for the time."""

    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps {seconds} s here")


class Accounts:
    """A runtime of which only the accounts are asked."""

    def __init__(self, records: list[TaskRecord]) -> None:
        self.records = records
        self.now_s = 0.0
        self.asked: list[int] = []

    async def observe(self, cursor: int = 0) -> Observation:
        self.asked.append(cursor)
        tasks = tuple(one for one in self.records if one.number > cursor)[:100]
        return Observation(now_s=self.now_s, replicas=(), counts=TaskCounts(), tasks=tasks)


def on_trial(analysis: Analysis = ANALYSIS) -> Story:
    story = Story(a_plan(a_stage(ROLE, *STEPS, analysis=analysis)))
    return story.take(Tick(at=story.now)).work()


def drawn_for(state: Rollout, records) -> list[TaskRecord]:
    """Give records the draws of the state's trial."""
    assert state.trial is not None
    return [
        replace(
            record,
            assignments=tuple(
                Assignment(role=ROLE, salt=state.trial.salt, arm=one.arm, weight=one.weight)
                for one in record.assignments
                if one.arm is not Arm.NONE and one.role != "other"
            ),
        )
        for record in records
    ]


async def a_judge_of(judging: Judging, state: Rollout) -> Judge:
    await judging.meet(state)
    await judging.observe()
    assert judging.judge is not None
    return judging.judge


async def test_a_new_controller_goes_on_where_the_last_one_saved() -> None:
    state = on_trial().state
    records = drawn_for(state, some_records(600, seed=3))
    store, accounts = MemoryStore(StillClock()), Accounts(records[:400])
    first = Judging(store, accounts)
    await a_judge_of(first, state)
    accounts.records, accounts.now_s = records, SAVE_S / 2
    await first.observe()  # 600 are counted, 400 are saved
    accounts.asked.clear()
    second = await a_judge_of(Judging(store, accounts), state)
    assert accounts.asked[0] == 400, "what was saved is not read again"
    whole = Judge(ANALYSIS, role=ROLE, salt=state.trial.salt)
    whole.feed(records)
    assert second.to_json() == whole.to_json()
    assert second.verdict() == whole.verdict()


async def test_evidence_outlives_the_accounts_it_came_from() -> None:
    state = on_trial().state
    records = drawn_for(state, some_records(500, seed=4))
    store, accounts = MemoryStore(StillClock()), Accounts(records)
    before = await a_judge_of(Judging(store, accounts), state)
    accounts.records = []
    after = await a_judge_of(Judging(store, accounts), state)
    assert after.verdict().tasks_canary == before.verdict().tasks_canary > 0


async def test_a_new_attempt_goes_on_with_the_evidence_of_the_last() -> None:
    story = on_trial()
    store, accounts = MemoryStore(StillClock()), Accounts([])
    judging = Judging(store, accounts)
    accounts.records = drawn_for(story.state, some_records(500, seed=5))
    first = await a_judge_of(judging, story.state)
    await judging.save()
    story.abort().work().retry().tick().work()
    accounts.records += drawn_for(story.state, some_records(300, seed=6, first=501))
    second = await a_judge_of(judging, story.state)
    counted = (first.verdict(), second.verdict())
    assert sum((counted[1].tasks_baseline, counted[1].tasks_canary)) == 800
    assert counted[1].signals[0].e_safe != counted[0].signals[0].e_safe


async def test_a_build_proven_harmful_is_judged_anew_with_half_the_chance() -> None:
    story = on_trial()
    store, accounts = MemoryStore(StillClock()), Accounts([])
    judging = Judging(store, accounts)
    accounts.records = drawn_for(story.state, some_records(500, seed=5, completes=(0.95, 0.4)))
    judge = await a_judge_of(judging, story.state)
    verdict = judge.verdict()
    assert verdict.ruling is Ruling.HARM
    await judging.save()
    story.abort().work().retry().tick().work()
    again = (await a_judge_of(judging, story.state)).verdict()
    assert again.ruling is Ruling.NO_DATA
    assert again.signals[0].harm_at == pytest.approx(2 * verdict.signals[0].harm_at)


async def test_a_task_that_hangs_is_slow_long_before_its_deadline() -> None:
    state = on_trial().state
    records = drawn_for(state, some_records(2000, seed=8))
    hung = [
        replace(one, outcome=Outcome.RUNNING, latency_s=None, started_s=0.0)
        if one.number > 600 and one.number % 4 == 0 and one.assignments[0].arm is Arm.CANARY
        else one
        for one in records
    ]
    accounts = Accounts(hung)
    judging = Judging(MemoryStore(StillClock()), accounts)
    await judging.meet(state)
    accounts.now_s = 0.1
    await judging.observe()
    assert judging.judge is not None
    early = {one.name: one for one in judging.judge.verdict().signals}
    accounts.now_s = 30.0
    while True:  # a hundred accounts come at a time
        before = [track.cursor for track in judging.judge._tracks]
        await judging.observe()
        if before == [track.cursor for track in judging.judge._tracks]:
            break
    late = {one.name: one for one in judging.judge.verdict().signals}
    assert late["completion"] == early["completion"], "completion waits for the first that hangs"
    assert late["p50"].tasks_canary > early["p50"].tasks_canary
    assert late["p50"].e_harm > early["p50"].e_harm
