"""The bundled server: its data last, its life hangs on its owner's, its directory has one owner."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from rolewise.coordinator.store.data_directory import (
    DataDirectory,
    DataDirectoryInUse,
    DataDirectoryUnusable,
)
from rolewise.coordinator.store.embedded import EmbeddedServer, ServerStartFailed, stop_server
from rolewise.coordinator.store.port import Store, StoreUnavailable
from rolewise.coordinator.store.redis import connect_store

SOON_S = 10.0
OWNER = """
import sys
from pathlib import Path
from rolewise.coordinator.store.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), detached=sys.argv[2] == "detached")
server.start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory that leaves no server behind, however the test ends."""
    directory = tmp_path / "store"
    yield directory
    with contextlib.suppress(DataDirectoryInUse):
        stop_server(directory)


@contextlib.contextmanager
def owner_process(directory: Path, kind: str = "attached") -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has started the directory's server, killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, directory, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"started\n"
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not become true in time"
        time.sleep(0.01)


def pid_of(directory: Path) -> int:
    pid = DataDirectory(directory).server_pid()
    assert pid is not None
    return pid


def is_alive(directory: Path) -> bool:
    return DataDirectory(directory).is_server_alive()


async def append(server: EmbeddedServer, entry: bytes, *, after: int) -> None:
    store = await connect_store(server.url)
    await store.append("log", [entry], after=after)
    await store.close()


async def read(server: EmbeddedServer) -> list[bytes]:
    store = await connect_store(server.url)
    log = await store.read("log", limit=1_000_000)
    await store.close()
    return [entry for _, entry in log]


async def test_data_survive_a_stop(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        await append(server, b"a", after=0)
    assert not is_alive(data_dir)
    with EmbeddedServer(data_dir) as server:
        assert await read(server) == [b"a"]


async def test_data_survive_the_death_of_the_server_and_start_brings_it_back(
    data_dir: Path,
) -> None:
    with EmbeddedServer(data_dir) as server:
        await append(server, b"a", after=0)
        first = pid_of(data_dir)
        os.kill(first, signal.SIGKILL)
        until(lambda: not is_alive(data_dir))
        server.start()
        assert pid_of(data_dir) != first
        assert await read(server) == [b"a"]


async def append_until_killed(store: Store, pid: int, *, after: int) -> int:
    """Append by threes, have the server killed meanwhile, return the last number confirmed."""
    last = after
    with contextlib.suppress(StoreUnavailable):
        while True:
            last = await store.append("log", [b"x" * 500] * 3, after=last)
            if last == after + 30:
                threading.Thread(target=os.kill, args=(pid, signal.SIGKILL)).start()
    return last


async def test_appends_cut_off_by_the_servers_death_are_whole_or_absent(data_dir: Path) -> None:
    length = 0
    with EmbeddedServer(data_dir) as server:
        for _ in range(3):
            store = await connect_store(server.url)
            confirmed = await append_until_killed(store, pid_of(data_dir), after=length)
            await store.close()
            until(lambda: not is_alive(data_dir))
            server.start()
            length = len(await read(server))
            assert length in {confirmed, confirmed + 3}


async def test_start_again_keeps_a_living_server(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server:
        await append(server, b"a", after=0)
        pid = pid_of(data_dir)
        server.start()
        assert pid_of(data_dir) == pid


async def test_the_server_dies_with_its_killed_owner_and_the_data_stay(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        await append(EmbeddedServer(data_dir), b"a", after=0)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        until(lambda: not is_alive(data_dir))
    with EmbeddedServer(data_dir) as server:
        assert await read(server) == [b"a"]


async def test_a_start_at_the_moment_of_the_owners_death_gets_a_server_that_stays(
    data_dir: Path,
) -> None:
    with owner_process(data_dir) as owner:
        dying = pid_of(data_dir)
        os.kill(dying, signal.SIGSTOP)  # so that it cannot end by itself
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        with EmbeddedServer(data_dir) as server:
            assert pid_of(data_dir) != dying
            await append(server, b"a", after=0)


def test_the_server_outlives_the_thread_that_started_it(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    with Redis.from_url(server.url) as client:
        assert client.ping()
    server.stop()


def test_a_second_start_is_refused_and_names_the_owner(data_dir: Path) -> None:
    with owner_process(data_dir) as owner:
        for detached in (False, True):
            with pytest.raises(DataDirectoryInUse, match=f"by process {owner.pid}, since 20"):
                EmbeddedServer(data_dir, detached=detached).start()
        with pytest.raises(DataDirectoryInUse):
            stop_server(data_dir)
        assert is_alive(data_dir)


def test_a_second_start_in_the_same_process_is_refused(data_dir: Path) -> None:
    with EmbeddedServer(data_dir), pytest.raises(DataDirectoryInUse, match=str(os.getpid())):
        EmbeddedServer(data_dir).start()


async def test_a_detached_server_outlives_its_starter_and_is_adopted(data_dir: Path) -> None:
    with owner_process(data_dir, "detached") as owner:
        await append(EmbeddedServer(data_dir), b"a", after=0)
        pid = pid_of(data_dir)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    for detached in (True, False):
        server = EmbeddedServer(data_dir, detached=detached)
        server.start()
        assert pid_of(data_dir) == pid
        assert await read(server) == [b"a"]
    server.stop()
    assert not is_alive(data_dir)


def test_stop_server_ends_a_detached_server_and_may_be_repeated(data_dir: Path) -> None:
    EmbeddedServer(data_dir, detached=True).start()
    assert is_alive(data_dir)
    stop_server(data_dir)
    assert not is_alive(data_dir)
    stop_server(data_dir)
    stop_server(data_dir / "never was")
    assert not (data_dir / "never was").exists()


def test_a_server_that_hangs_is_ended_by_force(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, stop_timeout_s=0.1)
    server.start()
    os.kill(pid_of(data_dir), signal.SIGSTOP)
    server.stop()
    assert not is_alive(data_dir)


def test_only_the_owner_may_come_near_the_directory_and_the_socket(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    with EmbeddedServer(data_dir) as server:
        assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
        socket = Path(server.url.removeprefix("unix://"))
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        data = list((data_dir / "appendonlydir").iterdir())
        assert data
        assert [path.name for path in data if path.stat().st_mode & 0o077] == []
        with Redis.from_url(server.url) as client:
            settings = client.config_get("*")
        assert settings["port"] == "0"
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "always"


async def test_a_long_path_puts_the_socket_elsewhere_and_cleans_up(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30) / "with blank"
    with EmbeddedServer(directory) as server:
        socket = Path(server.url.removeprefix("unix://"))
        assert directory not in socket.parents
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        await append(server, b"a", after=0)
        os.kill(pid_of(directory), signal.SIGKILL)
        until(lambda: not is_alive(directory))
        server.start()
        assert Path(server.url.removeprefix("unix://")) == socket, "coordinators know no other"
        assert await read(server) == [b"a"]
    assert not socket.parent.exists()


async def test_a_path_with_blanks_and_quotes_works(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "a \"b' c%20d#e") as server:
        await append(server, b"a", after=0)
        assert await read(server) == [b"a"]


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryUnusable, match="file: File exists"):
        EmbeddedServer(tmp_path / "file").start()


def test_a_server_that_cannot_start_says_why_and_gives_the_directory_up(data_dir: Path) -> None:
    with EmbeddedServer(data_dir):
        pass
    manifest = data_dir / "appendonlydir" / "appendonly.aof.manifest"
    kept = manifest.read_bytes()
    manifest.write_text("nonsense\n")
    with pytest.raises(ServerStartFailed, match=r"the server ended: .*manifest"):
        EmbeddedServer(data_dir).start()
    manifest.write_bytes(kept)
    with EmbeddedServer(data_dir) as server, Redis.from_url(server.url) as client:
        assert client.ping()


def test_there_is_no_address_before_the_start_and_after_the_stop(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    with pytest.raises(StoreUnavailable, match="no server was started"):
        _ = server.url
    with server:
        url = server.url
    with pytest.raises(StoreUnavailable):
        _ = server.url
    with pytest.raises(RedisError), Redis.from_url(url) as client:
        client.ping()


def test_a_copied_directory_does_not_take_the_address_of_the_original(tmp_path: Path) -> None:
    original, copy = tmp_path / ("long" * 30), tmp_path / ("copy" * 30)
    with EmbeddedServer(original) as server:
        copy.mkdir()
        (copy / "server.json").write_bytes((original / "server.json").read_bytes())
        with EmbeddedServer(copy) as other:
            assert other.url != server.url
        with Redis.from_url(server.url) as client:
            assert client.ping()
