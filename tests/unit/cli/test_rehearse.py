"""`rolewise rehearse`: the same bytes for the same seed, and the exit code of the real thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from rolewise.coordinator.views.rehearsal import RehearsalView
from tests.unit.cli.conftest import Shell

SUPPLY_CHAIN = Path(__file__).parents[3] / "configs" / "supply-chain.yaml"
REHEARSE = ("rehearse", str(SUPPLY_CHAIN), "--seed", "7")


def rehearse_in_its_own_process(to: str, *, hash_seed: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "rolewise.coordinator.cli.main", *REHEARSE, "--to", to, "--json"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": f"UTC+{hash_seed}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_equal_seeds_give_equal_bytes_and_a_deadlock_ends_with_1():
    processes = [rehearse_in_its_own_process("v3-deadlock", hash_seed=seed) for seed in "12"]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == b""
    view = RehearsalView.model_validate_json(outputs[0][0])
    assert view.rollout.phase == "rolled_back"
    assert view.rollout.rollback is not None
    fact = view.rollout.rollback.facts[0]
    assert fact.kind == "deadlock"
    assert "negotiator@v1" in fact.sentence
    assert "supplier@v3-deadlock" in fact.sentence
    assert len(fact.details) >= 2
    counts = view.tasks
    assert counts.submitted == counts.completed + counts.failed + counts.timed_out


def test_a_bad_release_is_told_in_words(shell: Shell):
    said = shell(*REHEARSE, "--to", "v3-wrong")
    assert (said.code, said.err) == (1, "")
    head, _, log = said.out.partition("\n\n")
    assert head.startswith("supply-chain: to v3-wrong, 1 stage, least critical first")
    events, _, end = log.partition("\n\n")
    assert events.splitlines()[0].startswith("00:05.0  rollout supply-chain-1 started")
    lines = end.splitlines()
    assert lines[0].startswith("✗ supply-chain-1 rolled back at ")
    assert "harm: completion" in lines[0]
    assert any(line.strip().startswith("✗ completion: ") for line in lines)
    assert any("example tasks: t-" in line for line in lines)
    assert any("tasks: " in line and " timed out" in line for line in lines)
    assert lines[-1].endswith("with seed 7: equal seed, equal end")
    assert "\x1b" not in said.out


def test_a_good_release_ends_with_0(shell: Shell):
    said = shell(*REHEARSE, "--to", "pricing=v2", "--json")
    assert said.code == 0
    rehearsal = json.loads(said.out)
    assert rehearsal["rollout"]["phase"] == "completed"
    assert rehearsal["rollout"]["release"]["pricing"] == "v2"
    assert all(stage["status"] == "done" for stage in rehearsal["rollout"]["stages"])
    assert [event["number"] for event in rehearsal["events"]] == list(
        range(1, len(rehearsal["events"]) + 1)
    )


def test_the_limit_ends_it_with_3(shell: Shell):
    said = shell(*REHEARSE, "--to", "v2", "--limit", "2s")
    assert said.code == 3
    assert "ended at its limit of 2s (--limit)" in said.out


def test_a_step_that_waits_for_a_person_ends_it_with_3(shell: Shell, tmp_path: Path):
    file = tmp_path / "fleet.yaml"
    file.write_text(SUPPLY_CHAIN.read_text().replace("{pause: {duration: 1s}}", "{pause: {}}"))
    said = shell("rehearse", str(file), "--to", "v2")
    assert said.code == 3
    assert "❚❚ supply-chain-1 paused at " in said.out


def test_a_fleet_without_a_workload_cannot_be_rehearsed(shell: Shell, tmp_path: Path):
    file = tmp_path / "fleet.yaml"
    text = SUPPLY_CHAIN.read_text()
    begin, end = text.index("workload:"), text.index("# How each role moves")
    file.write_text(text[:begin] + text[end:])
    said = shell("rehearse", str(file), "--to", "v2")
    assert said.code == 2
    assert "has no workload" in said.err.splitlines()[0]
