"""A replay does what was recorded. The oracle is the file itself, read without our code."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rolewise.agents import load_agent
from rolewise.agents.agent import AgentImportError
from rolewise.agents.errors import AskFailed
from rolewise.agents.examples import replay
from rolewise.agents.examples.replay import (
    RecordedAgent,
    RecordedTools,
    RecordedUser,
    airline_tasks,
    airline_trial_tasks,
    load_recordings,
    retail_tasks,
    telecom_tasks,
)
from rolewise.agents.examples.replay.bodies import Played
from tests.support.fake_fleet import FakeFleet, Seen

TRACES = (
    "tau1_airline_aa",
    "tau1_retail_strategies",
    "tau2_airline_models",
    "tau2_telecom_finetune",
)
FOLDER = Path(replay.__file__).parent / "traces"


def recorded(trace: str) -> list[dict[str, Any]]:
    with gzip.open(FOLDER / f"{trace}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def a_fleet(trace: str, version: str, *, trial: int = 0, speed: float = 0.0) -> FakeFleet:
    tools = RecordedTools(trace=trace, speed=speed)
    return FakeFleet(
        {
            "user": RecordedUser(trace=trace, speed=speed),
            "agent": RecordedAgent(trace=trace, version=version, trial=trial, speed=speed),
            "tools": tools,
            "user_device": tools,
        },
        deadline_s=1e9,
    )


def wanted(raw: dict[str, Any]) -> Counter[tuple[str, str, str]]:
    """Edges of a recording: requests and calls by kind, events by name, answers as `answer`."""
    edges: Counter[tuple[str, str, str]] = Counter()
    for message in raw["messages"]:
        kind = message["name"] if message["kind"] == "event" else message["kind"]
        answer = {"reply": "answer", "tool_result": "answer"}.get(kind, kind)
        edges[message["from"], message["to"], answer] += 1
    return edges


def played(seen: Seen, raw: dict[str, Any]) -> Counter[tuple[str, str, str]]:
    edges: Counter[tuple[str, str, str]] = Counter()
    for edge, count in seen.sent.items():
        if edge[0] and edge[2] != "open":
            edges[edge] += count
    for (sender, to, kind), count in seen.replied.items():
        if to and kind != "open":
            edges[sender, to, "answer"] += count
    if raw["ended"] == "agent_stop":  # the last request is answered by "nothing left to say"
        edges["agent", "user", "answer"] -= 1
    return +edges


@pytest.mark.parametrize("trace", TRACES)
async def test_every_recording_is_played_as_it_was(trace: str) -> None:
    fleets: dict[tuple[str, int], FakeFleet] = {}
    for raw in recorded(trace):
        version, trial = raw["versions"]["agent"], raw["task_attributes"]["trial"]
        if (version, trial) not in fleets:
            fleets[version, trial] = a_fleet(trace, version, trial=trial)
        task = {"task_id": raw["task_attributes"]["task_id"]}
        (result, error), seen = await fleets[version, trial].attempt("user", task)

        where = raw["trace_id"]
        assert played(seen, raw) == wanted(raw), where
        assert (error is None) == raw["completed"], where
        if error is None:
            assert result == Played(recording=where, ended=raw["ended"], lines=len(raw["messages"]))
        else:
            assert isinstance(error, AskFailed)
            assert str(error).startswith(raw["ended"]), where
        errors = Counter(
            (m["from"], m["name"])
            for m in raw["messages"]
            if m["kind"] == "tool_result" and m["error"]
        )
        assert seen.tool_errors == errors, where
        assert sum(seen.tools.values()) == sum(m["kind"] == "tool_result" for m in raw["messages"])
        assert seen.tokens == Counter(
            {
                f"{role}.{side}": used[side]
                for role, used in (raw["usage"] or {}).items()
                for side in ("in", "out")
            }
        ), where
        assert seen.cost_usd == pytest.approx(
            sum(cost or 0 for cost in (raw["cost_usd"] or {}).values())
        )


def test_every_file_is_whole() -> None:
    assert {trace: len(load_recordings(trace)) for trace in TRACES} == {
        "tau1_airline_aa": 100,
        "tau1_retail_strategies": 300,
        "tau2_airline_models": 150,
        "tau2_telecom_finetune": 80,
    }


async def test_recorded_time_is_compressed() -> None:
    raw = recorded("tau2_airline_models")[0]
    fleet = a_fleet("tau2_airline_models", raw["versions"]["agent"], speed=100.0)
    _, seen = await fleet.run("user", {"task_id": raw["task_attributes"]["task_id"]})
    assert seen.seconds == pytest.approx(raw["messages"][-1]["t"] / 100, rel=1e-6)


async def test_a_livelock_shows_no_progress() -> None:
    """The fine-tuned telecom agent's runaway tasks: call after call, always the same result."""
    trace = "tau2_telecom_finetune"
    runaway = [raw for raw in recorded(trace) if raw["ended"] == "max_steps"]
    assert len(runaway) == 5
    fleet = a_fleet(trace, "llm_agent/gpt-4.1-ft")
    for raw in runaway:
        task = {"task_id": raw["task_attributes"]["task_id"]}
        (_, _error), seen = await fleet.attempt("user", task)
        calls = seen.sent["agent", "tools", "tool_call"]
        assert calls > 60
        assert len(seen.progress) < seen.messages - 50


async def test_a_task_that_was_not_recorded_fails_by_name() -> None:
    fleet = a_fleet("tau1_retail_strategies", "tool-calling/unstated")
    with pytest.raises(AskFailed, match="for task '999', trial 0"):
        await fleet.run("user", {"task_id": "999"})


def test_a_wrong_trace_or_version_is_refused_with_what_there_is() -> None:
    with pytest.raises(FileNotFoundError, match="want one of tau1_airline_aa, tau1_retail_"):
        load_recordings("tau9")
    with pytest.raises(FileNotFoundError, match=r"'\./mine\.jsonl\.gz'"):
        load_recordings("./mine.jsonl.gz")
    with pytest.raises(ValueError, match=r"'best': tau2_telecom_finetune has llm_agent/gpt-4.1,"):
        RecordedAgent(trace="tau2_telecom_finetune", version="best")
    with pytest.raises(ValueError, match="speed = -1"):
        RecordedUser(trace="tau2_telecom_finetune", speed=-1)


def test_a_path_of_ones_own_is_read() -> None:
    path = FOLDER / "tau2_telecom_finetune.jsonl.gz"
    assert load_recordings(str(path)).task_ids == load_recordings("tau2_telecom_finetune").task_ids


def test_players_load_by_import_path_with_their_config() -> None:
    path = "rolewise.agents.examples.replay:RecordedAgent"
    config = {"trace": "tau1_retail_strategies", "version": "tool-calling/unstated"}
    assert isinstance(load_agent(path, config), RecordedAgent)
    with pytest.raises(AgentImportError, match="config does not fit"):
        load_agent(path, {"trace": "tau1_retail_strategies"})


@pytest.mark.parametrize(
    ("source", "number"),
    [(retail_tasks, 100), (airline_tasks, 50), (airline_trial_tasks, 50), (telecom_tasks, 40)],
)
def test_task_sources_shuffle_all_tasks_in_each_round(source: Any, number: int) -> None:
    rounds = [list(itertools.islice(source(seed), 2 * number)) for seed in (1, 1, 2)]
    assert rounds[0] == rounds[1]
    assert rounds[0] != rounds[2]
    first, second = (
        [t["body"]["task_id"] for t in half] for half in (rounds[0][:number], rounds[0][number:])
    )
    assert first != second
    assert len(set(first)) == number
    assert set(first) == set(second)
    assert json.loads(json.dumps(rounds[0][0])) == rounds[0][0]
