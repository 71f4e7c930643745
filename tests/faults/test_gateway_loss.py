"""The gateway dies: what was accepted still ends once, and what was told stays true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.fleet.ledger import Ledger
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.pages import LocalPages
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import TaskExpired
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest
from tests.contract.test_runtime import launch

SLEEPS = {"do": "relay", "body": {"do": "sleep", "s": 2.0}}
LATE = {"do": "relay", "body": {"do": "wait_for_ever"}}
FAILS = {"do": "relay", "body": {"do": "raise"}}


def on_fleet(
    scenario: Callable[[LocalRuntime], Awaitable[None]],
    *,
    idempotent: bool = False,
    **options: Any,
) -> None:
    async def main() -> None:
        options.setdefault("pages", LocalPages())
        runtime = LocalRuntime(entry=("entry",), seed=1, **options)
        await launch(runtime, slots=16)
        if idempotent:
            routes = tuple(
                RoleRoute(role=role, stable="v1", idempotent=True)
                for role in ("entry", "adder", "worker")
            )
            await runtime.install(RoutingTable(number=2, routes=routes), fencing=1)
        await scenario(runtime)

    run_virtual(main())


async def record_of(runtime: LocalRuntime, task: str, wait_s: float = 60.0) -> TaskRecord:
    record = await runtime.result(task, wait_s=wait_s)
    assert record is not None, f"{task} is unknown"
    return record


def test_a_result_that_was_told_is_told_again_after_the_gateway_died() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await runtime.submit(TaskRequest(id="sum", body={"do": "add", "a": 2, "b": 3}))
        await runtime.submit(TaskRequest(id="bad", body=FAILS))
        before = [await record_of(runtime, task) for task in ("sum", "bad")]
        assert await runtime.score("sum", "faithful", 0.5)
        counts = (await runtime.observe()).counts
        await runtime.kill_gateway()
        after = [await record_of(runtime, task) for task in ("sum", "bad")]
        for was, now in zip(before, after, strict=True):
            fields = ("task", "number", "outcome", "result", "error", "latency_s", "started_s")
            for name in fields:
                assert getattr(was, name) == getattr(now, name), name
        assert after[0].scores == {"faithful": 0.5}
        assert (await runtime.observe()).counts == counts

    on_fleet(scenario)


def test_a_task_that_was_under_way_ends_as_failed_and_is_left_out_by_the_judge() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await runtime.submit(TaskRequest(id="t", body=SLEEPS))
        await asyncio.sleep(1.0)
        await runtime.kill_gateway()
        record = await record_of(runtime, "t")
        assert record.outcome is Outcome.FAILED
        assert record.error.startswith("gateway_lost: the gateway that carried it died")
        assert "role entry is not idempotent" in record.error
        assert record.outside_cause == "gateway_lost"
        await runtime.kill_gateway()
        assert (await record_of(runtime, "t")).error == record.error

    on_fleet(scenario)


def test_a_task_of_an_idempotent_role_is_begun_again_and_keeps_its_deadline() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await runtime.submit(TaskRequest(id="t", body=SLEEPS))
        await runtime.submit(TaskRequest(id="late", body=LATE, timeout_s=5.0))
        await asyncio.sleep(1.0)
        await runtime.kill_gateway()
        record = await record_of(runtime, "t")
        assert (record.outcome, record.result) == (Outcome.COMPLETED, "slept")
        assert record.latency_s == pytest.approx(3.0, abs=0.1)
        late = await record_of(runtime, "late")
        assert late.outcome is Outcome.TIMED_OUT
        assert late.latency_s == pytest.approx(5.0, abs=0.1)

    on_fleet(scenario, idempotent=True)


def test_an_id_that_was_accepted_before_is_not_begun_again_after_the_gateway_died() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await runtime.submit(TaskRequest(id="t", body={"do": "add", "a": 1, "b": 1}))
        await record_of(runtime, "t")
        await runtime.kill_gateway()
        await runtime.submit(TaskRequest(id="t", body={"do": "add", "a": 50, "b": 50}))
        assert (await record_of(runtime, "t")).result == 2
        assert (await runtime.observe()).counts.submitted == 1

    on_fleet(scenario)


def test_two_submitters_of_one_id_are_both_told_only_when_it_is_kept() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        request = TaskRequest(id="t", body=SLEEPS)
        twice = [asyncio.ensure_future(runtime.submit(request)) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(one.done() for one in twice)
        await asyncio.gather(*twice)
        await runtime.kill_gateway()
        assert (await record_of(runtime, "t")).outcome is Outcome.FAILED

    on_fleet(scenario)


def test_a_result_that_is_too_large_to_keep_is_missed_in_words() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        body = {"do": "relay", "body": {"do": "echo", "x": "x" * 100_000}}
        await runtime.submit(TaskRequest(id="large", body=body))
        assert len((await record_of(runtime, "large")).result) == 100_000
        await runtime.kill_gateway()
        record = await record_of(runtime, "large")
        assert (record.outcome, record.result) == (Outcome.COMPLETED, None)
        assert "died with the gateway" in record.error

    on_fleet(scenario)


def test_a_result_waits_for_its_time_and_then_says_that_it_has_expired() -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        await runtime.submit(TaskRequest(id="t", body={"do": "add", "a": 1, "b": 1}))
        await record_of(runtime, "t")
        await asyncio.sleep(99.0)
        assert (await record_of(runtime, "t")).result == 2
        await runtime.kill_gateway()
        await asyncio.sleep(2.0)
        with pytest.raises(TaskExpired, match="task 't' has completed; its result was kept for"):
            await runtime.result("t")
        assert await runtime.result("never") is None
        assert [r.task for r in (await runtime.observe()).closed] == ["t"], "the judge may read it"

    on_fleet(scenario, results_kept_s=100.0)


Steps = st.lists(st.sampled_from(["submit", "submit", "late", "die", "pass"]), max_size=25)


@settings(max_examples=60, deadline=None)
@given(steps=Steps, idempotent=st.booleans())
def test_whenever_the_gateway_dies_every_accepted_task_ends_once(
    steps: list[str], idempotent: bool
) -> None:
    async def scenario(runtime: LocalRuntime) -> None:
        accepted: list[str] = []
        told: dict[str, TaskRecord] = {}
        for number, step in enumerate(steps):
            task = f"t{number}"
            if step == "die":
                # At any moment also of a write: some have just been asked for.
                unsure = asyncio.ensure_future(runtime.submit(TaskRequest(id=task, body=SLEEPS)))
                await asyncio.sleep(0.0003 * (number % 3))
                is_accepted = unsure.done()
                unsure.cancel()
                await runtime.kill_gateway()
                if is_accepted:
                    accepted.append(task)
            elif step == "pass":
                await asyncio.sleep(1.1)
            else:
                body = SLEEPS if step == "submit" else LATE
                await runtime.submit(TaskRequest(id=task, body=body, timeout_s=3.0))
                accepted.append(task)
            for record in (await runtime.observe()).tasks:
                if record.outcome is not Outcome.RUNNING:
                    was = told.setdefault(record.task, record)
                    assert (record.outcome, record.error) == (was.outcome, was.error)
        for task in accepted:
            assert (await record_of(runtime, task)).outcome is not Outcome.RUNNING
        await asyncio.sleep(10.0)
        observation = await runtime.observe()
        tasks, counts = observation.closed, observation.counts
        assert [record.number for record in tasks] == list(range(1, len(tasks) + 1))
        assert set(accepted) <= {record.task for record in tasks}
        assert counts.running == 0
        assert (
            counts.submitted
            == len(tasks)
            == sum((counts.completed, counts.failed, counts.timed_out))
        )

    on_fleet(scenario, idempotent=idempotent)


class Slow(LocalPages):
    """Counts writes, and fails the first ones."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.writes = 0

    async def put(self, number: int, page: bytes) -> None:
        self.writes += 1
        if self.failures:
            self.failures -= 1
            raise OSError("away")
        await super().put(number, page)


def test_what_is_submitted_at_once_shares_one_write_and_a_failed_write_is_made_again() -> None:
    pages = Slow(failures=2)

    async def scenario(runtime: LocalRuntime) -> None:
        await asyncio.gather(
            *(runtime.submit(TaskRequest(id=f"t{n}", body=SLEEPS)) for n in range(200))
        )
        assert pages.writes <= 2 + 1 + 1  # failures, the first task alone, all others
        await runtime.kill_gateway()
        assert (await runtime.observe()).counts.submitted == 200

    on_fleet(scenario, pages=pages)


def test_pages_go_with_the_last_of_their_tasks_and_the_counts_stay() -> None:
    async def main() -> None:
        pages = LocalPages()
        ledger = Ledger(pages)
        await ledger.recover()
        done = 1000
        for first in range(1, done, 100):
            records = [
                TaskRecord(task=f"t{n}", number=n, table=1) for n in range(first, first + 100)
            ]
            opened = (
                ledger.opened(TaskRequest(id=r.task), r, at=0.0, with_body=True) for r in records
            )
            await asyncio.gather(*opened)
            await asyncio.gather(
                *(
                    ledger.ended(
                        TaskRecord(task=r.task, number=r.number, table=1, outcome=Outcome.FAILED),
                        at=1.0,
                    )
                    for r in records
                )
            )
        many = len(await pages.read())
        assert many > 3
        ledger.forget(tuple(range(1, done - 9)))
        await asyncio.sleep(1.0)
        assert len(await pages.read()) < many / 2
        again = Ledger(pages)
        kept = await again.recover()
        assert kept.counts.failed == done
        assert set(range(done - 9, done + 1)) <= set(kept.tasks)

    run_virtual(main())
