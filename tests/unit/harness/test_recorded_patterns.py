"""What the detectors say of real recordings of language models at work."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from rolewise.fleet.harness.trace_comparison import compare_traces
from rolewise.fleet.harness.trace_loops import figures_of_traces, raised_in
from rolewise.fleet.harness.trace_rows import rows_of_traces
from rolewise.fleet.harness.trace_selection import parse_selector, select
from rolewise.fleet.harness.traces import parse_trace, read_traces
from rolewise.graphs.loops import FLAGS, raised_flags

SHIPPED = Path(__file__).parents[3] / "agents" / "examples" / "replay" / "traces"


@cache
def recorded(name):
    return tuple(read_traces(SHIPPED / f"{name}.jsonl.gz"))


def version(name, selector):
    return select(recorded(name), parse_selector(selector))


def compared(name, stable, canary, seed=1):
    return compare_traces(version(name, stable), version(name, canary), seed=seed)


TELECOM = "tau2_telecom_finetune"


def test_the_fine_tuned_model_loops_in_just_the_five_tasks_that_hit_the_step_limit():
    tasks = version(TELECOM, "llm_agent/gpt-4.1-ft")

    raised = {trace.id: raised_in(trace) for trace in tasks}

    looping = {trace.id for trace in tasks if trace.ended == "max_steps"}
    assert len(looping) == 5
    assert {name for name, flags in raised.items() if flags} == looping
    assert {flag.role for flags in raised.values() for flag in flags} == {"agent"}
    for name in looping:
        assert {flag.flag for flag in raised[name]} == {"repeat", "stalled", "low_novelty"}


def test_users_who_check_again_after_each_repair_are_no_livelock():
    tasks = version(TELECOM, "llm_agent/gpt-4.1")

    assert not raised_flags(figures_of_traces(tasks)).any()


def test_one_by_one_and_all_at_once_agree_on_recordings():
    tasks = recorded(TELECOM)

    names = [{FLAGS[i] for i in row.nonzero()[0]} for row in raised_flags(figures_of_traces(tasks))]

    assert names == [{flag.flag for flag in raised_in(trace)} for trace in tasks]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_trials_of_one_version_are_no_alarm(seed):
    report = compared(
        "tau1_airline_aa", "task_attributes.trial=0", "task_attributes.trial=1", seed
    ).report

    assert report.state == "quiet"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_strategy_that_talks_otherwise_but_no_worse_asks_for_a_pause(seed):
    comparison = compared(
        "tau1_retail_strategies",
        "tool-calling/unstated",
        "tool-calling-with-preconditions/unstated",
        seed,
    )

    assert comparison.is_paired
    assert comparison.report.state == "alarm"
    assert not comparison.report.is_harm, "it completes as many tasks: different is not worse"
    assert comparison.report.changed == ("agent",)


def test_a_model_whose_tool_calls_fail_is_harm():
    report = compared(
        "tau2_airline_models", "llm_agent/claude-sonnet-4-5", "llm_agent/qwen2.5-7b"
    ).report

    harm = [finding for finding in report.findings if finding.direction == "harm"]
    assert [finding.what for finding in harm] == ["failures"]
    assert (harm[0].tasks_canary, harm[0].tasks_baseline) == (26, 1)


def test_messages_of_a_recording_are_all_counted():
    tasks = recorded("tau1_airline_aa")

    rows = rows_of_traces(tasks)

    sent = [sum(m.kind in {"request", "event", "tool_call"} for m in t.messages) for t in tasks]
    assert rows.messages.tolist() == sent
    errors = sum(m.error for t in tasks for m in t.messages)
    assert rows.failed.sum() == errors


def test_tasks_without_partners_are_compared_all_with_all():
    def of(task, version, calls):
        messages = [{"from": "user", "to": "agent", "kind": "request", "name": None}]
        messages += [{"from": "agent", "to": "tools", "kind": "tool_call", "name": "find"}] * calls
        raw = {
            "trace_id": f"{version}{task}",
            "versions": {"agent": version},
            "task_attributes": {"task_id": str(task)},
            "completed": True,
            "messages": messages,
        }
        return parse_trace(json.dumps(raw))

    stable = [of(n, "a", 1 + n % 3) for n in range(40)]

    unlike = compare_traces(stable, [of(n + 100, "b", 5 + n % 3) for n in range(40)])
    paired = compare_traces(stable, [of(n, "b", 5 + n % 3) for n in range(40)])

    assert (unlike.is_paired, paired.is_paired) == (False, True)
    assert unlike.report.state == paired.report.state == "alarm"
    assert "sends agent -> tools: find" in [f.what for f in paired.report.findings]
