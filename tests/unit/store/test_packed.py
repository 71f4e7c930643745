"""Packed logs read like the ones that they were made from, at every moment of the packing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.store.memory import MemoryStore
from rolewise.coordinator.store.packed import PackedLogs
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.fleet.local.clock import LoopClock, run_virtual

LOGS = st.lists(st.binary(max_size=40), min_size=1, max_size=12)


class DyingStore(MemoryStore):
    """Dies before the n-th change, if told to."""

    changes_left = -1

    async def put(self, key: str, value: bytes, *, only_if_absent: bool = False) -> bool:
        self._spend()
        return await super().put(key, value, only_if_absent=only_if_absent)

    async def forget(self, stream: str, numbers) -> None:
        self._spend()
        await super().forget(stream, numbers)

    def _spend(self) -> None:
        if self.changes_left == 0:
            raise StoreUnavailable("it has died")
        self.changes_left -= 1


@given(LOGS, LOGS, st.integers(0, 30), st.integers(1, 30), st.integers(-1, 4))
def test_reads_are_the_same_whenever_it_was_packed_and_wherever_that_was_cut_off(
    first: list[bytes], more: list[bytes], after: int, limit: int, changes: int
) -> None:
    async def story() -> None:
        store = DyingStore(LoopClock())
        logs = PackedLogs(store)

        async def check(entries: list[bytes]) -> None:
            expected = list(enumerate(entries, start=1))
            assert await logs.read("log") == expected
            assert await logs.read("log", after=after, limit=limit) == expected[after:][:limit]

        async def pack() -> None:
            store.changes_left = changes
            try:
                await logs.pack("log")
            except StoreUnavailable:
                store.changes_left = -1

        await store.append("log", first, after=0)
        await pack()
        await check(first)
        await store.append("log", more, after=len(first))
        await check(first + more)
        await pack()
        store.changes_left = -1
        await logs.pack("log")
        await check(first + more)
        assert len(await store.read("log")) == 1

    run_virtual(story())


async def test_a_log_that_is_short_still_is_left_alone() -> None:
    store = MemoryStore(LoopClock())
    logs = PackedLogs(store)
    await store.append("log", [b"a", b"b"], after=0)
    assert not await logs.pack("log", at_least=3)
    assert not await logs.pack("no log")
    assert await store.keys("packed/") == []
    assert await logs.pack("log")
    assert not await logs.pack("log")


async def test_a_form_that_is_not_known_is_refused() -> None:
    store = MemoryStore(LoopClock())
    await store.append("log", [b"a", b"b"], after=0)
    await PackedLogs(store).pack("log")
    await store.put("packed/log", b"2xyz")
    with pytest.raises(StoreUnavailable, match="newer Rolewise"):
        await PackedLogs(store).read("log")
