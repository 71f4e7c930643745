"""What gateway and collectors keep of tasks that have ended is bounded by the fleet's file."""

from __future__ import annotations

import pytest

from rolewise.agents.message import OUTSIDE, Address, Message, Nature
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.recording import losses
from rolewise.fleet.recording.collector import Collector
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.task import TaskRequest, task_key
from rolewise.graphs import batch_ledger
from rolewise.graphs.interactions import Happening
from tests.contract.test_runtime import launch
from tests.support.sizes import size_of

KEPT, FEW = 1000, 200
SUPPLIER = Address(role="supplier", version="v1", replica=1)


def note_tasks(recorder: Recorder, first: int, tasks: int) -> None:
    for number in range(first, first + tasks):
        task = f"t{number}"
        message = Message(
            id=number + 1,
            nature=Nature.REQUEST,
            kind="order",
            sender=OUTSIDE,
            to="supplier",
            body=None,
            task=task,
            task_key=task_key(task),
            conversation=task,
        )
        row = recorder.happened(Happening.SENT, message, SUPPLIER, float(number), digest=number + 1)
        recorder.answered(row, Happening.REPLIED, number + 0.5, digest=number + 1)


def test_a_collector_with_twenty_times_as_many_tasks_is_as_large() -> None:
    recorder, collector = Recorder("gateway.0", ""), Collector(tasks_kept=KEPT)
    sizes = []
    for block in range(40):
        note_tasks(recorder, block * KEPT, KEPT)
        delivery = recorder.take()
        assert delivery is not None
        collector.take(delivery, now_s=1e9 + block)
        if block in {9, 19, 39}:
            sizes.append(size_of(collector))
    assert max(sizes) < 1.5 * min(sizes), "what it keeps swings, but does not grow"
    assert len(collector.windows.task_rows().task) < 3 * KEPT


@pytest.mark.parametrize("is_successor", [False, True])
def test_a_collector_that_has_heard_of_many_more_replicas_is_as_large(
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_successor: bool,
) -> None:
    """Each rollout ends some and starts others."""
    monkeypatch.setattr(losses, "RECORDERS_KEPT", 10)
    monkeypatch.setattr(batch_ledger, "WRITERS_REMEMBERED", 5)
    monkeypatch.setattr(batch_ledger, "WRITERS_KEPT", 10)
    collector = Collector(tasks_kept=50, is_successor=is_successor)
    sizes = []
    for number in range(120):
        recorder = Recorder(f"supplier@v1#{number}.0", "supplier@v1", capacity=16)
        for second in range(10):
            note_tasks(recorder, number * 10 + second, 1)
            delivery = recorder.take()
            assert delivery is not None
            collector.take(delivery, now_s=1e9 + number / 10)  # within few windows
        if number in {59, 119}:
            sizes.append(size_of(collector))
    assert sizes[1] < 1.1 * sizes[0]
    assert collector.lost == 0


def test_a_gateway_forgets_the_accounts_of_its_oldest_tasks_and_counts_them_still() -> None:
    async def main() -> None:
        runtime = LocalRuntime(entry=("entry",), tasks_kept=FEW)
        await launch(runtime)
        for number in range(FEW + 50):
            await runtime.submit(TaskRequest(id=f"t{number}", body={"do": "echo"}))
            await runtime.result(f"t{number}", wait_s=5.0)
        assert await runtime.result("t49") is None
        assert await runtime.result("t50") is not None
        seen = await runtime.observe()
        assert (seen.counts.submitted, len(seen.tasks)) == (FEW + 50, FEW)
        assert seen.tasks[0].task == "t50"

    run_virtual(main())


def test_a_rehearsal_keeps_figures_of_as_many_tasks_as_the_fleet_would() -> None:
    async def main() -> None:
        runtime = LocalRuntime(entry=("entry",), tasks_kept=50)
        await launch(runtime)
        known = []
        for number in range(600):
            if number == 300:
                runtime.kill_collector()
            await runtime.submit(TaskRequest(id=f"t{number}", body={"do": "echo"}))
            await runtime.result(f"t{number}", wait_s=5.0)
            if number % 10 == 0:
                known.append(len((await runtime.task_rows()).task))
        assert 50 <= max(known[:30]) < 150
        assert 50 <= max(known[30:]) < 150, "also that which follows a killed one"

    run_virtual(main())
