"""`rolewise up` on a store that it cannot or may not use: one line why, one line what to do."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from rolewise.coordinator.cli.main import run
from rolewise.coordinator.store.embedded import EmbeddedServer
from rolewise.coordinator.store.port import StoreForked
from rolewise.coordinator.store.redis import connect_store
from tests.support.redis_servers import free_port, real_server

FILE = str(Path(__file__).parents[1] / "ray" / "pair.yaml")


def up(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """Run it; return the exit code and the lines of the error."""
    code = run(["up", FILE, "--port", str(free_port()), *options])
    return code, capsys.readouterr().err.splitlines()


def test_a_data_folder_that_another_has_is_refused_with_its_pid_and_since_when(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EmbeddedServer(tmp_path / "store"):
        code, lines = up(capsys, "--data", str(tmp_path))
    assert code == 2
    assert f"in use by process {os.getpid()}, since 20" in lines[0]
    assert "rolewise down" in lines[1]
    assert len(lines) == 2


def test_a_data_folder_that_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, lines = up(capsys, "--data", str(tmp_path / "file" / "data"))
    assert code == 2
    assert "Not a directory" in lines[0]
    assert "--data" in lines[1]


@pytest.mark.parametrize(
    ("settings", "address", "code", "words", "hint"),
    [
        ({"requirepass": "right"}, "redis://:wrong@127.0.0.1:{port}", 4, "password", "--redis-url"),
        ({}, "http://127.0.0.1:{port}", 2, "must begin with one of", "redis://"),
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            "redis://127.0.0.1:{port}",
            4,
            "maxmemory-policy is allkeys-lru",
            "",
        ),
    ],
    ids=["wrong password", "no address", "forgets"],
)
def test_an_outside_store_that_cannot_be_used_is_told_in_two_lines(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, str],
    address: str,
    code: int,
    words: str,
    hint: str,
) -> None:
    with real_server(tmp_path / "server") as server:
        for name, value in settings.items():
            server.operator.config_set(name, value)
        url = address.format(port=server.port)
        got, lines = up(capsys, "--data", str(tmp_path / "data"), "--redis-url", url)
    assert got == code
    assert words in lines[0]
    assert hint in lines[1]
    assert len(lines) == 2
    assert "wrong@" not in "".join(lines)


def test_nobody_at_the_address_is_exit_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    code, lines = up(capsys, "--data", str(tmp_path), "--redis-url", url)
    assert code == 4
    assert url in lines[0]


def test_a_store_that_has_lost_entries_is_refused_until_a_person_accepts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lose(url: str) -> None:
        store = await connect_store(url)
        await store.append("log", [b"a", b"b"], after=0)
        operator.delete("{rolewise}:stream:log")
        with pytest.raises(StoreForked):
            await store.read("log")
        await store.close()

    with real_server(tmp_path / "server") as server:
        operator = server.operator
        asyncio.run(lose(server.url))
        code, lines = up(capsys, "--data", str(tmp_path / "data"), "--redis-url", server.url)
    assert code == 4
    assert "entry 2 was seen here, but the log now ends with entry 0" in lines[0]
    assert "accept the loss" in lines[1]
