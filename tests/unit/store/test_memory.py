"""The memory store follows the clock that it is given, not the wall's."""

from __future__ import annotations

import asyncio

import pytest

from rolewise.coordinator.store.memory import MemoryStore


class HandClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self._now_s + seconds, woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        await self.settle()
        self._now_s += seconds
        for until_s, woken in self._sleepers:
            if until_s <= self._now_s:
                woken.set()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store(clock: HandClock) -> MemoryStore:
    return MemoryStore(clock)


async def test_a_lease_runs_out_exactly_when_the_clock_says_so(
    store: MemoryStore, clock: HandClock
) -> None:
    lease = await store.acquire("fleet", "one", 10.0)
    await clock.advance(9.999)
    assert await store.acquire("fleet", "two", 10.0) is None
    await clock.advance(0.001)
    newer = await store.acquire("fleet", "two", 10.0)
    assert lease is not None
    assert newer is not None
    assert newer.fencing == lease.fencing + 1


async def test_renewal_counts_from_the_moment_of_renewal(
    store: MemoryStore, clock: HandClock
) -> None:
    await store.acquire("fleet", "one", 10.0)
    await clock.advance(6.0)
    await store.acquire("fleet", "one", 10.0)
    await clock.advance(9.0)
    assert await store.acquire("fleet", "two", 10.0) is None


async def test_the_last_holder_gets_a_new_number_after_expiry(
    store: MemoryStore, clock: HandClock
) -> None:
    first = await store.acquire("fleet", "one", 10.0)
    await clock.advance(10.0)
    second = await store.acquire("fleet", "one", 10.0)
    assert first is not None
    assert second is not None
    assert second.fencing > first.fencing


async def test_wait_times_out_by_the_clock_alone(store: MemoryStore, clock: HandClock) -> None:
    waiter = asyncio.create_task(store.wait("log", after=0, timeout_s=3600.0))
    await clock.advance(3599.0)
    assert not waiter.done()
    await clock.advance(1.0)
    assert waiter.done()
    assert not waiter.result()


async def test_wait_wakes_while_the_clock_stands(store: MemoryStore, clock: HandClock) -> None:
    waiter = asyncio.create_task(store.wait("log", after=0, timeout_s=3600.0))
    await clock.settle()
    await store.append("log", [b"a"], after=0)
    assert await waiter
    assert clock.now() == 0.0


async def test_wait_leaves_no_task_behind(store: MemoryStore, clock: HandClock) -> None:
    waiter = asyncio.create_task(store.wait("log", after=0, timeout_s=3600.0))
    await clock.settle()
    waiter.cancel()
    await clock.settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
