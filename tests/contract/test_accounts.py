"""What every runtime's accounts say of a task: arms, scores, usage, what its requests took."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from rolewise.fleet.runtime import Runtime
from rolewise.fleet.task import TaskRequest
from tests.contract.runtimes import RUNTIMES, Scenario, run_fleet
from tests.contract.test_runtime import account_of, end_of, launch, table, until, version


async def a_user_keeps_one_arm_and_a_retry_that_of_the_first_attempt(runtime: Runtime) -> None:
    await launch(runtime)
    await runtime.scale(version("worker", "v2"), 1, fencing=1)
    by_user = {"canary": "v2", "weight": 50.0, "salt": "s", "bucket_by": "user"}
    await runtime.install(table(2, worker=by_user), fencing=1)
    body = {"do": "relay", "body": {"do": "version"}}
    got: dict[str, set[str]] = {}
    for number in range(24):
        user = f"u{number % 6}"
        request = TaskRequest(id=f"t{number}", body=body, attributes={"user": user})
        await runtime.submit(request)
        record = await runtime.result(request.id, wait_s=20.0)
        assert record is not None
        assert [a.unit for a in record.assignments] == [user]
        got.setdefault(user, set()).add(record.result)
    assert {len(versions) for versions in got.values()} == {1}
    assert set().union(*got.values()) == {"v1", "v2"}

    by_task = {"canary": "v2", "weight": 50.0, "salt": "s"}
    await runtime.install(table(3, worker=by_task), fencing=1)
    for number in range(8):
        first = await end_of(runtime, f"first{number}", body)
        before = f"first{number}"
        for attempt in range(2):
            again = TaskRequest(id=f"again{number}-{attempt}", body=body, retry_of=before)
            await runtime.submit(again)
            record = await runtime.result(again.id, wait_s=20.0)
            assert record is not None
            assert record.result == first.result
            assert [a.unit for a in record.assignments] == [f"first{number}"]
            before = again.id  # what tries a retry again belongs to the first attempt, too


async def a_score_from_outside_stays_in_the_account(runtime: Runtime) -> None:
    await launch(runtime)
    body = {"do": "tool"}
    record = await end_of(runtime, "scored", body)
    assert (record.body, record.has_body) == (body, True)
    assert await runtime.score("scored", "faithful", 0.25)
    assert await runtime.score("scored", "unclear", math.nan)
    assert await runtime.score("scored", "faithful", 0.75), "a score that is there stays"
    assert not await runtime.score("unknown", "faithful", 0.5)
    with pytest.raises(ValueError, match=r"'faithful' of task 'scored' = 1\.5: want 0 to 1"):
        await runtime.score("scored", "faithful", 1.5)

    async def shown() -> bool:
        record = await account_of(runtime, "scored")
        return record is not None and "quality" in record.scores

    await until(runtime, shown, "scores shown")
    seen, read = await account_of(runtime, "scored"), await runtime.result("scored")
    assert seen is not None
    assert read is not None
    for scores in (seen.scores, read.scores):
        assert {n: v for n, v in scores.items() if n != "unclear"} == {
            "quality": 0.5,
            "faithful": 0.25,
        }
        assert math.isnan(scores["unclear"])
    assert (seen.body, seen.has_body) == (None, False)


async def what_nobody_noted_is_none_and_not_nought(runtime: Runtime) -> None:
    await launch(runtime)
    await end_of(runtime, "silent", {"do": "add", "a": 1, "b": 1})

    async def counted() -> bool:
        record = await account_of(runtime, "silent")
        return record is not None and record.messages == 2

    await until(runtime, counted, "messages counted")
    record = await account_of(runtime, "silent")
    assert record is not None
    assert (record.input_tokens, record.output_tokens, record.cost_usd) == (None, None, None)
    assert record.message_latency_s == {}, "it was in no trial"


async def what_a_request_took_reaches_the_account_by_role(runtime: Runtime) -> None:
    await launch(runtime)
    await runtime.scale(version("worker", "v2"), 1, fencing=1)
    trial = {"canary": "v2", "weight": 50.0, "salt": "s"}
    await runtime.install(table(2, worker=trial), fencing=1)
    await end_of(runtime, "slow", {"do": "relay", "body": {"do": "sleep", "s": 0.3}})
    await end_of(runtime, "all", {"do": "all"})
    late = {"do": "relay", "body": {"do": "sleep", "s": 5.0}, "s": 0.2}
    await end_of(runtime, "late", late)

    async def counted() -> bool:
        closed = (await runtime.observe()).closed
        return len(closed) >= 3 and all("worker" in r.message_latency_s for r in closed[:3])

    await until(runtime, counted, "latencies counted")
    slow, every, gave_up = (r.message_latency_s for r in (await runtime.observe()).closed[:3])
    assert set(slow) == set(every) == {"entry", "worker"}
    assert 0.3 <= slow["worker"][0] <= slow["entry"][0]
    assert len(every["worker"]) == 3
    assert 0.2 <= gave_up["worker"][0] < 5.0


ON_ONE_FLEET: list[Scenario] = [
    a_score_from_outside_stays_in_the_account,
    what_nobody_noted_is_none_and_not_nought,
]
SCENARIOS: list[Scenario] = [
    a_user_keeps_one_arm_and_a_retry_that_of_the_first_attempt,
    what_a_request_took_reaches_the_account_by_role,
]


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_accounts(kind: str, scenario: Scenario) -> None:
    run_fleet(kind, scenario)


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("scenario", ON_ONE_FLEET, ids=lambda scenario: scenario.__name__)
def test_accounts_on_one_fleet(
    run_shared: Callable[[str, Scenario], None], kind: str, scenario: Scenario
) -> None:
    run_shared(kind, scenario)
