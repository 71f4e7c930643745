"""What every runtime keeps to; run against the local one (virtual time) and the Ray one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import ReplicaState, Runtime, VersionDefinition
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest, task_key
from rolewise.graphs.deadlock import find_deadlock
from rolewise.graphs.role_figures import Failures
from rolewise.graphs.snapshot_columns import read_snapshots
from rolewise.graphs.task_trees import Call, Invocation
from tests.contract.runtimes import RUNTIMES, Scenario, run_fleet

AGENTS = "tests.support.agents"


def version(role: str, name: str = "v1", agent: str = "", **more: Any) -> VersionDefinition:
    agents = {"entry": "Entry", "adder": "Adder", "worker": "Worker"}
    return VersionDefinition(
        role=role,
        version=name,
        content_hash=f"{role}-{name}",
        agent=agent or f"{AGENTS}:{agents[role]}",
        config={},
        resources={"cpu": 0.01},
        **more,
    )


def table(number: int, **routes: Any) -> RoutingTable:
    merged = {"entry": {}, "adder": {}, "worker": {}} | routes
    return RoutingTable(
        number=number,
        routes=tuple(RoleRoute(role=r, **({"stable": "v1"} | kw)) for r, kw in merged.items()),
    )


async def launch(runtime: Runtime, **worker: Any) -> None:
    versions = (version("entry", slots=16), version("adder"), version("worker", **worker))
    await asyncio.gather(*(runtime.scale(one, 1, fencing=1) for one in versions))
    await runtime.install(table(1), fencing=1)


async def submit(runtime: Runtime, task: str, body: Any = None, timeout_s: float = 10.0) -> None:
    await runtime.submit(TaskRequest(id=task, body=body, timeout_s=timeout_s))


async def end_of(runtime: Runtime, task: str, body: Any = None, **more: Any) -> TaskRecord:
    await submit(runtime, task, body, **more)
    record = await runtime.result(task, wait_s=20.0)
    assert record is not None
    return record


async def account_of(runtime: Runtime, task: str) -> TaskRecord | None:
    """Return what the judge is told of a task; None until its account is closed."""
    closed = (await runtime.observe()).closed
    return next((record for record in closed if record.task == task), None)


async def until(runtime: Runtime, holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition by doing something observable in between: one short task a look."""
    for look in range(400):
        if await holds():
            return
        await end_of(runtime, f"look-{what}-{look}", {"do": "pause", "s": 0.02})
    pytest.fail(f"never came true: {what}")


async def tasks_complete_with_their_results(runtime: Runtime) -> None:
    await launch(runtime)
    cases = [
        ({"do": "add", "a": 2, "b": 3}, 5),
        ({"do": "all"}, [0, 1, 2]),
        ({"do": "any"}, "first"),
        ({"do": "tool"}, 42),
        ({"do": "tell"}, "told"),
        ({"do": "remember", "x": [1, 2]}, [1, 2]),
    ]
    for number, (body, wanted) in enumerate(cases):
        record = await end_of(runtime, f"result-{number}", body)
        assert (record.outcome, record.result) == (Outcome.COMPLETED, wanted), record


async def a_task_is_submitted_once(runtime: Runtime) -> None:
    await launch(runtime)
    before = (await runtime.observe()).counts.submitted
    await end_of(runtime, "same")
    await submit(runtime, "same")
    assert (await runtime.observe()).counts.submitted == before + 1
    assert await runtime.result("unknown") is None


async def a_raising_handler_fails_the_task_with_its_cause(runtime: Runtime) -> None:
    await launch(runtime)
    record = await end_of(runtime, "raises", {"do": "relay", "body": {"do": "raise"}})
    assert record.outcome is Outcome.FAILED
    assert "broken on purpose" in record.error
    assert "worker@v1" in record.error


async def a_body_that_does_not_fit_is_refused_at_the_edge(runtime: Runtime) -> None:
    await launch(runtime)
    record = await end_of(runtime, "wrong", {"do": "wrong"})
    assert record.outcome is Outcome.FAILED
    assert "add: field a = 'x'" in record.error


async def a_deadline_travels_and_frees_the_slot(runtime: Runtime) -> None:
    await launch(runtime, slots=1)
    late = await end_of(
        runtime, "late", {"do": "relay", "body": {"do": "wait_for_ever"}}, timeout_s=0.3
    )
    assert late.outcome is Outcome.TIMED_OUT
    after = await end_of(runtime, "after", {"do": "relay", "body": {"do": "echo", "x": 1}})
    assert after.result == 1


async def a_cancelled_branch_frees_its_slot(runtime: Runtime) -> None:
    await launch(runtime, slots=2)
    assert (await end_of(runtime, "t", {"do": "any"})).result == "first"

    async def free() -> bool:
        workers = [r for r in (await runtime.observe()).replicas if r.role == "worker"]
        return all(r.running == 0 for r in workers)

    await until(runtime, free, "slot given back")


async def a_full_queue_pushes_back(runtime: Runtime) -> None:
    await launch(runtime, slots=1, queue_limit=1)
    for number in range(4):
        body = {"do": "relay", "body": {"do": "wait_for_ever"}}
        await submit(runtime, f"t{number}", body, timeout_s=2.0)
    records = [await runtime.result(f"t{number}", wait_s=20.0) for number in range(4)]
    ends = sorted(record.outcome.value for record in records if record)
    assert ends == ["failed", "failed", "timed_out", "timed_out"]
    assert any("queue of worker@v1" in record.error for record in records if record)


async def weights_split_new_tasks_and_stick(runtime: Runtime) -> None:
    await launch(runtime)
    await runtime.scale(version("worker", "v2"), 1, fencing=1)
    split = table(2, worker={"canary": "v2", "weight": 40.0, "salt": "s"})
    await runtime.install(split, fencing=1)
    got = {}
    for number in range(60):
        body = {"do": "relay", "body": {"do": "version"}}
        got[f"t{number}"] = (await end_of(runtime, f"t{number}", body)).result
    share = sum(v == "v2" for v in got.values()) / len(got)
    assert 0.15 < share < 0.65

    async def settled() -> bool:
        return len((await runtime.observe()).closed) >= 60

    await until(runtime, settled, "tasks settled")
    for record in (await runtime.observe()).closed:
        if record.task in got:
            (assignment,) = record.assignments
            assert (assignment.arm == 2) == (got[record.task] == "v2")
            assert assignment.weight == 40.0


async def a_withdrawn_version_gets_nothing_more(runtime: Runtime) -> None:
    await launch(runtime)
    await runtime.scale(version("worker", "v2"), 1, fencing=1)
    full = table(2, worker={"canary": "v2", "weight": 100.0, "salt": "s"})
    await runtime.install(full, fencing=1)
    body = {"do": "relay", "body": {"do": "version"}}
    assert (await end_of(runtime, "before", body)).result == "v2"
    back = table(3)
    withdrawn = RoutingTable(number=3, routes=back.routes, withdrawn=frozenset({("worker", "v2")}))
    await runtime.install(withdrawn, fencing=1)
    assert (await end_of(runtime, "after", body)).result == "v1"
    assert await runtime.drain("worker", "v2", 5.0, fencing=1) == 0
    await runtime.scale(version("worker", "v2"), 0, fencing=1)
    replicas = (await runtime.observe()).replicas
    assert all(r.version == "v1" for r in replicas)
    assert (await end_of(runtime, "gone", body)).result == "v1"


async def a_drain_cancels_what_does_not_end(runtime: Runtime) -> None:
    await launch(runtime)
    await runtime.scale(version("worker", "v2"), 1, fencing=1)
    full = table(2, worker={"canary": "v2", "weight": 100.0, "salt": "s"})
    await runtime.install(full, fencing=1)
    await submit(runtime, "stuck", {"do": "relay", "body": {"do": "wait_for_ever"}}, 30.0)

    async def running() -> bool:
        return any(r.running for r in (await runtime.observe()).replicas if r.version == "v2")

    await until(runtime, running, "stuck task started")
    assert await runtime.drain("worker", "v2", 0.2, fencing=1) == 1
    record = await runtime.result("stuck", wait_s=20.0)
    assert record is not None
    assert record.outcome is Outcome.FAILED
    assert "drained" in record.error


async def scaling_is_idempotent_and_acknowledged(runtime: Runtime) -> None:
    await launch(runtime)
    for _ in range(2):
        await runtime.scale(version("worker"), 3, fencing=1)
        replicas = (await runtime.observe()).replicas
        workers = [r for r in replicas if r.role == "worker"]
        assert len(workers) == 3
        assert all(r.state is ReplicaState.READY and r.table == 1 for r in workers)
    await runtime.scale(version("worker"), 1, fencing=1)
    replicas = (await runtime.observe()).replicas
    assert sum(r.role == "worker" for r in replicas) == 1


async def every_task_is_accounted_for_once_and_in_order(runtime: Runtime) -> None:
    await launch(runtime)
    for number in range(20):
        body = {"do": "relay", "body": {"do": "raise" if number % 5 == 0 else "echo", "x": 1}}
        await submit(runtime, f"t{number}", body)
    for number in range(20):
        await runtime.result(f"t{number}", wait_s=20.0)

    async def settled() -> bool:
        return len((await runtime.observe()).closed) >= 20

    await until(runtime, settled, "tasks settled")
    closed = (await runtime.observe()).closed[:20]
    assert [record.number for record in closed] == list(range(1, 21))
    assert [record.task for record in closed] == [f"t{number}" for number in range(20)]
    failed = [record.task for record in closed if record.outcome is Outcome.FAILED]
    assert failed == ["t0", "t5", "t10", "t15"]
    middle = await runtime.observe(cursor=10)
    assert middle.closed[0].number == 11


async def tool_calls_and_usage_reach_the_account(runtime: Runtime) -> None:
    await launch(runtime)
    await end_of(runtime, "tool", {"do": "tool"})

    async def counted() -> bool:
        record = await account_of(runtime, "tool")
        return record is not None and record.tool_calls == 2

    await until(runtime, counted, "tool calls counted")
    record = await account_of(runtime, "tool")
    assert record is not None
    assert (record.tool_calls, record.tool_errors) == (2, 1)
    assert (record.input_tokens, record.output_tokens, record.cost_usd) == (10, 5, 0.01)
    assert record.scores == {"quality": 0.5}


async def what_each_task_did_can_be_compared(runtime: Runtime) -> None:
    await launch(runtime)
    tasks = [f"compared-{number}" for number in range(3)]
    for number, task in enumerate(tasks):
        await end_of(runtime, task, {"do": "relay", "body": {"do": "echo", "x": number}})

    keys = [task_key(task) for task in tasks]

    async def folded() -> bool:
        rows = await runtime.task_rows()
        edges = {(src, dst) for src, dst, _ in rows.edges}
        # What the gateway has sent and what the entry has come with deliveries of their own.
        return set(keys) <= set(rows.task.tolist()) and ("entry", "worker") in edges

    await until(runtime, folded, "tasks folded, with both their messages")
    rows = await runtime.task_rows()
    assert not rows.partial[np.isin(rows.task, keys)].any()


async def messages_reach_the_interaction_graph(runtime: Runtime) -> None:
    await launch(runtime)
    await end_of(runtime, "t", {"do": "all"})

    async def seen() -> bool:
        graph = (await runtime.graph()).to_networkx()
        return any(
            data["replied"] == 3
            for src, dst, data in graph.edges(data=True)
            if (src, dst) == ("entry@v1", "worker@v1")
        )

    await until(runtime, seen, "three replies on the edge")


async def the_trees_of_the_last_tasks_are_told(runtime: Runtime) -> None:
    await launch(runtime)
    for number in range(3):
        await end_of(runtime, f"t{number}", {"do": "all"})
    await end_of(runtime, "bad", {"do": "relay", "body": {"do": "raise"}})
    worker = Invocation("worker")
    asked = Invocation("entry", tuple(Call((worker,), 1) for _ in range(3)))
    relayed = Invocation("entry", (Call((worker,), 1),))

    async def seen() -> bool:
        trees, failures = await runtime.task_trees()
        return (
            trees.get(asked) == 3
            and trees.get(relayed, 0) == 1
            and failures == {"worker": Failures(tasks=1, lost=1)}
        )

    await until(runtime, seen, "trees")


async def a_mutual_ask_on_one_slot_is_seen_as_a_deadlock(runtime: Runtime) -> None:
    await launch(runtime, slots=1)
    await submit(runtime, "t", {"do": "relay", "body": {"do": "mutual"}}, timeout_s=30.0)

    async def stuck() -> bool:
        found = find_deadlock(await runtime.waits(), await runtime.waits())
        return found is not None and "worker@v1" in found.sentence

    await until(runtime, stuck, "deadlock found")


async def waits_are_told_of_some_replicas_with_what_they_finished(runtime: Runtime) -> None:
    await launch(runtime, slots=2)
    body = {"do": "relay", "body": {"do": "wait_for_ever"}}
    await end_of(runtime, "added", {"do": "add", "a": 1, "b": 1})
    await submit(runtime, "waits", body, timeout_s=30.0)

    async def both_seen() -> bool:
        seen = read_snapshots(await runtime.waits())
        return sum(len(one.running) for one in seen) == 2

    await until(runtime, both_seen, "asker and asked")
    whole = {one.role: one for one in read_snapshots(await runtime.waits())}
    (asker,), (asked,) = whole["entry"].running, whole["worker"].running
    assert (asker.state, asker.waits, asker.sent_to) == (
        "wait", (asked.id,), (whole["worker"].replica,),
    )  # fmt: skip
    assert (asked.state, asked.kind, asked.task) == ("active", "work", "waits")
    assert all(one.incarnation and one.up_s > 0 for one in whole.values())
    assert all(one.recent == () for one in whole.values())
    await end_of(runtime, "add", {"do": "add", "a": 1, "b": 1})
    (adder,) = read_snapshots(await runtime.waits([whole["adder"].replica], recent=True))
    assert adder.role == "adder"
    assert adder.recent, "it was asked once"
    assert (await runtime.waits(["nobody@v1#9"])).heads == ()


ON_ONE_FLEET: list[Scenario] = [
    tasks_complete_with_their_results,
    a_task_is_submitted_once,
    a_raising_handler_fails_the_task_with_its_cause,
    a_body_that_does_not_fit_is_refused_at_the_edge,
    tool_calls_and_usage_reach_the_account,
    what_each_task_did_can_be_compared,
]
SCENARIOS: list[Scenario] = [
    waits_are_told_of_some_replicas_with_what_they_finished,
    a_deadline_travels_and_frees_the_slot,
    a_cancelled_branch_frees_its_slot,
    a_full_queue_pushes_back,
    weights_split_new_tasks_and_stick,
    a_withdrawn_version_gets_nothing_more,
    a_drain_cancels_what_does_not_end,
    scaling_is_idempotent_and_acknowledged,
    every_task_is_accounted_for_once_and_in_order,
    messages_reach_the_interaction_graph,
    the_trees_of_the_last_tasks_are_told,
    a_mutual_ask_on_one_slot_is_seen_as_a_deadlock,
]


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_runtime(kind: str, scenario: Scenario) -> None:
    run_fleet(kind, scenario)


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", ON_ONE_FLEET, ids=lambda scenario: scenario.__name__)
def test_runtime_on_one_fleet(
    run_shared: Callable[[str, Scenario], None], kind: str, scenario: Scenario
) -> None:
    run_shared(kind, scenario)
