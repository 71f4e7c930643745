"""`rolewise judge`: verdict first, in words and as JSON; files that are wrong are told by line."""

from __future__ import annotations

import gzip
import json
from math import inf
from pathlib import Path

import pytest

from tests.unit.backtest.rows import some_rows
from tests.unit.cli.conftest import Shell

TRACES = Path(__file__).parents[3] / "agents" / "examples" / "replay" / "traces"
AIRLINE = str(TRACES / "tau2_airline_models.jsonl.gz")
SONNET, QWEN = "llm_agent/claude-sonnet-4-5", "llm_agent/qwen2.5-7b"


def written(path: Path, rows, **changes) -> Path:
    """Write rows as task records."""
    lines = []
    for row in rows:
        line = {
            "task": row.task,
            "arm": "canary" if row.canary else "baseline",
            "weight": row.weight,
            "started": row.started_s,
            "ended": None if row.ended_s == inf else row.ended_s,
            "outcome": row.outcome.value,
            "latency_s": row.latency_s,
            "tool_errors": row.tool_errors,
        }
        lines.append(json.dumps({**line, **changes}))
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    rows = some_rows(600, weight=50.0, fails=(0.05, 0.4))
    return written(tmp_path / "bad.jsonl.gz", rows)


def test_harm_is_told_first_with_its_task_and_ends_with_1(shell: Shell, bad: Path):
    said = shell("judge", str(bad))
    assert (said.code, said.err) == (1, "")
    lines = said.out.splitlines()
    assert lines[0].startswith("✗ HARM at task ")
    assert lines[0].endswith(": completion")
    assert lines[1].startswith("  ✗ completion: ")
    assert lines[1].endswith(": harm")
    assert any(line.startswith("  example tasks: t") for line in lines)
    assert lines[-1].startswith("next: ")
    assert "\x1b" not in said.out


def test_json_has_the_promised_keys_in_their_order(shell: Shell, bad: Path):
    said = shell("judge", str(bad), "--json")
    assert said.code == 1
    judged = json.loads(said.out)
    assert list(judged)[:4] == ["verdict", "decided_at", "tasks", "signals"]
    assert judged["verdict"] == "harm"
    assert judged["decided_at"] == sum(judged["tasks"].values()) < 600
    promised = ["name", "verdict", "baseline", "canary", "difference", "interval", "limit"]
    assert list(judged["signals"][0])[:10] == [*promised, "e_harm", "e_safe", "sentence"]
    completion = judged["signals"][0]
    assert completion["e_harm"] >= completion["harm_at"]
    assert completion["first"]["harm"]["tasks"] == judged["decided_at"]
    assert sum(judged["end"]["tasks"].values()) == judged["recording"]["tasks"] == 600


def test_undecided_says_what_it_takes_and_ends_with_0(shell: Shell, tmp_path: Path):
    file = written(tmp_path / "few.jsonl", some_rows(60, weight=50.0))
    said = shell("judge", str(file))
    assert said.code == 0
    assert said.out.startswith("? CONTINUE after 60 tasks (")
    assert said.out.splitlines()[-1].startswith("next: more tasks, or a wider `tolerate`")


def test_nothing_is_no_data(shell: Shell, tmp_path: Path):
    file = tmp_path / "empty.jsonl"
    file.write_text("\n")
    said = shell("judge", str(file), "--json")
    assert said.code == 0
    assert json.loads(said.out)["verdict"] == "no_data"


def test_several_files_are_one_recording(shell: Shell, tmp_path: Path):
    rows = some_rows(200, weight=50.0)
    files = [written(tmp_path / f"{n}.jsonl", rows[n::2]) for n in (0, 1)]
    judged = json.loads(shell("judge", *map(str, files), "--json").out)
    whole = written(tmp_path / "whole.jsonl", rows)
    assert judged == json.loads(shell("judge", str(whole), "--json").out)


def test_a_hung_task_holds_back_and_a_deadline_helps(shell: Shell, tmp_path: Path):
    rows = some_rows(300, weight=50.0, hangs=(0.01, 0.01))
    file = str(written(tmp_path / "hung.jsonl", rows))
    said = shell("judge", file)
    assert "were never counted: one of them does not end" in said.out
    assert said.out.splitlines()[-1] == "next: --deadline DURATION ends the tasks that hang"
    judged = json.loads(shell("judge", file, "--deadline", "30s", "--json").out)
    assert judged["recording"]["timed_out"] > 0
    assert judged["recording"]["counted"] > 250


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"task": "a"}', "line 2: outcome is missing: want text"),
        ("nonsense", "line 2: not JSON: "),
        (
            '{"task": "a", "arm": "blue", "started": 1, "outcome": "failed"}',
            'line 2: arm = "blue": want one of baseline, canary',
        ),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(shell: Shell, tmp_path: Path, line, told):
    file = written(tmp_path / "records.jsonl", some_rows(1))
    with file.open("a") as lines:
        lines.write(line + "\n")
    said = shell("judge", str(file))
    assert (said.code, said.out) == (2, "")
    first, second, *_ = said.err.splitlines()
    assert first.startswith(f"error: {file}, {told}")
    assert second.startswith("try:   ")
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x1f\x8b\x08broken", "line 1: the gzip data is broken"),
        (b"\xff\xfe", "line 1: not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(shell: Shell, tmp_path: Path, content, told):
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    said = shell("judge", str(file))
    assert said.code == 2
    assert f"{file}, {told}" in said.err
    assert shell("judge", str(tmp_path / "no.jsonl")).err.startswith(
        f"error: {tmp_path / 'no.jsonl'} cannot be read: No such file"
    )


def test_a_weight_that_is_nowhere_is_asked_for_and_may_be_given(shell: Shell, tmp_path: Path):
    file = str(written(tmp_path / "x.jsonl", some_rows(50), weight=None))
    said = shell("judge", file)
    assert said.code == 2
    assert "line 1: weight is missing" in said.err
    assert "--weight" in said.err
    assert shell("judge", file, "--weight", "25").code == 0
    assert shell("judge", file, "--weight", "125").code == 2


@pytest.mark.parametrize("weight", [0, 100])
def test_arms_that_were_not_drawn_are_told(shell: Shell, tmp_path: Path, weight: int):
    file = written(tmp_path / "x.jsonl", some_rows(200, weight=50.0), weight=weight)
    said = shell("judge", str(file))
    assert said.code == 0
    assert "200 tasks have a weight of 0 or 100: their arm was not drawn" in said.out


def test_an_analysis_of_ones_own(shell: Shell, bad: Path, tmp_path: Path):
    file = tmp_path / "analysis.yaml"
    file.write_text(
        "analysis_templates:\n"
        "  strict: {alpha: 1%, signals: [{name: done, metric: task.completed}]}\n"
        "  loose: {alpha: 20%, signals: [{name: done, metric: task.completed}]}\n"
    )
    asked = ("judge", str(bad), "--analysis", str(file))
    said = shell(*asked)
    assert (said.code, said.err.splitlines()[0]) == (
        2,
        f"error: {file} has 2 templates: name one with --template: strict, loose",
    )
    at = {
        name: json.loads(shell(*asked, "--template", name, "--json").out)["decided_at"]
        for name in ("strict", "loose")
    }
    assert at["loose"] < at["strict"]
    said = shell(*asked, "--template", "lose")
    assert said.code == 2
    assert "want one of task-health, recorded-traces, strict, loose" in said.err
    file.write_text("signals:\n  - {name: done, metric: task.complete}\n")
    said = shell(*asked)
    assert said.code == 2
    assert f"{file}:2:" in said.err
    assert "want one of task.completed" in said.err
    file.write_text("alpha: 1%\n")
    assert "has no signals: want at least one" in shell(*asked).err


def test_recorded_traces_are_compared_by_their_selectors(shell: Shell):
    said = shell("judge", AIRLINE, "--stable", SONNET, "--canary", QWEN, "--role", "agent")
    assert said.code == 1
    assert said.out.startswith("✗ HARM at task ")
    assert "not recorded in both arms: cost" in said.out
    judged = json.loads(
        shell("judge", AIRLINE, "--stable", SONNET, "--canary", QWEN, "--seed", "3", "--json").out
    )
    assert judged["alpha"] == 0.05
    assert judged["end"]["tasks"] == {"baseline": 50, "canary": 50}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--stable", SONNET), "--stable needs --canary"),
        (("--canary", QWEN), "--canary needs --stable"),
        (("--stable", SONNET, "--canary", "gpt-9"), "selector 'gpt-9' matches none of 150 tasks"),
        (("--stable", SONNET, "--canary", SONNET), "meant by both selectors"),
        (("--stable", SONNET, "--canary", QWEN, "--deadline", "3s"), "--deadline is for task rec"),
        (("--seed", "1"), "--seed is for traces: it needs --stable and --canary"),
        ((), "line 1: a recorded trace has no arm: name both sides"),
    ],
)
def test_options_that_do_not_go_together_are_refused(shell: Shell, options, told):
    said = shell("judge", AIRLINE, *options)
    assert (said.code, said.out) == (2, "")
    assert told in said.err.splitlines()[0]


def test_a_file_that_is_given_twice_is_not_counted_twice(shell: Shell):
    said = shell("judge", AIRLINE, AIRLINE, "--stable", SONNET, "--canary", QWEN)
    assert said.code == 2
    assert "is in two files" in said.err


def test_a_plot_is_written_or_its_place_is_told(shell: Shell, bad: Path, tmp_path: Path):
    file = tmp_path / "out.svg"
    said = shell("judge", str(bad), "--plot", str(file))
    assert f"drawn in {file}" in said.out
    assert file.read_text().startswith("<svg ")
    said = shell("judge", str(bad), "--plot", str(tmp_path / "no" / "out.svg"))
    assert said.code == 2
    assert "cannot be written" in said.err
