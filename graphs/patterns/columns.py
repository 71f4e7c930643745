"""The columns of the feature test: what each task did on each edge, and as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rolewise.graphs.expectations import Edge
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import Figures, Indices, Marks, TaskRows

FEWEST_TASKS = 5
"""A column in which fewer tasks have anything is left out: it could not be told from chance."""

What = Literal[
    "sends",
    "unanswered or failed",
    "latency",
    "size",
    "messages",
    "longest chain",
    "roles",
    "fan-out",
    "retries",
    "failures",
    "livelock",
    "sends after the end",
]
_SHARES = frozenset({"unanswered or failed", "failures", "livelock", "sends after the end"})
_HARM = _SHARES | {"retries"}
_GROW_WITH_EDGES = frozenset({"longest chain", "roles", "fan-out"})
_ONE_SIDED = _HARM | {"latency"}  # fewer failures and faster replies are no reason to stop


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column.

    Attributes:
        what: What is measured.
        edge: On which edge (sender, receiver, kind); None for the task as a whole.
        raw: The figure of each used task, as people read it: messages, a share's 0 or 1, log2 of
            a mean.
        users: Tasks that have the figure at all; None when all do.
        tested: What the test sums, not yet centred.
    """

    what: What
    edge: tuple[str, str, str] | None
    raw: Figures
    users: Marks | None
    tested: Figures

    @property
    def is_harm(self) -> bool:
        """Whether more of it is worse."""
        return self.what in _HARM

    @property
    def is_one_sided(self) -> bool:
        """Whether only more of it counts."""
        return self.what in _ONE_SIDED

    @property
    def is_share(self) -> bool:
        """Whether its figure is 0 or 1 in each task."""
        return self.what in _SHARES

    @property
    def is_log(self) -> bool:
        """Whether its figure is a log2, so that a difference is a ratio."""
        return self.what in {"latency", "size"}

    @property
    def name(self) -> str:
        """Short and stable."""
        return self.what if self.edge is None else f"{self.what} {edge_in_words(self.edge)}"

    @property
    def role(self) -> str:
        """Role at which it shows: who sends, but who is asked where that one is slow or fails."""
        if self.edge is None:
            return ""
        return self.edge[1 if self.what in {"latency", "unanswered or failed"} else 0]


def build_columns(
    rows: TaskRows, flagged: Marks, strata: Strata, expected: Collection[Edge] = ()
) -> list[Column]:
    """Return the columns of the tasks that `strata` uses, in its order.

    Args:
        rows: Closed tasks.
        flagged: Tasks with a livelock flag.
        strata: Arms and strata.
        expected: Edges that the new version is said to add. They have no columns, nor have the
            figures of whole tasks that one more edge changes by itself.
    """
    candidates = [
        *(column for column in _of_edges(rows, strata) if column.edge not in expected),
        *_of_tasks(rows, flagged, strata, expected),
    ]
    return [column for column in candidates if _occurs(column) >= FEWEST_TASKS]


def edge_in_words(edge: tuple[str, str, str]) -> str:
    """Return an edge as `planner -> supplier: rfq`."""
    src, dst, kind = edge
    return f"{src or 'outside'} -> {dst or 'outside'}: {kind}"


def sends_matrix(rows: TaskRows, strata: Strata) -> Figures:
    """Return the sends of each used task on each edge."""
    return _dense(rows.edge_row, rows.edge_col, rows.sends, rows, strata)


def moves_matrix(rows: TaskRows, strata: Strata) -> Figures:
    """Return how often each used task made each move."""
    shape = (len(rows), len(rows.moves))
    return _scatter(rows.move_row, rows.move_col, rows.move_count, shape)[strata.rows]


def _of_edges(rows: TaskRows, strata: Strata) -> Iterator[Column]:
    sends = sends_matrix(rows, strata)
    bad = _dense(rows.edge_row, rows.edge_col, rows.failed + rows.unanswered, rows, strata) > 0
    replies = _dense(rows.edge_row, rows.edge_col, rows.latency_count, rows, strata)
    latency = _dense(rows.edge_row, rows.edge_col, rows.log2_latency_sum, rows, strata)
    size = _dense(rows.edge_row, rows.edge_col, rows.log2_size_sum, rows, strata)
    for place, edge in enumerate(rows.edges):
        sent = sends[:, place]
        yield Column("sends", edge, sent, None, np.log1p(sent))
        failed = bad[:, place].astype(np.float64)
        yield Column("unanswered or failed", edge, failed, None, failed)
        answered = replies[:, place] > 0
        mean = np.divide(
            latency[:, place], replies[:, place], out=np.zeros_like(sent), where=answered
        )
        yield Column("latency", edge, mean, answered, mean)
        sized = (sent > 0) & (size[:, place] > 0)
        mean = np.divide(size[:, place], sent, out=np.zeros_like(sent), where=sized)
        yield Column("size", edge, mean, sized, mean)


def _of_tasks(
    rows: TaskRows, flagged: Marks, strata: Strata, expected: Collection[Edge]
) -> Iterator[Column]:
    used = strata.rows
    added = np.isin(rows.edge_col, [e for e, edge in enumerate(rows.edges) if edge in expected])
    extra = np.bincount(rows.edge_row[added], rows.sends[added], len(rows))
    messages = (rows.messages - extra)[used]
    yield Column("messages", None, messages, None, np.log1p(messages))
    counted: tuple[tuple[What, Figures], ...] = (
        ("longest chain", rows.max_hop),
        ("roles", rows.roles),
        ("fan-out", rows.fan_out),
        ("retries", rows.retries),
    )
    for what, values in counted:
        if what in _GROW_WITH_EDGES and expected:
            continue
        yield Column(what, None, values[used], None, np.log1p(values[used]))
    hurt = rows.edge_row[(rows.failed + rows.unanswered) > 0]
    marked: tuple[tuple[What, Marks], ...] = (
        ("failures", np.bincount(hurt, minlength=len(rows)) > 0),
        ("livelock", flagged),
        ("sends after the end", rows.late_sends > 0),
    )
    for what, marks in marked:
        share = marks[used].astype(np.float64)
        yield Column(what, None, share, None, share)


def _occurs(column: Column) -> int:
    return int(np.count_nonzero(column.raw if column.users is None else column.users))


def _dense(row: Indices, col: Indices, values: Figures, rows: TaskRows, strata: Strata) -> Figures:
    return _scatter(row, col, values, (len(rows), len(rows.edges)))[strata.rows]


def _scatter(row: Indices, col: Indices, values: Figures, shape: tuple[int, int]) -> Figures:
    dense = np.zeros(shape)
    dense[row, col] = values
    return dense
