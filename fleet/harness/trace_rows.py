"""Recorded tasks as rows for the pattern tests: one row a task, as a running fleet would fold it.

Requests, events and tool calls are the messages; replies and tool results are their answers. A
tool call's kind is the tool's name: which tool comes after which result is what an agent chooses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2

import numpy as np

from rolewise.fleet.harness.trace_loops import trace_digest
from rolewise.fleet.harness.traces import Trace, TraceMessage
from rolewise.graphs.task_rows import TaskRows

_ANSWERS = frozenset({"reply", "tool_result"})
_NANO = 1e9

Edge = tuple[str, str, str]
Move = tuple[str, str, str, str]


@dataclass(slots=True)
class _Row:
    """What one task did."""

    sends: Counter[Edge] = field(default_factory=Counter)
    failed: Counter[Edge] = field(default_factory=Counter)
    unanswered: Counter[Edge] = field(default_factory=Counter)
    replies: Counter[Edge] = field(default_factory=Counter)
    latency: Counter[Edge] = field(default_factory=Counter)
    size: Counter[Edge] = field(default_factory=Counter)
    moves: Counter[Move] = field(default_factory=Counter)
    roles: set[str] = field(default_factory=set)
    max_hop: int = 0
    fan_out: int = 0
    retries: int = 0


def rows_of_traces(traces: Iterable[Trace]) -> TaskRows:
    """Return the rows of recorded tasks, in their order."""
    rows = [_fold(trace) for trace in traces]
    edges = sorted({edge for row in rows for edge in row.sends})
    moves = sorted({move for row in rows for move in row.moves})
    at_edge = {edge: place for place, edge in enumerate(edges)}
    at_move = {move: place for place, move in enumerate(moves)}
    used = [(n, row, edge) for n, row in enumerate(rows) for edge in row.sends]
    made = [(n, row, move) for n, row in enumerate(rows) for move in row.moves]

    def on_edges(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([getattr(row, name)[edge] for _, row, edge in used], np.float64)

    def of_tasks(values: Iterable[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array(list(values), np.float64)

    return TaskRows(
        task=np.arange(len(rows), dtype=np.uint64),
        edge_row=np.array([n for n, _, _ in used], np.int32),
        edge_col=np.array([at_edge[edge] for _, _, edge in used], np.int32),
        sends=on_edges("sends"),
        failed=on_edges("failed"),
        unanswered=on_edges("unanswered"),
        log2_latency_sum=on_edges("latency"),
        latency_count=on_edges("replies"),
        log2_size_sum=on_edges("size"),
        edges=tuple(edges),
        move_row=np.array([n for n, _, _ in made], np.int32),
        move_col=np.array([at_move[move] for _, _, move in made], np.int32),
        move_count=np.array([row.moves[move] for _, row, move in made], np.float64),
        moves=tuple(moves),
        messages=of_tasks(row.sends.total() for row in rows),
        max_hop=of_tasks(row.max_hop for row in rows),
        roles=of_tasks(len(row.roles) for row in rows),
        fan_out=of_tasks(row.fan_out for row in rows),
        retries=of_tasks(row.retries for row in rows),
        late_sends=np.zeros(len(rows)),
        partial=np.zeros(len(rows), np.bool_),
    )


def _fold(trace: Trace) -> _Row:
    row = _Row()
    received: dict[str, str] = {}
    asked: list[TraceMessage] = []  # requests that wait for their answers, the latest last
    sent_in: Counter[int] = Counter()
    failed: set[int] = set()
    for message in trace.messages:
        row.roles |= {message.sender, message.to}
        state = received.get(message.sender, "start")
        if message.kind in _ANSWERS:
            open_ask = _answered(asked, message)
            said = "error" if message.error else message.kind.removeprefix("tool_")
            row.moves[message.sender, state, "reply", said] += 1
            received[message.to] = f"{message.name} {said}".strip()
            if open_ask is not None:
                _note_answer(row, open_ask, message)
                if message.error:
                    failed.add(trace_digest(open_ask))
            continue
        kind = _kind(message)
        edge = (message.sender, message.to, kind)
        row.sends[edge] += 1
        row.size[edge] += log2(max(message.size, 1))  # type: ignore[assignment]  # a sum of logs
        row.moves[message.sender, state, message.to, kind] += 1
        digest = trace_digest(message)
        row.retries += digest in failed
        failed.discard(digest)
        received[message.to] = kind
        if message.kind != "event":
            asked.append(message)
        row.max_hop = max(row.max_hop, len(asked))
        parent = next((ask.index for ask in reversed(asked) if ask.to == message.sender), -1)
        sent_in[parent] += 1
    for message in asked:
        row.unanswered[message.sender, message.to, _kind(message)] += 1
    row.fan_out = max(sent_in.values(), default=0)
    return row


def _kind(message: TraceMessage) -> str:
    return message.name or message.kind


def _answered(asked: list[TraceMessage], answer: TraceMessage) -> TraceMessage | None:
    """Take the oldest open request that the message can be the answer of."""
    for place, ask in enumerate(asked):
        if (ask.sender, ask.to) == (answer.to, answer.sender) and ask.name == answer.name:
            return asked.pop(place)
    return None


def _note_answer(row: _Row, ask: TraceMessage, answer: TraceMessage) -> None:
    edge = (ask.sender, ask.to, _kind(ask))
    if answer.error:
        row.failed[edge] += 1
    if ask.at_s is not None and answer.at_s is not None and answer.at_s > ask.at_s:
        row.replies[edge] += 1
        row.latency[edge] += log2((answer.at_s - ask.at_s) * _NANO)  # type: ignore[assignment]
