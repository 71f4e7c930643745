"""What each task did, in columns: the input of the pattern detectors.

The unit of every comparison of two versions is the task. A row of the dense columns is a task;
what only some tasks have (an edge, a move) stands in triplets (row, column, figures).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rolewise.graphs.grouping import group

RoleEdge = tuple[str, str, str]
"""Role that sends ('' outside), role that receives, kind."""
Move = tuple[str, str, str, str]
"""Role, kind that its invocation had received last, role that it sent to then (`REPLY`), kind."""

REPLY = "reply"
"""In a move: the invocation answered. Its kind is then `replied`, or the code of its failure; what
it had received last is taken to be the request, since replies do not say more."""

Figures = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int32]
Marks = npt.NDArray[np.bool_]
T = TypeVar("T")

_EDGE_SUMS = (
    "sends",
    "failed",
    "unanswered",
    "log2_latency_sum",
    "latency_count",
    "log2_size_sum",
)
_SUMS = ("messages", "retries", "late_sends")
_LARGEST = ("max_hop", "fan_out")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskRows:
    """Figures of tasks; the sending of messages counts, mirrored ones do not.

    Attributes:
        task: Key of each task, ascending.
        edges: Names of the edge columns: role view, versions count together.
        edge_row: For each triplet the place of its task in `task`.
        edge_col: For each triplet the place of its edge in `edges`.
        sends: Messages sent on the edge.
        failed: Of these, failed or timed out.
        unanswered: Requests that somebody waits for and that have not ended in any way.
        log2_latency_sum: Sum over replies of log2(ns from sent to replied).
        latency_count: Replies.
        log2_size_sum: Sum over sends of known size of log2(bytes).
        moves: Names of the move columns.
        move_row: As `edge_row`.
        move_col: Place in `moves`.
        move_count: How often.
        messages: All messages sent for the task.
        max_hop: Longest chain of parents.
        roles: Distinct roles that sent or received.
        fan_out: Most messages that one invocation sent.
        retries: Messages sent again.
        late_sends: Messages sent well after the task had ended.
        partial: Telemetry that may be of the task was lost: its figures are lower bounds.
    """

    task: npt.NDArray[np.uint64]
    edges: tuple[RoleEdge, ...]
    edge_row: Indices
    edge_col: Indices
    sends: Figures
    failed: Figures
    unanswered: Figures
    log2_latency_sum: Figures
    latency_count: Figures
    log2_size_sum: Figures
    moves: tuple[Move, ...]
    move_row: Indices
    move_col: Indices
    move_count: Figures
    messages: Figures
    max_hop: Figures
    roles: Figures
    fan_out: Figures
    retries: Figures
    late_sends: Figures
    partial: Marks

    def __len__(self) -> int:
        return len(self.task)


def merge(a: TaskRows, b: TaskRows) -> TaskRows:
    """Return the rows of both; associative, and in any order.

    Notes:
        Meant for rows of different collectors, which have no task in common. Where a task is in
        both, its sums add up and `partial` stands if it does in one; `fan_out` is the larger of
        both and `late_sends` their sum, which is exact unless an invocation's sends, or a
        task's end and what it sent afterwards, were split: `TaskTable` has what it takes for
        that.
    """
    task, place = _union(a.task, b.task)
    n = len(task)
    edges, edge_col = _renamed(a.edges, b.edges, a.edge_col, b.edge_col)
    edge_row = np.concatenate([place[: len(a)][a.edge_row], place[len(a) :][b.edge_row]])
    first, pair = group((edge_row * max(len(edges), 1) + edge_col).astype(np.uint64))
    moves, move_col = _renamed(a.moves, b.moves, a.move_col, b.move_col)
    move_row = np.concatenate([place[: len(a)][a.move_row], place[len(a) :][b.move_row]])
    first_move, step = group((move_row * max(len(moves), 1) + move_col).astype(np.uint64))

    def both(name: str) -> Figures:
        joined: Figures = np.concatenate([getattr(a, name), getattr(b, name)])
        return joined

    columns: dict[str, Any] = {
        name: np.bincount(pair, both(name), len(first)) for name in _EDGE_SUMS
    }
    columns |= {name: np.bincount(place, both(name), n) for name in _SUMS}
    for name in _LARGEST:
        columns[name] = np.zeros(n)
        np.maximum.at(columns[name], place, both(name))
    partial = np.bincount(place, both("partial"), n) > 0
    return in_order(
        TaskRows(
            task=task,
            edges=edges,
            edge_row=edge_row[first].astype(np.int32),
            edge_col=edge_col[first].astype(np.int32),
            moves=moves,
            move_row=move_row[first_move].astype(np.int32),
            move_col=move_col[first_move].astype(np.int32),
            move_count=np.bincount(step, both("move_count"), len(first_move)).astype(np.float64),
            roles=count_roles(n, edges, edge_row, edge_col),
            partial=partial,
            **columns,
        )
    )


def select(rows: TaskRows, keep: Marks) -> TaskRows:
    """Return the rows of some tasks, in the same order; all names of columns stay.

    Args:
        rows: The tasks.
        keep: Which of them.
    """
    row_of = np.cumsum(keep, dtype=np.int32) - np.int32(1)
    columns: dict[str, Any] = {
        name: getattr(rows, name)[keep] for name in ("task", "roles", "partial", *_SUMS, *_LARGEST)
    }
    for row, names in (
        ("edge_row", ("edge_col", *_EDGE_SUMS)),
        ("move_row", ("move_col", "move_count")),
    ):
        chosen = keep[getattr(rows, row)]
        columns[row] = row_of[getattr(rows, row)[chosen]]
        columns |= {name: getattr(rows, name)[chosen] for name in names}
    return replace(rows, **columns)


def count_roles(
    tasks: int, edges: Sequence[RoleEdge], edge_row: npt.ArrayLike, edge_col: npt.ArrayLike
) -> Figures:
    """Return how many roles each task's edges touch; the outside is none."""
    names = sorted({role for src, dst, _ in edges for role in (src, dst)} - {""})
    number = {name: place for place, name in enumerate(names)}
    seen = np.zeros((tasks, len(names) + 1), np.bool_)
    rows, cols = np.asarray(edge_row, np.int64), np.asarray(edge_col, np.int64)
    for end in (0, 1):
        role = np.array([number.get(edge[end], len(names)) for edge in edges], np.int64)
        if len(rows):
            seen[rows, role[cols]] = True
    counts: Figures = seen[:, : len(names)].sum(axis=1).astype(np.float64)
    return counts


def in_order(rows: TaskRows) -> TaskRows:
    """Return the same with tasks, names and triplets in their natural order."""
    by_task = np.argsort(rows.task)
    row_of = np.empty(len(by_task), np.int64)
    row_of[by_task] = np.arange(len(by_task))
    columns: dict[str, Any] = {
        column.name: getattr(rows, column.name)[by_task]
        for column in fields(rows)
        if column.name in {"task", "messages", "roles", "partial", *_SUMS, *_LARGEST}
    }
    for names, row, col, figures in (
        ("edges", "edge_row", "edge_col", _EDGE_SUMS),
        ("moves", "move_row", "move_col", ("move_count",)),
    ):
        known = getattr(rows, names)
        by_name = [place for _, place in sorted(zip(known, range(len(known)), strict=True))]
        col_of = np.empty(len(known), np.int64)
        col_of[by_name] = np.arange(len(known))
        new_row, new_col = row_of[getattr(rows, row)], col_of[getattr(rows, col)]
        order = np.argsort(new_row * len(known) + new_col)
        columns[names] = tuple(known[place] for place in by_name)
        columns[row] = new_row[order].astype(np.int32)
        columns[col] = new_col[order].astype(np.int32)
        columns |= {name: getattr(rows, name)[order] for name in figures}
    return TaskRows(**columns)


def _union(
    a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    task, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    return task, place


def _renamed(
    a: Iterable[T], b: Iterable[T], a_col: Indices, b_col: Indices
) -> tuple[tuple[T, ...], npt.NDArray[np.int64]]:
    """Return the names of both once, and both columns by their new places."""
    places: dict[T, int] = {}
    tables = [
        np.array([places.setdefault(name, len(places)) for name in names], np.int64)
        for names in (a, b)
    ]
    return tuple(places), np.concatenate([tables[0][a_col], tables[1][b_col]])
