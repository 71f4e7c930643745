"""An outside server that is cut off, slow, full, replaced, or closed to us: what is said, and lost.

Every test has a real server. What Rolewise may never do is believe that something was written
that was not, or write on behind entries that it has not seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from rolewise.coordinator.errors import ERROR_KINDS, error_of
from rolewise.coordinator.store.port import (
    Conflict,
    StoreForked,
    StoreFull,
    StoreLoginRefused,
    StoreNotTrusted,
    StoreReadOnly,
    StoreUnavailable,
)
from rolewise.coordinator.store.redis import RedisStore, connect_store
from tests.support.redis_servers import CERTIFICATE, RealServer, Way, a_way_to, real_server

SOON_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path / "primary", repl_diskless_sync_delay="0") as server:
        yield server


@pytest.fixture
async def way(server: RealServer) -> AsyncIterator[Way]:
    async with a_way_to(server.port) as way:
        yield way


@pytest.fixture
async def store(way: Way) -> AsyncIterator[RedisStore]:
    store = await connect_store(way.url, timeout_s=1.0)
    yield store
    await store.close()


def check_told(error: StoreUnavailable, *, code: str, definite: bool) -> None:
    """Assert that a user is told what it is, and what to do."""
    told = error_of(error)
    assert (told.kind.code, told.kind.definite) == (code, definite)
    assert (told.kind.status, told.kind.exit_code) == (503, 4)
    assert told.hint
    assert str(error) in told.message
    assert ERROR_KINDS[code].meaning


async def test_a_cut_connection_is_noticed_at_once_and_mended_by_the_next_call(
    way: Way, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    way.cut()
    began_s = time.monotonic()
    with pytest.raises(StoreUnavailable) as away:
        await store.append("log", [b"b"], after=1)
    assert time.monotonic() - began_s < 1.0
    check_told(away.value, code="store_unavailable", definite=False)
    way.is_cut = False
    assert await store.append("log", [b"b"], after=1) == 2
    assert await store.read("log") == [(1, b"a"), (2, b"b")]


async def test_a_wait_that_is_cut_ends_with_the_error_and_not_in_silence(
    way: Way, store: RedisStore
) -> None:
    waiting = asyncio.create_task(store.wait("log", after=0, timeout_s=60.0))
    while not way._open:
        await asyncio.sleep(0)
    way.cut()
    async with asyncio.timeout(SOON_S):
        with pytest.raises(StoreUnavailable):
            await waiting


async def test_an_answer_that_is_lost_leaves_it_open_and_the_log_tells(
    way: Way, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    way.loses_answers = True
    with pytest.raises(StoreUnavailable) as away:
        await store.append("log", [b"b"], after=1)
    assert not away.value.definite
    way.loses_answers = False
    with pytest.raises(Conflict):
        await store.append("log", [b"b"], after=1)
    assert await store.read("log", after=1) == [(2, b"b")], "it was written once"


async def test_a_slow_way_ends_in_a_timeout_that_names_it(way: Way, store: RedisStore) -> None:
    await store.append("log", [b"a"], after=0)
    way.is_held = True
    with pytest.raises(StoreUnavailable, match="no answer within 1 s") as away:
        await store.append("log", [b"b"], after=1)
    check_told(away.value, code="store_unavailable", definite=False)
    way.is_held = False
    async with asyncio.timeout(SOON_S):
        while not await store.wait("log", after=1, timeout_s=0.1):
            pass
    assert await store.read("log") == [(1, b"a"), (2, b"b")], "it arrived all the same"


async def test_full_memory_refuses_whole_appends_until_there_is_room(
    server: RealServer, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    server.operator.config_set("maxmemory", "1")
    with pytest.raises(StoreFull, match=r"memory is full.*maxmemory") as full:
        await store.append("log", [b"b", b"c"], after=1)
    check_told(full.value, code="store_full", definite=True)
    assert await store.read("log") == [(1, b"a")], "reading goes on"
    server.operator.config_set("maxmemory", "0")
    assert await store.append("log", [b"b", b"c"], after=1) == 3


async def test_a_full_disk_refuses_whole_appends_until_there_is_room(tmp_path: Path) -> None:
    settings = {"appendonly": "yes", "appendfsync": "everysec"}
    with real_server(tmp_path / "disk", **settings) as server:
        store = await connect_store(server.url)
        last = await store.append("log", [b"a"], after=0)
        server.limit_files(4096)

        async def fill() -> None:  # the server writes a little later than it answers
            nonlocal last
            async with asyncio.timeout(SOON_S):
                while True:
                    last = await store.append("log", [b"x" * 1000], after=last)

        with pytest.raises(StoreFull, match=r"cannot write to its disk.*AOF") as full:
            await fill()
        check_told(full.value, code="store_full", definite=True)
        assert (await store.read("log", after=last)) == []
        server.limit_files(-1)
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    last = await store.append("log", [b"b"], after=last)
                    break
                except StoreFull:
                    await asyncio.sleep(0.05)
        assert (await store.read("log", after=last - 1)) == [(last, b"b")]
        await store.close()


async def test_a_replica_at_the_address_takes_nothing_and_says_so(
    server: RealServer, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    server.operator.replicaof("127.0.0.1", 1)
    with pytest.raises(StoreReadOnly, match="read only replica") as refused:
        await store.append("log", [b"b"], after=1)
    check_told(refused.value, code="store_read_only", definite=True)
    server.operator.replicaof("NO", "ONE")
    assert await store.append("log", [b"b"], after=1) == 2


async def test_a_primary_without_its_replicas_takes_nothing_if_it_is_told_so(
    server: RealServer, store: RedisStore
) -> None:
    server.operator.config_set("min-replicas-to-write", "1")
    with pytest.raises(StoreReadOnly, match="too few replicas") as refused:
        await store.append("log", [b"a"], after=0)
    check_told(refused.value, code="store_read_only", definite=True)
    server.operator.config_set("min-replicas-to-write", "0")
    assert await store.append("log", [b"a"], after=0) == 1


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
async def test_a_login_that_is_refused_says_so_without_the_password(
    server: RealServer, user: str
) -> None:
    server.operator.config_set("requirepass", "right")
    with pytest.raises(StoreLoginRefused, match="password is missing or wrong") as refused:
        await connect_store(f"redis://{user}127.0.0.1:{server.port}/0")
    check_told(refused.value, code="store_login_refused", definite=True)
    assert ":wrong" not in str(refused.value)
    store = await connect_store(f"redis://:right@127.0.0.1:{server.port}/0")
    assert await store.append("log", [b"a"], after=0) == 1
    await store.close()


async def test_a_password_that_changes_meanwhile_is_told_at_the_next_connection(
    server: RealServer, way: Way, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    server.operator.config_set("requirepass", "new")
    await lead_to(way, server, store)
    with pytest.raises(StoreLoginRefused):
        await store.append("log", [b"b"], after=1)


async def test_a_user_with_too_few_rights_is_told_which(server: RealServer) -> None:
    server.operator.execute_command("ACL", "SETUSER", "guest", "on", ">pw", "~*", "+@read", "+info")
    store = await connect_store(f"redis://guest:pw@127.0.0.1:{server.port}/0")
    with pytest.raises(StoreLoginRefused, match=r"may not do this.*evalsha") as refused:
        await store.append("log", [b"a"], after=0)
    check_told(refused.value, code="store_login_refused", definite=True)
    await store.close()


async def test_tls_works_with_the_right_authority_and_says_what_is_wrong_without(
    server: RealServer,
) -> None:
    async with a_way_to(server.port, tls=True) as secure:
        url = f"rediss://localhost:{secure.port}/0"
        store = await connect_store(f"{url}?ssl_ca_certs={CERTIFICATE}")
        assert await store.append("log", [b"a"], after=0) == 1
        await store.close()
        with pytest.raises(StoreNotTrusted, match="certificate is not trusted") as refused:
            await connect_store(url)
        check_told(refused.value, code="store_not_trusted", definite=True)
        by_number = f"rediss://127.0.0.1:{secure.port}/0?ssl_ca_certs={CERTIFICATE}"
        with pytest.raises(StoreNotTrusted, match="IP address mismatch"):
            await connect_store(by_number)
        with pytest.raises(StoreUnavailable, match="begins with rediss://"):
            await connect_store(f"redis://localhost:{secure.port}/0", timeout_s=0.5)
    with pytest.raises(StoreUnavailable, match=r"no answer.*does the server speak TLS at this"):
        await connect_store(f"rediss://127.0.0.1:{server.port}/0", timeout_s=0.5)


@pytest.fixture
def replica(tmp_path: Path, server: RealServer) -> Iterator[RealServer]:
    """A replica that has all that was written up to now."""
    with real_server(tmp_path / "replica", replicaof=f"127.0.0.1 {server.port}") as replica:
        deadline_s = time.monotonic() + SOON_S
        while replica.operator.info("replication")["master_link_status"] != "up":
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        yield replica


async def lead_to(way: Way, server: RealServer, store: RedisStore) -> None:
    """Lead the address to another server; the call that notices the cut is not the test's."""
    way.lead_to(server.port)
    with suppress(StoreUnavailable):
        await store.keys("")


def replicated(server: RealServer) -> None:
    assert server.operator.wait(1, int(SOON_S * 1000)) == 1


async def fail_over_without_the_tail(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    """Append three entries that the replica gets and two that it does not; then it takes over."""
    await store.append("log", [b"a", b"b", b"c"], after=0)
    replicated(server)
    replica.operator.replicaof("NO", "ONE")
    assert await store.append("log", [b"d", b"e"], after=3) == 5, "and it was confirmed"
    await lead_to(way, replica, store)


async def test_a_failover_with_the_whole_log_goes_on(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    replicated(server)
    await lead_to(way, replica, store)
    with pytest.raises(StoreReadOnly):  # the address is there before the promotion
        await store.append("log", [b"b"], after=1)
    replica.operator.replicaof("NO", "ONE")
    assert await store.append("log", [b"b"], after=1) == 2
    assert await store.read("log") == [(1, b"a"), (2, b"b")]


async def test_a_failover_that_lost_entries_is_refused_by_whoever_has_seen_them(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    await fail_over_without_the_tail(server, replica, way, store)
    words = r"stream:log: entry 5 was seen here, but the log now ends with entry 3"
    for _ in range(2):
        with pytest.raises(StoreForked, match=words) as forked:
            await store.read("log", after=5)
        with pytest.raises(StoreForked, match=words):
            await store.append("log", [b"f"], after=3)
    check_told(forked.value, code="store_forked", definite=True)
    assert replica.operator.xlen("{rolewise}:stream:log") == 3


async def test_once_found_nobody_writes_on_also_not_who_has_seen_nothing(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    await fail_over_without_the_tail(server, replica, way, store)
    newcomer = await connect_store(way.url)
    assert len(await newcomer.read("log")) == 3
    with pytest.raises(StoreForked):
        await store.read("log")
    with pytest.raises(StoreForked, match="entry 5 was seen"):
        await newcomer.append("log", [b"x"], after=3)
    with pytest.raises(StoreForked):
        await newcomer.append("another log", [b"x"], after=0)
    with pytest.raises(StoreForked):
        await newcomer.check_whole()
    await newcomer.close()


async def test_entries_that_others_wrote_in_place_of_the_lost_ones_are_found(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    await fail_over_without_the_tail(server, replica, way, store)
    newcomer = await connect_store(way.url)
    await newcomer.append("log", [b"other d", b"other e", b"f"], after=3)
    with pytest.raises(StoreForked, match="entry 5 was seen here, but now another one stands"):
        await store.read("log", after=5)
    with pytest.raises(StoreForked):
        await newcomer.append("log", [b"g"], after=6)
    await newcomer.close()


async def test_the_server_with_the_entries_comes_back_and_all_goes_on(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    await fail_over_without_the_tail(server, replica, way, store)
    with pytest.raises(StoreForked):
        await store.read("log")
    await lead_to(way, server, store)
    assert await store.append("log", [b"f"], after=5) == 6


async def test_a_person_may_accept_the_loss(
    server: RealServer, replica: RealServer, way: Way, store: RedisStore
) -> None:
    await fail_over_without_the_tail(server, replica, way, store)
    with pytest.raises(StoreForked):
        await store.read("log")
    await store.accept_loss()
    await store.check_whole()
    assert await store.append("log", [b"other d"], after=3) == 4


async def test_a_server_that_comes_back_empty_is_not_taken_for_the_same(
    server: RealServer, store: RedisStore
) -> None:
    await store.append("log", [b"a", b"b"], after=0)
    server.operator.flushall()  # as a restart of a server without persistence
    with pytest.raises(
        StoreForked, match="entry 2 was seen here, but the log now ends with entry 0"
    ):
        await store.read("log", after=2)


async def test_a_log_from_before_digests_is_read_and_written_on(
    server: RealServer, store: RedisStore
) -> None:
    client: Redis = server.operator
    for number, entry in enumerate((b"a", b"b"), start=1):
        client.xadd("{rolewise}:stream:log", {"e": entry}, id=f"{number}-0")
    assert await store.read("log") == [(1, b"a"), (2, b"b")]
    assert await store.append("log", [b"c"], after=2) == 3
    assert await store.read("log", after=1) == [(2, b"b"), (3, b"c")]
