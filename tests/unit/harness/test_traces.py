"""Recorded tasks: what a file gives, how a bad line is told, how some are chosen."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rolewise.fleet.harness.trace_selection import parse_selector, select
from rolewise.fleet.harness.traces import TraceError, load_traces, parse_trace, read_traces

SHIPPED = Path(__file__).parents[3] / "agents" / "examples" / "replay" / "traces"


def a_line(**changes):
    raw = {
        "trace_id": "run/7/0",
        "versions": {"agent": "gpt-4o", "user": "person"},
        "task_attributes": {"task_id": "7", "trial": 0, "gold_actions": 3},
        "completed": True,
        "score": 1.0,
        "ended": "user_stop",
        "messages": [
            {"i": 0, "from": "user", "to": "agent", "kind": "request", "text": "Hello"},
            {"from": "agent", "to": "user", "kind": "reply", "size": 5, "tokens": 2, "t": 0.5},
        ],
    }
    return {**raw, **changes}


def written(path: Path, *lines) -> Path:
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    return path


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.jsonl.gz")), ids=lambda path: path.name)
def test_every_recording_that_ships_is_read(path):
    with gzip.open(path, "rt") as lines:
        raw = [json.loads(line) for line in lines]

    read = list(read_traces(path))

    assert [trace.id for trace in read] == [line["trace_id"] for line in raw]
    assert [[m.digest for m in trace.messages] for trace in read] == [
        [message["digest"] for message in line["messages"]] for line in raw
    ]
    assert [trace.completed for trace in read] == [line["completed"] for line in raw]


def test_what_is_not_recorded_is_unknown_and_not_nothing():
    trace = parse_trace(json.dumps(a_line(cost_usd={"agent": 0.5, "user": None})))

    assert trace.duration_s is None
    assert trace.usage is None
    assert trace.cost_usd == {"agent": 0.5, "user": None}
    assert trace.messages[0].tokens is None
    assert (trace.task_id, trace.trial) == ("7", 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trace_id": None}, "trace_id = null: want text"),
        ({"completed": 1}, "completed = 1: want true or false"),
        ({"versions": {"agent": 4}}, "versions.agent = 4: want text"),
        ({"versions": []}, "versions = []: want an object"),
        ({"duration_s": "long"}, 'duration_s = "long": want a number or null'),
        ({"cost_usd": {"agent": True}}, "cost_usd.agent = true: want a number or null"),
        ({"usage": {"agent": {"in": -1}}}, "usage.agent.in = -1: want a whole number from 0"),
        ({"messages": "none"}, 'messages = "none": want a list'),
        ({"messages": [3]}, "messages[0] = 3: want an object"),
        (
            {"messages": [{"from": "a", "to": "b", "kind": "shout"}]},
            'messages[0].kind = "shout": want one of request, reply, event, tool_call, tool_result',
        ),
        (
            {"messages": [{"i": 4, "from": "a", "to": "b", "kind": "event"}]},
            "messages[0].i = 4: want 0, its place in the list",
        ),
        ({"failure": {"step": 1.5}}, "failure.step = 1.5: want a whole number from 0"),
    ],
)
def test_a_bad_line_is_told_by_file_line_field_and_value(tmp_path, changes, words):
    path = written(tmp_path / "t.jsonl", a_line(), "", a_line(**{"trace_id": "b", **changes}))

    with pytest.raises(TraceError) as told:
        list(read_traces(path))

    assert f"{path}, line 3: {words}" in str(told.value)


def test_a_missing_field_is_named(tmp_path):
    line = a_line()
    del line["messages"][1]["to"]

    with pytest.raises(TraceError, match=r"line 1: messages\[1\]\.to is missing: want text"):
        list(read_traces(written(tmp_path / "t.jsonl", line)))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: want a JSON object, not list"),
        ('{"trace_id": NaN}', "line 2: not JSON: NaN is no number"),
        (json.dumps(a_line()), "line 2: trace_id = 'run/7/0' is also on line 1; want each once"),
    ],
)
def test_what_is_no_task_is_told(tmp_path, line, words):
    path = written(tmp_path / "t.jsonl", a_line(), line)

    with pytest.raises(TraceError) as told:
        list(read_traces(path))

    assert words in str(told.value)


def test_lines_before_a_bad_one_are_given(tmp_path):
    traces = read_traces(written(tmp_path / "t.jsonl", a_line(), "{"))

    assert next(traces).id == "run/7/0"
    with pytest.raises(TraceError):
        next(traces)


def test_packed_and_plain_files_are_told_apart_by_their_bytes(tmp_path):
    plain = written(tmp_path / "plain.gz", a_line())
    packed = tmp_path / "packed.jsonl"
    packed.write_bytes(gzip.compress(json.dumps(a_line()).encode()))

    assert list(read_traces(plain)) == list(read_traces(packed))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(json.dumps(a_line()).encode())[:-9], "line 2: the gzip data is broken"),
        (b'{"a": "\xff"}', "line 1: not UTF-8"),
    ],
)
def test_a_broken_file_is_told(tmp_path, content, words):
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)

    with pytest.raises(TraceError) as told:
        list(read_traces(path))

    assert "t.jsonl" in str(told.value)
    assert words.partition(": ")[2] in str(told.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(TraceError, match=r"none\.jsonl cannot be read: No such file"):
        list(read_traces(tmp_path / "none.jsonl"))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("gpt-4o", ["a"]),
        ("versions.agent=gpt-4o", ["a"]),
        ("versions.agent=new,v2", ["b"]),
        ("task_attributes.trial=0", ["a"]),
        ("versions.user=person,task_attributes.trial=1", ["b"]),
        ("completed=true,score=1", ["a", "b"]),
        ("trace_id=b", ["b"]),
    ],
)
def test_tasks_are_chosen_by_what_they_are(text, ids):
    traces = [
        parse_trace(json.dumps(line))
        for line in (
            a_line(trace_id="a"),
            a_line(
                trace_id="b",
                versions={"agent": "new,v2", "user": "person"},
                task_attributes={"task_id": "7", "trial": 1},
            ),
        )
    ]

    assert [trace.id for trace in select(traces, parse_selector(text))] == ids


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "selector is empty"),
        ("version=gpt-4o", "no field 'version': want trace_id"),
        ("versions=gpt-4o", "no field 'versions': want trace_id"),
        ("gpt-3", "matches none of 1 tasks; there are: versions.agent=gpt-4o, versions.user"),
    ],
)
def test_a_choice_of_nothing_is_told(text, words):
    with pytest.raises(TraceError) as told:
        select([parse_trace(json.dumps(a_line()))], parse_selector(text))

    assert words in str(told.value)


def test_what_is_in_memory_is_read_like_a_file_up_to_a_limit():
    plain = (json.dumps(a_line()) + "\n\n").encode()

    assert load_traces(plain, name="body") == load_traces(gzip.compress(plain), name="body")
    with pytest.raises(TraceError, match="body: longer than 99 bytes when unpacked"):
        load_traces(gzip.compress(plain * 9000), name="body", limit=99)
    with pytest.raises(TraceError, match="body, line 3: trace_id = 'run/7/0' is also on line 1"):
        load_traces(plain * 2, name="body")
