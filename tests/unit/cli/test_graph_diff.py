"""`rolewise graph diff`: two recorded versions, or the arms of a fleet on trial."""

from __future__ import annotations

from pathlib import Path

import pytest

from rolewise.coordinator.views.difference import GraphDifferenceView
from tests.unit.cli.conftest import Shell

TRACES = Path(__file__).parents[3] / "configs" / "traces"
RETAIL = str(TRACES / "tau1_retail_strategies.jsonl.gz")
AIRLINE = str(TRACES / "tau1_airline_aa.jsonl.gz")
TRIALS = ("--stable", "task_attributes.trial=0", "--canary", "task_attributes.trial=1")
BOTH = ("--stable", "tool-calling/unstated", "--canary", "tool-calling-with-preconditions/unstated")


def test_two_recorded_versions_are_told_side_by_side(shell: Shell):
    said = shell("graph", "diff", RETAIL, *BOTH)

    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == (
        "tau1_retail_strategies.jsonl.gz: tool-calling/unstated (100 tasks) | "
        "tool-calling-with-preconditions/unstated (100 tasks)"
    )
    assert "  patterns  different: pause" in lines
    assert "    choices changed at agent" in lines
    assert "  livelock  0 | 0 tasks flagged" in lines
    assert any(line.startswith("  more") and "think" in line and "x3.65" in line for line in lines)
    assert "latency" not in said.out, "nothing of it was recorded"


def test_equal_versions_differ_in_nothing_beyond_chance(shell: Shell):
    said = shell("graph", "diff", AIRLINE, *TRIALS)

    assert said.code == 0
    assert "  patterns  quiet" in said.out
    assert "would mostly be seen" in said.out


def test_json_has_the_form_of_the_api_and_equal_seeds_give_equal_bytes(shell: Shell):
    said, again = (shell("graph", "diff", AIRLINE, *TRIALS, "--seed", "3", "--json") for _ in "ab")

    view = GraphDifferenceView.model_validate_json(said.out)
    assert said.out == again.out
    assert view.patterns is not None
    assert (view.patterns.state, view.patterns.follows) == ("quiet", "nothing")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((AIRLINE,), "--stable is missing: a file of recorded tasks needs both versions named"),
        ((AIRLINE, "--stable", "a"), "--canary is missing"),
        (("no.jsonl", *TRIALS), "no.jsonl cannot be read: No such file"),
        ((AIRLINE, "--stable", "gpt-3", "--canary", "b"), "'gpt-3' matches none of 100 tasks"),
        ((AIRLINE, "--stable", "x=1", "--canary", "b"), "no field 'x': want trace_id"),
        ((AIRLINE, *TRIALS, "--last", "5s"), "--last = '5s': only a fleet has it"),
        (("pair", *TRIALS), "--stable = 'task_attributes.trial=0': only a file of recorded tasks"),
    ],
)
def test_what_cannot_be_compared_is_told(shell: Shell, arguments: tuple[str, ...], words: str):
    said = shell("graph", "diff", *arguments)

    assert said.code == 2
    assert words in said.err.splitlines()[0]


@pytest.mark.usefixtures("url")
def test_a_fleet_without_a_trial_says_so(shell: Shell):
    said = shell("graph", "diff", "pair")

    assert said.code == 0
    assert said.out.splitlines() == [
        "pair: baseline (0 tasks) | canary (0 tasks)",
        "  no message of either yet: is a canary on trial?",
    ]
    assert GraphDifferenceView.model_validate_json(shell("graph", "diff", "pair", "--json").out)
