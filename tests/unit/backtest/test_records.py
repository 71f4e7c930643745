"""Task records: what a line gives, and how a wrong one is told."""

import json
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.backtest.records import RecordError, parse_record
from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.task import Outcome

LINE = {
    "task": "t-1",
    "arm": "canary",
    "weight": 5,
    "stratum": "refund",
    "started": 100.0,
    "ended": 107.5,
    "outcome": "completed",
    "latency_s": 7.25,
    "tool_calls": 3,
    "tool_errors": 1,
    "input_tokens": 900,
    "output_tokens": 120,
    "cost_usd": 0.004,
    "scores": {"helpful": 0.9, "short": None},
    "pod": "x-7",
}


def a_row(**changes):
    line = {**LINE, **changes}
    return parse_record(json.dumps({key: one for key, one in line.items() if one is not ...}))


def test_a_line_gives_all_that_it_says():
    assert a_row() == Row(
        task="t-1",
        canary=True,
        weight=5.0,
        started_s=100.0,
        ended_s=107.5,
        outcome=Outcome.COMPLETED,
        latency_s=7.25,
        tool_errors=1,
        input_tokens=900,
        output_tokens=120,
        cost_usd=0.004,
        scores={"helpful": 0.9},
        stratum="refund",
    )


@pytest.mark.parametrize("absent", [None, ...])
def test_what_is_not_recorded_is_unknown_and_not_0(absent):
    optional = ("tool_errors", "input_tokens", "output_tokens", "cost_usd", "scores", "stratum")
    row = a_row(**dict.fromkeys(optional, absent))
    assert (row.tool_errors, row.input_tokens, row.output_tokens, row.cost_usd) == (None,) * 4
    assert (row.scores, row.stratum, row.flags) == ({}, "", None)


def test_timestamps_are_moments_too():
    row = a_row(started="2026-05-01T09:00:00Z", ended="2026-05-01T11:00:02.5+02:00", latency_s=None)
    assert row.ended_s - row.started_s == row.latency_s == 2.5
    assert a_row(started="2026-05-01T09:00:00", ended=None).started_s == row.started_s  # UTC


def test_without_a_time_of_the_end_it_is_the_start_and_the_latency():
    assert a_row(ended=None).ended_s == 107.25
    row = a_row(ended=..., latency_s=...)
    assert (row.ended_s, row.latency_s) == (100.0, None)


def test_a_running_task_has_no_end():
    row = a_row(outcome="running", ended=None, latency_s=None)
    assert (row.outcome, row.ended_s) == (Outcome.RUNNING, inf)


def test_a_default_weight_is_for_lines_without_one():
    line = json.dumps({key: one for key, one in LINE.items() if key != "weight"})
    assert parse_record(line, weight=25.0).weight == 25.0
    assert parse_record(json.dumps(LINE), weight=25.0).weight == 5.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"arm": "green"}, 'arm = "green": want one of baseline, canary'),
        ({"arm": ...}, "arm is missing: want text"),
        ({"task": ""}, 'task = "": want text'),
        ({"task": True}, "task = true: want text"),
        ({"outcome": "ok"}, 'outcome = "ok": want one of running, completed, failed, timed_out'),
        ({"outcome": None}, "outcome = null: want text"),
        ({"weight": 101}, "weight = 101: want percent, 0 to 100"),
        ({"weight": ...}, "weight is missing: want the percent of tasks"),
        ({"weight": -1}, "weight = -1: want a number from 0, or null"),
        ({"started": ...}, "started is missing: want seconds or an ISO timestamp"),
        ({"started": "noon"}, 'started = "noon": want seconds or an ISO timestamp'),
        ({"ended": 99.0}, "ended = 99.0: want no time before started (100.0)"),
        ({"outcome": "running"}, "ended = 107.5: want null, since outcome is running"),
        ({"latency_s": "7 s"}, 'latency_s = "7 s": want a number from 0, or null'),
        ({"latency_s": -1}, "latency_s = -1: want a number from 0, or null"),
        ({"tool_errors": 1.5}, "tool_errors = 1.5: want a whole number from 0, or null"),
        ({"input_tokens": True}, "input_tokens = true: want a whole number from 0, or null"),
        ({"cost_usd": float("nan")}, "cost_usd = NaN: want a number from 0, or null"),
        ({"scores": [1]}, "scores = [1]: want an object"),
        ({"scores": {"helpful": 7}}, "scores.helpful = 7.0: want a number from 0 to 1, or null"),
        ({"flags": "loop"}, 'flags = "loop": want a list of names of loop flags, or null'),
        ({"task": "\ud83e"}, 'task = "\\ud83e": want whole characters'),
    ],
)
def test_a_wrong_field_is_told_with_its_value_and_what_is_allowed(changes, told):
    with pytest.raises(RecordError) as caught:
        a_row(**changes)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not JSON: "),
        ("[" * 100_000, "not JSON that can be read"),
        ("[]", "want a JSON object, not a list"),
        ("7", "want a JSON object, not a number"),
        ('{"trace_id": "a/b/0", "messages": []}', "a recorded trace has no arm"),
    ],
)
def test_a_line_that_is_no_record_is_told(line, told):
    with pytest.raises(RecordError, match=told.replace("(", r"\(")):
        parse_record(line)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*LINE, "unit", "flags"]), JSON))
def test_any_object_is_a_row_or_told(changes):
    try:
        row = parse_record(json.dumps({**LINE, **changes}))
    except RecordError:
        return
    assert 0.0 <= row.weight <= 100.0
    assert row.started_s <= row.ended_s
