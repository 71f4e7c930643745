"""Commands that need no server, and every way to call one wrongly."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rolewise import __version__
from rolewise.coordinator.cli import reference
from rolewise.coordinator.saved_waits import EXAMPLE_PAIR
from rolewise.coordinator.views import PlanView
from tests.unit.cli.conftest import Shell

ROOT = Path(__file__).parents[3]
SUPPLY_CHAIN = str(ROOT / "configs" / "supply-chain.yaml")
NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("command", reference.commands(), ids=" ".join)
def test_every_command_says_what_it_does(shell: Shell, command: tuple[str, ...]):
    said = shell(*command, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: rolewise {' '.join(command)}")


def test_the_reference_page_is_what_the_commands_say():
    """When it fails: python -m rolewise.coordinator.cli.reference."""
    assert (ROOT / reference.PAGE).read_text(encoding="utf-8") == reference.write_reference()


def test_help_imports_nothing_that_is_slow():
    slow = {"ray", "pydantic", "networkx", "numpy", "httpx", "fastapi", "redis", "ruamel.yaml"}
    code = (
        "import sys; from rolewise.coordinator.cli.main import run; code = run(['--help']);"
        f"sys.exit(code or sorted(set(sys.modules) & {slow!r}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "first", "second"),
    [
        (("nosuch",), "No such command 'nosuch'", "rolewise --help"),
        (("rollout", "abort", "x"), "Missing option '--reason'", "rolewise rollout abort --help"),
        (("rollout", "start", "x"), "Missing option '--to'", "rolewise rollout start --help"),
        (("plan", "--what"), "No such option: --what", "rolewise plan --help"),
        (
            ("rollout", "status", "x", "--until", "noon"),
            "Invalid value for '--until': 'noon' is not one of 'completed', 'paused'",
            "rolewise rollout status --help",
        ),
        (
            ("rehearse", "a.yaml", "--to", "x", "--seed", "7.5"),
            "'--seed'",
            "rolewise rehearse --help",
        ),
        (("rehearse", "none.yaml", "--to", "x"), "none.yaml:1:1 cannot be read", "schema"),
        (("rehearse", SUPPLY_CHAIN, "--to", "v9"), "no release 'v9': want one of v1, v2", "plan"),
        (
            ("rehearse", SUPPLY_CHAIN, "--to", "v2", "--limit", "9"),
            "--limit = '9': want a",
            "--help",
        ),
        (("plan", SUPPLY_CHAIN, "--to", "pricing=v7"), "role pricing has no version 'v7'", "plan"),
        (("plan", SUPPLY_CHAIN, "--to", "v1"), "already runs v1", "plan"),
        (("rollout", "list", "--url", "here"), "--url = 'here': want an address", "--help"),
        (("up", "none.yaml"), "none.yaml cannot be read", "rolewise --help"),
        (("up", SUPPLY_CHAIN, "--host", "0.0.0.0"), "needs --token-file", "--host 127.0.0.1"),  # noqa: S104
    ],
)
def test_bad_input_ends_with_2_names_it_and_says_what_to_try(
    shell: Shell, arguments: tuple[str, ...], first: str, second: str
):
    said = shell(*arguments)
    lines = said.err.splitlines()
    assert (said.code, said.out) == (2, ""), said
    assert lines[0].startswith("error: ")
    assert first in lines[0]
    assert lines[1].startswith("try:   ")
    assert second in lines[1]
    assert "Traceback" not in said.err


def test_all_problems_of_a_plan_are_told(shell: Shell):
    said = shell("plan", SUPPLY_CHAIN, "--to", "nobody=v1,pricing=v7")
    assert said.code == 2
    assert "no role 'nobody'" in said.err
    assert "role pricing has no version 'v7'" in said.err
    assert said.err.count("pricing has no version") == 1


def test_all_problems_of_a_file_are_told(shell: Shell, tmp_path: Path):
    file = tmp_path / "fleet.yaml"
    text = Path(SUPPLY_CHAIN).read_text()
    file.write_text(text.replace("slots: 16", "slots: 0").replace("drain: 5s", "drain: 5", 1))
    said = shell("plan", str(file), "--to", "v2")
    assert said.code == 2
    assert f"{file}: 2 problems" in said.err.splitlines()[0]
    assert "defaults.slots = 0" in said.err
    assert "defaults.drain = 5" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("plan", "pair", "--to", "v2"),
        ("rollout", "start", "pair", "--to", "v2"),
        ("rollout", "watch", "pair-1"),
        ("graph", "show", "pair"),
        ("task", "submit", "pair", "--body", "1"),
    ],
)
def test_a_server_that_is_not_there_ends_with_4(shell: Shell, arguments: tuple[str, ...]):
    said = shell(*arguments, "--url", NOWHERE)
    assert said.code == 4
    assert f"Rolewise cannot be reached at {NOWHERE}" in said.err.splitlines()[0]
    assert "rolewise up FILE" in said.err.splitlines()[1]


def test_down_without_a_server_ends_with_4(shell: Shell, tmp_path: Path):
    said = shell("down", "--data", str(tmp_path))
    assert said.code == 4
    assert str(tmp_path) in said.err


def test_a_fault_is_told_in_one_line_and_in_full_when_asked(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "broken_source.py").write_text("def orders(seed):\n    return 1 / 0\n")
    file = tmp_path / "fleet.yaml"
    text = Path(SUPPLY_CHAIN).read_text()
    source = 'source: "rolewise.agents.examples.supply_chain:orders"'
    file.write_text(text.replace(source, 'source: "broken_source:orders"'))
    monkeypatch.syspath_prepend(str(tmp_path))
    said = shell("rehearse", str(file), "--to", "v2")
    assert said.code == 1
    assert "ZeroDivisionError: division by zero" in said.err.splitlines()[0]
    assert "Traceback" not in said.err
    monkeypatch.setenv("ROLEWISE_DEBUG", "1")
    assert "Traceback" in shell("rehearse", str(file), "--to", "v2").err


def test_a_plan_of_a_file_shows_order_reasons_and_steps(shell: Shell):
    said = shell("plan", SUPPLY_CHAIN, "--to", "v2")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "supply-chain: to v2, 3 stages, least critical first"
    assert lines[1].startswith("  1 pricing       v1 → v2   ")
    steps = "1 % · wait 1 s · 5 % · wait 2 s · 25 % · judge (gate) · 50 % · judge (full)"
    assert lines[2].strip().startswith(steps)
    assert "entry role, so it comes last" in lines[5]
    told = PlanView.model_validate_json(shell("plan", SUPPLY_CHAIN, "--to", "v2", "--json").out)
    assert [stage.role for stage in told.stages] == ["pricing", "negotiator", "orchestrator"]


def test_schema_and_version(shell: Shell):
    committed = (ROOT / "configs" / "fleet.schema.json").read_text(encoding="utf-8")
    assert shell("schema").out == committed
    assert shell("version").out == f"rolewise {__version__}\n"
    assert json.loads(shell("version", "--json").out) == {"rolewise": __version__}


def test_the_doctor_finds_a_healthy_machine(shell: Shell):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = shell("doctor", SUPPLY_CHAIN, "--port", str(port), "--json")
    checks = {check["name"]: check for check in json.loads(said.out)}
    assert set(checks) == {"python", "ray", "store", f"port {port}", SUPPLY_CHAIN}
    assert all(check["ok"] for check in checks.values())
    assert said.code == 0


def test_the_doctor_says_what_to_do(shell: Shell, tmp_path: Path):
    file = tmp_path / "fleet.yaml"
    file.write_text(Path(SUPPLY_CHAIN).read_text().replace(":Carrier", ":Nobody"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = shell("doctor", str(file), str(tmp_path / "none.yaml"), "--port", str(port))
    assert said.code == 1
    lines = said.out.splitlines()
    problems = [line for line in lines if line.startswith("✗ ")]
    assert [line.split(":")[0] for line in problems] == [
        f"✗ port {port}",
        f"✗ {file}",
        f"✗ {tmp_path / 'none.yaml'}",
    ]
    assert "carrier@v1 does not load" in problems[1]
    assert all(lines[lines.index(line) + 1].startswith("    ") for line in problems)


def saved(tmp_path: Path, name: str = "snapshot.json", **change: object) -> str:
    data = json.loads(json.dumps(EXAMPLE_PAIR["snapshot"]))
    data["replicas"][0]["running"][0] |= change
    file = tmp_path / name
    file.write_text(json.dumps(data))
    return str(file)


class TestSavedSnapshots:
    def test_what_is_stuck_ends_with_1(self, shell: Shell, tmp_path: Path):
        said = shell("graph", "deadlocks", saved(tmp_path))
        assert said.code == 1
        doubt = "by one snapshot only: waits withdrawn while it was taken may look like it"
        slot = "a slot of negotiator#1 (1 of 1 held by task t81)"
        assert said.out.splitlines() == [
            f"✗ 3 stuck for ever, {doubt}",
            "  hold each other: i5, m7, m9",
            "one circle of waits:",
            "  i5 → m9  task t81: negotiator#1 has waited 12.4 s for the reply of supplier#1",
            "  m9 → m7  task t81: supplier#1 has waited 12.1 s for the reply of negotiator#1",
            f"  m7 → i5  task t81: a message has waited 1.0 s for {slot}",
        ]

    def test_a_later_one_confirms_it(self, shell: Shell, tmp_path: Path):
        first, same = saved(tmp_path), saved(tmp_path, "same.json")
        moved = saved(tmp_path, "moved.json", epoch=4)
        said = shell("graph", "deadlocks", first, same, "--json")
        assert (said.code, json.loads(said.out)["confirmed"]) == (1, True)
        said = shell("graph", "deadlocks", first, moved)
        assert (said.code, said.out) == (0, "✓ nothing is stuck (in both snapshots)\n")
        said = shell("graph", "deadlocks", first, moved, "--json")
        nothing = {"stuck": [], "cores": []}
        assert json.loads(said.out) == {
            "confirmed": True,
            "hard": nothing,
            "soft": nothing,
            "cycle": [],
        }

    def test_a_deadline_is_told(self, shell: Shell, tmp_path: Path):
        said = shell("graph", "deadlocks", saved(tmp_path, deadline=30.0))
        assert said.code == 1
        assert said.out.startswith("✗ 3 stuck until a timeout")

    def test_a_malformed_file_ends_with_2_and_the_path_in_it(self, shell: Shell, tmp_path: Path):
        file = saved(tmp_path, state="waits")
        for given in ((file,), (saved(tmp_path, "good.json"), file)):
            said = shell("graph", "deadlocks", *given)
            assert (said.code, said.out) == (2, "")
            assert said.err.splitlines()[0] == (
                f"error: {file}: replicas[0].running[0].state = \"waits\": want 'active' or 'wait'"
            )
        said = shell("graph", "deadlocks", file, "--json")
        assert json.loads(said.err)["code"] == "bad_input"

    def test_a_file_that_is_not_there(self, shell: Shell, tmp_path: Path):
        said = shell("graph", "deadlocks", str(tmp_path / "none.json"))
        assert said.code == 2
        assert "none.json cannot be read: No such file" in said.err
