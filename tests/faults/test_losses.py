"""What dies, and what the judge and people make of it: a lost node is no version's fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from rolewise.coordinator.incident_watch import tell_incidents
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.rollout.state import Phase
from rolewise.fleet.incident import Incident, IncidentKind
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.losses import INQUEST_S, settle_losses
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest
from tests.contract.test_runtime import launch, table, version
from tests.faults.test_attention import PAIR, on_trial, play
from tests.scenario.stage import Stage, given

SLEEPS = {"do": "relay", "body": {"do": "sleep", "s": 1.0}}


def on_fleet(scenario: Callable[[LocalRuntime], Awaitable[None]]) -> None:
    async def main() -> None:
        runtime = LocalRuntime(entry=("entry",), seed=1)
        await launch(runtime, slots=64)
        await scenario(runtime)

    run_virtual(main())


async def with_canary(runtime: LocalRuntime) -> None:
    await runtime.scale(version("worker", "v2", slots=64), 1, fencing=1)
    await runtime.install(table(2, worker={"canary": "v2", "weight": 50.0, "salt": "s"}), fencing=1)


async def lose_canary_with_tasks(runtime: LocalRuntime, kind: IncidentKind) -> tuple[Any, ...]:
    """Let the canary's one replica die with its tasks, again and again; return what is told."""
    for loss in range(6):
        for n in range(16):
            await runtime.submit(TaskRequest(id=f"t{loss}-{n}", body=SLEEPS))
        await asyncio.sleep(0.5)
        runtime.kill("worker", "v2", kind=kind)
        await asyncio.sleep(2.0)
    return (await runtime.observe()).closed


def judged(records: tuple[TaskRecord, ...]) -> tuple[Judge, Ruling]:
    analysis = Analysis(signals=(Signal(name="done", metric="task.completed"),))
    judge = Judge(analysis, role="worker", salt="s")
    judge.feed(records)
    return judge, judge.verdict().ruling


def test_tasks_that_died_with_a_node_are_left_out_and_are_no_harm() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await with_canary(runtime)
        records = await lose_canary_with_tasks(runtime, IncidentKind.NODE_LOST)
        lost = [record for record in records if record.outcome is Outcome.FAILED]
        assert len(lost) > 20
        assert {record.outside_cause for record in lost} == {"node_lost"}
        judge, ruling = judged(records)
        assert ruling is not Ruling.HARM
        assert sum(judge.counts) == len(records) - len(lost)
        assert ("node lost", len(lost)) in judge.verdict().left_out

    on_fleet(scenario)


def test_tasks_that_died_with_a_process_count_against_its_version() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await with_canary(runtime)
        records = await lose_canary_with_tasks(runtime, IncidentKind.DIED)
        assert {record.outside_cause for record in records} == {""}
        assert judged(records)[1] is Ruling.HARM

    on_fleet(scenario)


def failed(*lost_at: str) -> TaskRecord:
    return TaskRecord(
        task="t",
        number=1,
        table=1,
        started_s=100.0,
        latency_s=5.0,
        outcome=Outcome.FAILED,
        error="replica_lost: ...",
        lost_at=lost_at,
    )


def death(replica: str, kind: IncidentKind, at_s: float = 104.0) -> Incident:
    return Incident(number=1, at_s=at_s, kind=kind, what=replica, reason="")


@pytest.mark.parametrize(
    ("lost_at", "incidents", "outcome", "cause"),
    [
        (("a#1",), [], Outcome.RUNNING, ""),
        (("a#1",), [death("a#2", IncidentKind.NODE_LOST)], Outcome.RUNNING, ""),
        (("a#1",), [death("a#1", IncidentKind.OUT_OF_REACH)], Outcome.RUNNING, ""),
        (("a#1",), [death("a#1", IncidentKind.NODE_LOST, at_s=50.0)], Outcome.RUNNING, ""),
        (("a#1",), [death("a#1", IncidentKind.NODE_LOST)], Outcome.FAILED, "node_lost"),
        (("a#1",), [death("a#1", IncidentKind.OUT_OF_MEMORY)], Outcome.FAILED, ""),
        (
            ("a#1", "b#2"),
            [death("a#1", IncidentKind.NODE_LOST), death("b#2", IncidentKind.DIED)],
            Outcome.FAILED,
            "",
        ),
        (("a#1", "b#2"), [death("a#1", IncidentKind.NODE_LOST)], Outcome.RUNNING, ""),
    ],
)
def test_a_task_is_settled_when_it_is_known_what_its_replica_died_of(
    lost_at: tuple[str, ...], incidents: list[Incident], outcome: Outcome, cause: str
) -> None:
    (seen,) = settle_losses([failed(*lost_at)], incidents, now_s=110.0)
    assert (seen.outcome, seen.outside_cause) == (outcome, cause)
    (later,) = settle_losses([failed(*lost_at)], incidents, now_s=105.0 + INQUEST_S)
    assert later.outcome is Outcome.FAILED, "it is not waited for longer than that"
    (fine,) = settle_losses(
        [replace(failed(*lost_at), outcome=Outcome.COMPLETED)], incidents, now_s=110.0
    )
    assert fine.outcome is Outcome.COMPLETED, "it was sent again and done"


def test_of_tasks_that_a_dead_collector_has_seen_nobody_claims_to_know_all() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        for n in range(3):
            await runtime.submit(TaskRequest(id=f"before{n}", body={"do": "tool"}))
        await runtime.submit(TaskRequest(id="through", body=SLEEPS))
        await asyncio.sleep(0.5)
        await runtime.observe()
        runtime.kill_collector()
        through = await runtime.result("through", wait_s=5.0)
        assert through is not None
        assert through.partial, "also when its account is the first thing that is asked for"
        assert (await runtime.observe()).lost_records > 0
        await asyncio.sleep(1.0)
        await runtime.submit(TaskRequest(id="after", body={"do": "tool"}))
        await asyncio.sleep(1.0)
        tasks = {record.task: record for record in (await runtime.observe()).closed}
        assert {name for name, record in tasks.items() if record.partial} == {
            "before0", "before1", "before2", "through",
        }  # fmt: skip
        assert tasks["after"].tool_calls == 2
        rows = await runtime.task_rows()
        assert rows.partial.sum() == 1, "of the others the graph knows nothing"

    on_fleet(scenario)


def test_a_judge_of_tool_errors_says_nothing_of_tasks_that_a_collector_took_with_it() -> None:
    signals = (Signal(name="tools", metric="tool.error"),)

    async def scenario(runtime: LocalRuntime) -> None:
        await with_canary(runtime)
        body = {"do": "tool"}
        for n in range(40):
            await runtime.submit(TaskRequest(id=f"t{n}", body=body))
        await asyncio.sleep(2.0)
        runtime.kill_collector()
        judge = Judge(Analysis(signals=signals), role="worker", salt="s")
        judge.feed((await runtime.observe()).closed)
        assert judge.levels()[0] == pytest.approx((0.0, 0.0)), "no evidence, either way"
        (shown,) = judge.verdict().signals
        assert (shown.baseline, shown.canary) == (None, None)
        assert shown.left_out == (("telemetry lost", 40),)

    on_fleet(scenario)


def incidents_of(kind: IncidentKind, *versions: str, times: int) -> Callable[[Stage], None]:
    def happen(stage: Stage) -> None:
        for _ in range(times):
            for name in versions:
                stage.runtime.kill("worker", name, kind=kind)

    return happen


def after(happen: Callable[[Stage], None]) -> tuple[Phase, str]:
    found: list[tuple[Phase, str]] = []

    async def story(stage: Stage) -> None:
        rollout = await on_trial(stage)
        happen(stage)
        await stage.clock.sleep(10.0)
        state = await stage.journal.rollout(rollout)
        found.append((state.phase, state.reason))

    play(story)
    return found[0]


def test_a_version_that_dies_again_and_again_is_rolled_back() -> None:
    phase, reason = after(incidents_of(IncidentKind.DIED, "v2", times=3))
    assert phase is Phase.ROLLED_BACK
    assert "crash loop: worker@v2#" in reason


def test_a_version_whose_nodes_are_lost_is_not() -> None:
    phase, _ = after(incidents_of(IncidentKind.NODE_LOST, "v2", times=5))
    assert phase is Phase.PAUSED  # at the step that waits for a person, as before


def test_a_version_whose_nodes_alone_are_lost_again_and_again_waits_for_a_person() -> None:
    async def story(stage: Stage) -> None:
        rollout = await on_trial(stage)
        for _ in range(3):
            stage.runtime.kill("worker", "v2", kind=IncidentKind.NODE_LOST)
            await stage.clock.sleep(120.0)
        state = await stage.journal.rollout(rollout)
        assert state.phase is Phase.PAUSED
        assert state.reason.startswith(
            "3 times in this rollout a node was lost that carried worker"
        )

    given(PAIR.replace("{pause: {}}", "{pause: {duration: 1h}}"), story, traffic=False)


def test_when_the_stable_version_dies_as_well_people_are_asked() -> None:
    phase, _ = after(incidents_of(IncidentKind.OUT_OF_MEMORY, "v1", "v2", times=3))
    assert phase is Phase.PAUSED


def test_incidents_are_in_the_fleets_log_once_whoever_leads() -> None:
    async def story(stage: Stage) -> None:
        stage.runtime.kill("worker", "v1")
        await stage.clock.sleep(3.0)
        await stage.stop()
        stage.lead("second")
        await stage.clock.sleep(20.0)
        stage.runtime.kill("worker", "v1", kind=IncidentKind.NODE_LOST)
        stage.runtime.kill_collector()
        await stage.clock.sleep(3.0)
        state = await stage.journal.fleet("pair")
        assert [(one.kind, one.what.partition("#")[0]) for one in state.incidents] == [
            (IncidentKind.DIED, "worker@v1"),
            (IncidentKind.NODE_LOST, "worker@v1"),
            (IncidentKind.COLLECTOR_LOST, "collector 0"),
        ]
        told = tell_incidents(state, stage.journal.now)
        assert len(told) == 3
        assert "worker@v1#" in told[0]
        assert "was killed" in told[0]

    play(story)
