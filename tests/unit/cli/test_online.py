"""Commands that talk to a server: what they print, in words and in JSON, and how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import networkx as nx
import pytest

from rolewise.coordinator.views import (
    EventView,
    FleetView,
    PlanView,
    RolloutsView,
    RolloutView,
    TaskView,
)
from tests.unit.cli.conftest import Shell

pytestmark = pytest.mark.usefixtures("url")
ADD = json.dumps({"do": "add", "a": 1, "b": 2})


def pause_of(shell: Shell) -> RolloutView:
    """Start a rollout and wait for its first pause."""
    said = shell("rollout", "start", "pair", "--to", "v2", "--wait", "--timeout", "30s")
    assert said.code == 3, said
    view = RolloutView.model_validate_json(shell("rollout", "status", "pair-1", "--json").out)
    assert view.phase == "paused"
    return view


def test_a_rollout_from_start_to_completed(shell: Shell):
    started = shell("rollout", "start", "pair", "--to", "v2", "--reason", "try", "--json")
    assert started.code == 0
    assert RolloutView.model_validate_json(started.out).id == "pair-1"

    waited = shell("rollout", "status", "pair-1", "--wait", "--timeout", "30s")
    assert waited.code == 3
    assert "❚❚ paused" in waited.out
    assert "✓10 % ▶person ·100 %" in waited.out
    assert "you may: " in waited.out

    for _ in range(2):
        assert shell("rollout", "promote", "pair-1", "--reason", "fine").code == 0
        ended = shell("rollout", "status", "pair-1", "--wait", "--timeout", "30s")
    assert ended.code == 0
    assert "✓ completed" in ended.out
    assert shell("rollout", "status", "pair-1").code == 0

    told = shell("rollout", "watch", "pair-1")
    assert told.code == 0
    lines = told.out.splitlines()
    assert "rollout pair-1 started: adder v1 → v2, entry v1 → v2: try" in lines[0]
    assert any(line.startswith("✓ pair-1 completed at ") for line in lines)
    assert "stable now: adder v2, entry v2, worker v1" in told.out
    assert "\x1b" not in told.out + told.err


def test_start_and_wait_tells_every_event_and_stops_at_a_pause(shell: Shell):
    said = shell("rollout", "start", "pair", "--to", "v2", "--wait", "--timeout", "30s")
    assert said.code == 3
    assert said.out.splitlines()[0] == "pair-1 started"
    assert "weight 0 → 10 %" in said.out
    assert "❚❚ pair-1 paused at " in said.out
    assert "rolewise rollout promote pair-1" in said.err


def test_watching_as_json_gives_one_event_a_line(shell: Shell):
    pause_of(shell)
    said = shell("rollout", "watch", "pair-1", "--until", "paused", "--json")
    assert said.code == 3
    events = [EventView.model_validate_json(line) for line in said.out.splitlines()]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert events[0].type == "RolloutStarted"
    assert events[-1].type == "Paused"


def test_a_wait_that_takes_too_long_ends_with_3_and_says_that_it_goes_on(shell: Shell):
    pause_of(shell)
    said = shell("rollout", "watch", "pair-1", "--timeout", "300ms")
    assert said.code == 3
    assert "the time is over; pair-1 goes on: rolewise rollout watch pair-1" in said.err


def test_an_aborted_rollout_ends_with_1_and_its_reason(shell: Shell):
    pause_of(shell)
    assert shell("rollout", "abort", "pair-1", "--reason", "wrong prices").code == 0
    said = shell("rollout", "watch", "pair-1", "--timeout", "30s")
    assert said.code == 1
    assert "✗ pair-1 rolled back at " in said.out
    assert "wrong prices" in said.out
    assert "stable now: adder v1, entry v1, worker v1" in said.out
    assert shell("rollout", "status", "pair-1").code == 1


def test_an_operator_pauses_resumes_retries_and_undoes(shell: Shell):
    pause_of(shell)
    refused = shell("rollout", "undo", "pair-1")
    assert refused.code == 2
    assert shell("rollout", "promote", "pair-1").code == 0
    waited = shell("rollout", "status", "pair-1", "--wait", "--timeout", "30s")
    assert "stage 2/2" in waited.out
    assert shell("rollout", "abort", "pair-1", "--reason", "no").code == 0
    assert shell("rollout", "status", "pair-1", "--wait", "--timeout", "30s").code == 1

    assert shell("rollout", "retry", "pair-1").code == 0
    assert shell("rollout", "status", "pair-1", "--wait", "--timeout", "30s").code == 3
    assert shell("rollout", "promote", "pair-1", "--full").code == 0
    assert shell("rollout", "status", "pair-1", "--wait", "--timeout", "30s").code == 0

    undone = shell("rollout", "undo", "pair-1", "--json")
    assert undone.code == 0
    assert RolloutView.model_validate_json(undone.out).id == "pair-2"
    shell("rollout", "pause", "pair-2", "--reason", "lunch")
    waited = shell("rollout", "status", "pair-2", "--wait", "--until", "paused", "--timeout", "30s")
    assert waited.code == 3
    listed = shell("rollout", "list", "--fleet", "pair")
    assert [line.split()[1] for line in listed.out.splitlines()] == ["pair-2", "pair-1"]
    both = RolloutsView.model_validate_json(shell("rollout", "list", "--json").out)
    assert len(both.rollouts) == 2


def test_a_verb_that_is_refused_says_which_are_allowed(shell: Shell):
    pause_of(shell)
    said = shell("rollout", "resume", "pair-1")
    assert said.code == 2
    first, second, third = said.err.splitlines()
    assert first.startswith("error: ")
    assert second == "try:   rolewise rollout status ID"
    assert third.strip().startswith("allowed now: ")
    assert "abort" in third


def test_the_same_key_starts_one_rollout(shell: Shell):
    arguments = ("rollout", "start", "pair", "--to", "v2", "--key", "k-1", "--json")
    first, again = shell(*arguments), shell(*arguments)
    ids = {RolloutView.model_validate_json(said.out).id for said in (first, again)}
    assert ids == {"pair-1"}
    other = shell("rollout", "start", "pair", "--to", "adder=v2", "--key", "k-1")
    assert other.code == 2
    assert "k-1" in other.err.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("rollout", "status", "nobody-1"), "nobody-1"),
        (("rollout", "watch", "nobody-1"), "nobody-1"),
        (("rollout", "status", "a/b"), "a/b"),
        (("rollout", "status", ""), "empty"),
        (("rollout", "start", "nobody", "--to", "v2"), "nobody"),
        (("rollout", "start", "pair", "--to", "v9"), "v9"),
        (("rollout", "start", "pair", "--to", "broken"), "adder@broken does not load"),
        (("rollout", "list", "--phase", "asleep"), "asleep"),
        (("status", "nobody"), "nobody"),
        (("plan", "nobody", "--to", "v2"), "nobody"),
        (("graph", "show", "nobody"), "nobody"),
        (("graph", "show", "pair", "--last", "soon"), "soon"),
        (("task", "get", "t-9"), "t-9"),
        (("task", "submit", "pair", "--body", "{"), "--body is not JSON"),
        (
            ("task", "submit", "pair", "--body", "1", "--attributes", "{"),
            "--attributes is not JSON",
        ),
        (("task", "submit", "pair", "--body", "1", "--attributes", "[]"), "attributes"),
        (("task", "submit", "pair", "--body", "1", "--timeout", "5"), "--timeout = '5'"),
        (("task", "submit", "pair", "--body", "1", "--role", "adder"), "adder"),
    ],
)
def test_bad_input_ends_with_2_and_names_it(shell: Shell, arguments: tuple[str, ...], what: str):
    said = shell(*arguments)
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert what in said.err
    assert said.err.splitlines()[1].startswith("try:   ")
    assert "Traceback" not in said.err


def test_a_plan_of_a_fleet_that_runs(shell: Shell):
    said = shell("plan", "pair", "--to", "v2")
    assert said.code == 0
    assert said.out.startswith("pair: to v2, 2 stages, least critical first")
    plan = PlanView.model_validate_json(shell("plan", "pair", "--to", "v2", "--json").out)
    assert [stage.role for stage in plan.stages] == ["adder", "entry"]
    assert shell("rollout", "list").out.startswith("no rollouts yet")


def test_tasks_are_given_and_accounted_for(shell: Shell):
    about = ("--attributes", '{"user": "ana"}', "--conversation", "s-1", "--retry-of", "t-0")
    done = shell("task", "submit", "pair", "--body", ADD, *about, "--wait")
    assert done.code == 0
    assert "completed in " in done.out
    assert "result: 3" in done.out
    failed = shell("task", "submit", "pair", "--body", '{"do": "wrong"}', "--wait", "--json")
    assert failed.code == 1
    view = TaskView.model_validate_json(failed.out)
    assert view.outcome == "failed"
    again = shell("task", "get", view.id)
    assert again.code == 1
    assert view.error in again.out
    fleet = FleetView.model_validate_json(shell("status", "pair", "--json").out)
    assert (fleet.tasks.submitted, fleet.tasks.completed, fleet.tasks.failed) == (2, 1, 1)
    said = shell("status")
    assert "tasks: 2 submitted = 1 completed + 1 failed + 0 timed out" in said.out
    assert "adder   v1 1/1 ready" in said.out


def test_the_graph_is_shown_and_exported(shell: Shell, tmp_path: Path):
    assert shell("graph", "show", "pair").out == "pair: no message yet\n"
    shell("task", "submit", "pair", "--body", ADD, "--wait")
    drawn, _, table = shell("graph", "show", "pair").out.partition("\n\n")
    assert [line.split() for line in drawn.splitlines()] == [
        ["(outside)"],
        ["└─▶", "entry@v1", "task", "1"],
        ["└─▶", "adder@v1", "add", "1"],
    ]
    lines = table.splitlines()
    assert lines[0].split() == [
        *("from", "to", "kind", "count", "rate/s", "failed", "p50", "p95", "bytes")
    ]
    assert any(line.startswith("entry@v1") and " adder@v1" in line for line in lines)
    (adder,) = (line.split() for line in lines if line.startswith("adder@v1"))
    assert adder[1:3] == ["1", "0"], "one request begun, none in flight"
    roles = json.loads(shell("graph", "show", "pair", "--by", "role", "--json").out)
    assert {"adder", "entry"} <= {node["id"] for node in roles["nodes"]}

    assert shell("graph", "export", "pair", "--format", "dot").out.startswith("digraph ")
    file = tmp_path / "graph.graphml"
    said = shell("graph", "export", "pair", "--format", "graphml", "-o", str(file))
    assert (said.code, said.out) == (0, "")
    assert "adder@v1" in nx.read_graphml(file)
    svg = shell("graph", "export", "pair", "--format", "svg").out
    assert svg.startswith("<svg ")
    assert "entry@v1 to adder@v1: add 1" in svg
    bad = shell("graph", "export", "pair", "-o", str(tmp_path / "none" / "graph.json"))
    assert bad.code == 2
    assert "--output" in bad.err


def test_waits_are_shown_saved_and_analysed(shell: Shell, tmp_path: Path):
    idle = shell("graph", "waits", "pair")
    assert (idle.code, idle.out) == (
        0,
        "pair: 0 waits in 3 replicas\n✓ nothing is deadlocked\n",
    )
    mutual = json.dumps({"do": "relay", "body": {"do": "mutual"}})
    assert shell("task", "submit", "pair", "--body", mutual).code == 0
    end = time.monotonic() + 20
    while (said := shell("graph", "waits", "pair")).code != 1:
        assert time.monotonic() < end, said.out
    assert "✗ soft deadlock, confirmed: worker@v1;" in said.out
    assert "for a slot of worker@v1#" in said.out
    assert json.loads(shell("graph", "waits", "pair", "--json").out)["deadlocks"]

    files = [str(tmp_path / name) for name in ("first.json", "later.json")]
    for file in files:
        said = shell("graph", "waits", "pair", "--save", file)
        assert (said.code, said.out) == (0, "")
    said = shell("graph", "deadlocks", *files)
    assert said.code == 1
    assert "stuck until a timeout, confirmed by both snapshots" in said.out
    bad = shell("graph", "waits", "pair", "--save", str(tmp_path / "none" / "x.json"))
    assert (bad.code, "--save" in bad.err) == (2, True)


def test_errors_are_json_too_when_json_was_asked_for(shell: Shell):
    said = shell("rollout", "status", "nobody-1", "--json")
    assert said.code == 2
    problem = json.loads(said.err)
    assert problem["code"] == "unknown_rollout"
    assert "nobody-1" in problem["detail"]


def test_ctrl_c_leaves_the_rollout_running_and_says_so(shell: Shell):
    pause_of(shell)
    watching = subprocess.Popen(
        [sys.executable, "-m", "rolewise.coordinator.cli.main", "rollout", "watch", "pair-1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert "rollout pair-1 started" in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert err == "pair-1 goes on. See it again: rolewise rollout watch pair-1\n"
    assert shell("rollout", "status", "pair-1").code == 3
