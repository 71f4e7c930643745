"""Examples of the difference of two arms, made by the code that makes the real ones."""

from __future__ import annotations

import json

import networkx as nx

from rolewise.coordinator.trace_difference import compare_versions
from rolewise.coordinator.views.difference import view_live_difference
from rolewise.fleet.harness.traces import parse_trace
from rolewise.graphs.interactions import Arm

_GRAPH = nx.MultiDiGraph()
for _arm, _tasks, _asks in ((Arm.BASELINE, 412, 410), (Arm.CANARY, 405, 611)):
    _GRAPH.add_edge("", "orchestrator", ("task", _arm), n=_tasks, failures=4, latency_ms_p50=183.0)
    _GRAPH.add_edge("orchestrator", "negotiator", ("procure", _arm), n=_asks, failures=2)

LIVE_DIFFERENCE = view_live_difference("supply-chain", _GRAPH)


def _recorded(version: str, task: int, calls: int) -> str:
    call = {"from": "agent", "to": "tools", "kind": "tool_call", "name": "find"}
    return json.dumps(
        {
            "trace_id": f"{version}/{task}",
            "versions": {"agent": version},
            "task_attributes": {"task_id": str(task)},
            "completed": True,
            "messages": [{"from": "user", "to": "agent", "kind": "request"}, *[call] * calls],
        }
    )


TRACE_DIFFERENCE = compare_versions(
    "body",
    [
        parse_trace(_recorded(version, task, calls + task % 2))
        for version, calls in (("gpt-4o", 1), ("gpt-5", 2))
        for task in range(4)
    ],
    stable="gpt-4o",
    canary="gpt-5",
)
