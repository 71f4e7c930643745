"""What the Redis store says when the server is away, refuses, or is not the one it should be."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.coordinator.store.redis import RedisStore, StoreUrlInvalid, connect_store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "store") as server:
        yield server


@pytest.fixture
def operator(server: EmbeddedServer) -> Iterator[BlockingRedis]:
    """A second client, which changes the server's settings."""
    with BlockingRedis.from_url(server.url) as client:
        yield client


@pytest.fixture
async def store(server: EmbeddedServer) -> AsyncIterator[RedisStore]:
    store = await connect_store(server.url)
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must begin with one of redis://, rediss://, unix://"),
        ("localhost:6379", "must begin with one of"),
        ("http://localhost", "must begin with one of"),
        ("redis://localhost:port", "port"),
        ("redis://localhost/0?socket_timeout=soon", "socket_timeout"),
        ("redis://localhost/0?colour=blue", "colour"),
    ],
)
async def test_an_address_that_cannot_be_used_is_named(url: str, words: str) -> None:
    with pytest.raises(StoreUrlInvalid, match=words) as refused:
        await connect_store(url)
    assert refused.value.definite


@pytest.mark.parametrize("prefix", ["", "{fleet}", "a}b"])
async def test_a_prefix_that_would_break_the_hash_tag_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        RedisStore(Redis(), prefix)


async def test_nobody_at_the_address_names_it_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="store at unix://") as away:
        await connect_store(f"unix://user:secret@{tmp_path}/no.sock?password=hidden")
    assert str(tmp_path) in str(away.value)
    assert "secret" not in str(away.value)
    assert "hidden" not in str(away.value)
    assert not away.value.definite


async def test_a_wrong_password_says_so(server: EmbeddedServer, operator: BlockingRedis) -> None:
    operator.config_set("requirepass", "right")
    with pytest.raises(StoreUnavailable, match="password is missing or wrong"):
        await connect_store(f"{server.url}?password=wrong")
    with pytest.raises(StoreUnavailable, match="password is missing or wrong"):
        await connect_store(server.url)
    store = await connect_store(f"{server.url}?password=right")
    operator.config_set("requirepass", "")
    assert await store.append("log", [b"a"], after=0) == 1
    await store.close()


async def test_a_server_that_would_forget_is_refused(
    server: EmbeddedServer, operator: BlockingRedis
) -> None:
    operator.config_set("maxmemory", "100mb")
    operator.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnavailable, match="maxmemory-policy is allkeys-lru"):
        await connect_store(server.url)


async def test_a_full_server_refuses_the_whole_append_with_its_words(
    store: RedisStore, operator: BlockingRedis
) -> None:
    await store.append("log", [b"a"], after=0)
    operator.config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        await store.append("log", [b"b", b"c"], after=1)
    operator.config_set("maxmemory", "0")
    assert await store.read("log") == [(1, b"a")]


async def test_a_replica_that_takes_no_writes_says_so(
    store: RedisStore, operator: BlockingRedis
) -> None:
    operator.replicaof("127.0.0.1", 1)
    with pytest.raises(StoreUnavailable, match="read only replica"):
        await store.append("log", [b"a"], after=0)


async def test_a_server_that_does_not_answer_is_unavailable_and_then_the_log_tells(
    server: EmbeddedServer, store: RedisStore, operator: BlockingRedis
) -> None:
    client = Redis.from_url(server.url, socket_timeout=None)
    await client.ping()  # connected without a limit: only the stopped server is to be late
    hasty = RedisStore(client, timeout_s=0.2)
    await store.append("log", [b"a"], after=0)
    pid = operator.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match=r"no answer within 0\.2 s"):
            await hasty.append("log", [b"b"], after=1)
        with pytest.raises(StoreUnavailable, match="no answer"):
            await hasty.wait("log", after=2, timeout_s=0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    async with asyncio.timeout(10):
        while not await store.wait("log", after=1, timeout_s=0.1):
            pass
    assert await store.read("log") == [(1, b"a"), (2, b"b")], "the server had it all the same"
    await hasty.close()


async def test_a_client_outlives_a_restart_of_its_server(
    server: EmbeddedServer, store: RedisStore
) -> None:
    await store.append("log", [b"a"], after=0)
    server.stop()
    with pytest.raises(StoreUnavailable):
        await store.append("log", [b"b"], after=1)
    server.start()
    assert await store.append("log", [b"b"], after=1) == 2
