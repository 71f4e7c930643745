"""Rows of tasks from sketches: what each task did, edge by edge, in a dict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log2

import numpy as np

from rolewise.graphs.task_rows import TaskRows

Edge = tuple[str, str, str]
Move = tuple[str, str, str, str]


@dataclass
class Sketch:
    """One task: edge -> messages, move -> times, and what else it is to have."""

    sends: dict[Edge, int] = field(default_factory=dict)
    failed: dict[Edge, int] = field(default_factory=dict)
    unanswered: dict[Edge, int] = field(default_factory=dict)
    latency_ms: dict[Edge, list[float]] = field(default_factory=dict)
    sizes: dict[Edge, list[int]] = field(default_factory=dict)
    moves: dict[Move, int] = field(default_factory=dict)
    max_hop: int = 1
    fan_out: int = 1
    retries: int = 0
    late_sends: int = 0
    partial: bool = False
    key: int = 0


def rows_of(sketches: Iterable[Sketch]) -> TaskRows:
    tasks = list(sketches)
    edges = sorted({edge for task in tasks for edge in task.sends})
    moves = sorted({move for task in tasks for move in task.moves})
    on_edges = [(row, edge) for row, task in enumerate(tasks) for edge in task.sends]
    on_moves = [(row, move) for row, task in enumerate(tasks) for move in task.moves]

    def figures(get):
        return np.array([get(tasks[row], edge) for row, edge in on_edges], np.float64)

    def of_tasks(get):
        return np.array([get(task) for task in tasks], np.float64)

    return TaskRows(
        task=np.array([task.key or row for row, task in enumerate(tasks)], np.uint64),
        edge_row=np.array([row for row, _ in on_edges], np.int32),
        edge_col=np.array([edges.index(edge) for _, edge in on_edges], np.int32),
        sends=figures(lambda task, edge: task.sends[edge]),
        failed=figures(lambda task, edge: task.failed.get(edge, 0)),
        unanswered=figures(lambda task, edge: task.unanswered.get(edge, 0)),
        log2_latency_sum=figures(
            lambda task, edge: sum(log2(ms * 1e6) for ms in task.latency_ms.get(edge, ()))
        ),
        latency_count=figures(lambda task, edge: len(task.latency_ms.get(edge, ()))),
        log2_size_sum=figures(
            lambda task, edge: sum(log2(max(size, 1)) for size in task.sizes.get(edge, ()))
        ),
        edges=tuple(edges),
        move_row=np.array([row for row, _ in on_moves], np.int32),
        move_col=np.array([moves.index(move) for _, move in on_moves], np.int32),
        move_count=np.array([tasks[row].moves[move] for row, move in on_moves], np.float64),
        moves=tuple(moves),
        messages=of_tasks(lambda task: sum(task.sends.values())),
        max_hop=of_tasks(lambda task: task.max_hop),
        roles=of_tasks(lambda task: len({r for s, d, _ in task.sends for r in (s, d)} - {""})),
        fan_out=of_tasks(lambda task: task.fan_out),
        retries=of_tasks(lambda task: task.retries),
        late_sends=of_tasks(lambda task: task.late_sends),
        partial=np.array([task.partial for task in tasks], np.bool_),
    )
