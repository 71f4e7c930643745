"""Real processes, real signals, real Ray: what each fault looks like, and how soon it is over."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from rolewise.agents.agent import AgentImportError
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.patience import PATIENCE_S
from rolewise.fleet.ray.runtime import RayRuntime
from rolewise.fleet.runtime import CapacityShort, ReplicaState
from rolewise.fleet.task import Outcome, TaskRequest
from tests.faults import real
from tests.faults.real import ask_worker, end_of, statuses, until, version

pytestmark = pytest.mark.ray
HERE, THERE = {"cpu": 0.01}, {"there": 1.0}


@pytest.fixture(scope="module")
def fleet(_local_ray: None) -> Iterator[RayRuntime]:
    """One fleet for all tests of this module: an entry, and two workers that may be anywhere."""
    runtime = asyncio.run(real.launch({"entry": HERE, "worker": HERE}))
    yield runtime
    asyncio.run(runtime.shutdown())


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


async def all_well(runtime: RayRuntime) -> bool:
    workers = await statuses(runtime)
    return all(one.state is ReplicaState.READY and not one.reason for one in workers)


def test_a_killed_replica_fails_its_message_in_seconds_and_its_death_is_told(
    fleet: RayRuntime,
) -> None:
    async def scenario() -> None:
        before = await real.last_incident(fleet)
        pid = (await end_of(fleet, "pid", ask_worker(pid=1))).result
        asked = [
            asyncio.create_task(end_of(fleet, f"killed-{n}", ask_worker(wait=12), 60.0))
            for n in range(2)
        ]
        await until(lambda: busy(fleet, 2), "both workers busy")
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert time.monotonic() - began < 10.0
        assert [(await one).outcome for one in done] == [Outcome.FAILED]
        ends = await asyncio.gather(*asked)
        assert {one.outcome for one in ends} == {Outcome.FAILED, Outcome.COMPLETED}
        told = await real.incident(fleet, IncidentKind.DIED, before)
        assert f"its process {pid} ended" in told.reason
        await until(lambda: all_well(fleet), "replaced")
        assert sum(one.crashes for one in await statuses(fleet)) == 1

    run(asyncio.wait_for(scenario(), 90.0))


def test_new_tasks_wait_for_the_only_replica_of_a_role_while_it_is_replaced(
    fleet: RayRuntime,
) -> None:
    async def scenario() -> None:
        pid = (await end_of(fleet, "entry", {"pid": 1})).result
        held = asyncio.create_task(end_of(fleet, "held", {"wait": 60}, 90.0))

        async def is_held() -> bool:
            return any(one.running for one in await statuses(fleet, "entry"))

        await until(is_held, "the entry busy")
        os.kill(pid, signal.SIGKILL)
        assert (await held).outcome is Outcome.FAILED, "so everybody knows that it is gone"
        ends = await asyncio.gather(*(end_of(fleet, f"next-{n}", {"pid": n}) for n in range(5)))
        assert {one.outcome for one in ends} == {Outcome.COMPLETED}, ends
        assert pid not in {one.result for one in ends}

    run(scenario())


async def busy(runtime: RayRuntime, many: int) -> bool:
    return sum(one.running for one in await statuses(runtime)) >= many


def test_while_one_stands_still_the_other_gets_the_messages_and_tables_get_through(
    fleet: RayRuntime, tmp_path: Path
) -> None:
    fifo = tmp_path / "gate"
    os.mkfifo(fifo)

    async def scenario() -> None:
        blocked = asyncio.create_task(
            end_of(fleet, "blocked", ask_worker(**{"block on": str(fifo)}))
        )

        async def is_noticed() -> bool:
            return any("stands still" in one.reason for one in await statuses(fleet))

        await until(is_noticed, "the replica that stands still")
        records = await asyncio.gather(
            *(end_of(fleet, f"on-{n}", ask_worker(n=n)) for n in range(20))
        )
        assert {record.outcome for record in records} == {Outcome.COMPLETED}
        began = time.monotonic()
        await fleet.install(real.table(2), fencing=1)
        assert time.monotonic() - began < 5.0
        fifo.write_text("open")
        assert (await blocked).result == "open"
        await until(lambda: all_well(fleet), "well again")

        async def has_table() -> bool:
            return all(one.table == 2 for one in await statuses(fleet))

        await until(has_table, "the table that it had missed")

    run(scenario())


def test_a_killed_gateway_forgets_no_task(fleet: RayRuntime) -> None:
    async def scenario() -> None:
        told = await end_of(fleet, "told", ask_worker(x=1))
        await fleet.submit(TaskRequest(id="under-way", body=ask_worker(wait=60), timeout_s=90.0))
        before = await fleet.observe(1 << 60)
        os.kill(real.pid_of("gateway"), signal.SIGKILL)
        began = time.monotonic()
        record = await fleet.result("under-way", wait_s=60.0)
        assert record is not None
        assert time.monotonic() - began < 15.0
        assert record.error.startswith("gateway_lost: ")
        assert record.outside_cause == "gateway_lost"
        again = await fleet.result("told")
        assert again is not None
        assert (again.outcome, again.result, again.number) == (
            told.outcome, told.result, told.number,
        )  # fmt: skip
        after = await fleet.observe(1 << 60)
        assert after.counts.submitted == before.counts.submitted
        assert after.counts.running == 0
        await fleet.submit(TaskRequest(id="told", body=ask_worker(x=2)))
        assert (await fleet.observe(1 << 60)).counts.submitted == before.counts.submitted
        assert (await end_of(fleet, "goes-on", ask_worker(x=3))).result == {"x": 3}
        await real.incident(fleet, IncidentKind.GATEWAY_LOST)

    run(scenario())


def test_what_a_role_remembers_outlives_the_process_that_keeps_it(fleet: RayRuntime) -> None:
    async def scenario() -> None:
        remembered = await end_of(fleet, "remember", ask_worker(remember=["a", 1]))
        assert remembered.result == ["a", 1]
        os.kill(real.pid_of("memory"), signal.SIGKILL)
        again = itertools.count()

        async def is_back() -> bool:
            record = await end_of(fleet, f"recall-{next(again)}", ask_worker(recall=1))
            if record.outcome is Outcome.COMPLETED:
                assert record.result == ["a", 1]
            return record.outcome is Outcome.COMPLETED

        await until(is_back, "a keeper that answers")
        await end_of(fleet, "remember-again", ask_worker(remember="b"))
        assert (await end_of(fleet, "recall-again", ask_worker(recall=1))).result == "b"

    run(scenario())


def test_a_killed_collector_makes_what_it_knew_partial(fleet: RayRuntime) -> None:
    async def scenario() -> None:
        await end_of(fleet, "known", ask_worker(x=1))
        cursor = (await fleet.observe(1 << 60)).counts.submitted - 1
        os.kill(real.pid_of("collector:0"), signal.SIGKILL)
        (known,) = (await fleet.observe(cursor)).tasks
        assert known.partial
        looks = itertools.count()

        async def is_known_in_full() -> bool:
            # What came with the first delivery of a process may have begun before.
            await end_of(fleet, f"after-{next(looks)}", ask_worker(x=2))
            tasks = (await fleet.observe(cursor + 1)).closed
            return any(task.messages == 2 and not task.partial for task in tasks)

        await until(is_known_in_full, "a later task in full")
        assert (await fleet.observe(1 << 60)).lost_records > 0
        await real.incident(fleet, IncidentKind.COLLECTOR_LOST)

    run(scenario())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"agent": "tests.faults.agents:DiesAtStart"}, r"its process died \d+ times before it was"),
        ({"runtime_env": {"working_dir": "file:///none.zip"}}, r"runtime environment.*none\.zip"),
    ],
)
def test_a_version_that_does_not_start_is_refused_in_words_and_leaves_nothing(
    fleet: RayRuntime, fields: dict[str, Any], words: str
) -> None:
    async def scenario() -> None:
        began = time.monotonic()
        with pytest.raises(AgentImportError, match=words):
            await fleet.scale(version("worker", "v9", **fields), 1, fencing=1)
        assert time.monotonic() - began < 90.0, "not the five minutes that a start may take"
        assert all(one.version == "v1" for one in await statuses(fleet))

    run(scenario())


def test_a_replica_that_is_killed_while_it_starts_is_started_again(fleet: RayRuntime) -> None:
    async def scenario() -> None:
        up = asyncio.create_task(fleet.scale(version("worker", "v7"), 1, fencing=1))

        async def has_process() -> int:
            return await asyncio.to_thread(real.find_pid, "replica:worker@v7#")

        os.kill(await until(has_process, "its process"), signal.SIGKILL)
        await up
        (fresh,) = [one for one in await statuses(fleet) if one.version == "v7"]
        assert fresh.state is ReplicaState.READY
        await fleet.scale(version("worker", "v7"), 0, fencing=1)

    run(asyncio.wait_for(scenario(), 90.0))


def test_scaling_down_ends_a_scaling_up_that_waits(fleet: RayRuntime) -> None:
    async def scenario() -> None:
        # Room for it by the sums, but its process cannot start.
        stuck = version("worker", "v8", runtime_env={"py_executable": "/nonexistent/python"})
        up = asyncio.create_task(fleet.scale(stuck, 1, fencing=1))

        async def is_there() -> bool:
            return any(one.version == "v8" for one in await statuses(fleet))

        await until(is_there, "entered")
        began = time.monotonic()
        await fleet.scale(stuck, 0, fencing=1)
        assert time.monotonic() - began < 15.0
        with pytest.raises(CapacityShort, match="fewer replicas were asked for"):
            await up
        assert all(one.version == "v1" for one in await statuses(fleet))

    run(scenario())


@pytest.fixture
def there(fleet: RayRuntime) -> Iterator[Any]:
    """A second node, for the workers of `v2`."""
    added = real.add_node(num_cpus=1, resources={"there": 4})
    yield added
    real.remove_node(added)


def test_a_lost_node_is_nobodys_fault_and_a_stopped_process_can_be_drained(
    fleet: RayRuntime, there: Any
) -> None:
    async def scenario() -> None:
        v2 = version("worker", "v2", resources=THERE)
        await fleet.scale(v2, 2, fencing=1)
        await fleet.install(real.table(10, worker="v2"), fencing=1)

        # A process that is stopped answers nobody, and is drained all the same.
        pid = (await end_of(fleet, "stopped", ask_worker(pid=1))).result
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        await fleet.drain("worker", "v2", 1.0, fencing=1)
        await fleet.scale(v2, 0, fencing=1)
        assert time.monotonic() - began < 25.0
        assert not [one for one in await statuses(fleet) if one.version == "v2"]

        await fleet.scale(v2, 1, fencing=1)
        await end_of(fleet, "warm", ask_worker(x=1))
        number = (await fleet.observe(1 << 60)).counts.submitted
        lost = asyncio.create_task(end_of(fleet, "lost", ask_worker(wait=60), 60.0))
        await until(lambda: v2_busy(fleet), "v2 busy")
        real.remove_node(there)
        began = time.monotonic()
        record = await lost
        assert record.outcome is Outcome.FAILED
        assert time.monotonic() - began < 15.0
        told = await real.incident(fleet, IncidentKind.NODE_LOST)
        assert "left the cluster" in told.reason
        (seen, *_) = (await fleet.observe(number)).tasks
        assert (seen.outcome, seen.outside_cause) == (Outcome.FAILED, "node_lost")
        assert all(one.crashes == 0 for one in await statuses(fleet) if one.version == "v2")
        began = time.monotonic()
        without = await end_of(fleet, "nobody", ask_worker(x=1))
        assert without.outcome is Outcome.FAILED
        assert "and none came in 10 s" in without.error
        assert time.monotonic() - began < PATIENCE_S + 5.0, "nobody waits long for a lost node"
        await fleet.install(real.table(11), fencing=1)
        assert (await end_of(fleet, "back", ask_worker(x=1))).result == {"x": 1}
        await fleet.scale(v2, 0, fencing=1)

    run(scenario())


async def v2_busy(runtime: RayRuntime) -> bool:
    return any(one.running for one in await statuses(runtime) if one.version == "v2")
