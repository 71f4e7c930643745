"""What differs between a terminal and everything else: colour, folding, redrawing, ASCII."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Shell

SUPPLY_CHAIN = str(Path(__file__).parents[3] / "configs" / "supply-chain.yaml")
COMMAND = (sys.executable, "-m", "rolewise.coordinator.cli.main")
PLAN = ("plan", SUPPLY_CHAIN, "--to", "v2")
ESCAPE = "\x1b"


def run_on_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns; return its exit code and all that it wrote."""
    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in {"CI", "NO_COLOR", "COLUMNS"}}
    command = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**kept, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment},
    )
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    command.communicate(timeout=30)
    return command.returncode, written.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colour_and_lines_that_fit():
    code, written = run_on_terminal(*PLAN)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert ESCAPE not in plain
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert "entry role, so it comes last" in " ".join(plain.split())


@pytest.mark.parametrize("variable", ["NO_COLOR", "CI"])
def test_a_terminal_gets_plain_lines_when_asked_for(variable: str):
    code, written = run_on_terminal(*PLAN, **{variable: "1"})
    assert code == 0
    assert ESCAPE not in written
    assert max(len(line) for line in written.splitlines()) > 80


def test_symbols_are_ascii_where_the_output_is_not_utf_8():
    done = subprocess.run(
        [*COMMAND, *PLAN],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 0
    assert b"1 pricing       v1 -> v2" in done.stdout
    assert done.stdout.isascii()
    assert b"?" not in done.stdout


def test_json_is_utf_8_whatever_the_output_speaks():
    done = subprocess.run(
        [*COMMAND, *PLAN, "--json"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout.decode("utf-8"))["to"] == "v2"


def test_a_watched_rollout_is_redrawn_in_place(shell: Shell, url: str):
    assert shell("rollout", "start", "pair", "--to", "v2").code == 0
    code, written = run_on_terminal("rollout", "watch", "pair-1", "--until", "paused")
    assert code == 3
    assert f"{ESCAPE}[2K" in written  # lines are cleared to be drawn anew
    end = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert "Ctrl-C leaves the rollout running." in end
    assert "▶ 1 adder" in end
    assert "❚❚ pair-1 paused at " in " ".join(end.splitlines()[-4:])
