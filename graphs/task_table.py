"""Sums over tasks, edge by edge and move by move: additive, so that any split gives the same.

Batches are reduced to short logs, one for each kind of figure; the logs are put together when
they have grown, and read as `TaskRows`. No Python code runs per record or per task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.graphs.columns import Columns, Edge
from rolewise.graphs.grouping import Ints, Keys, find, group
from rolewise.graphs.task_logs import (
    LOGS,
    NEVER,
    PAIR_SUMS,
    SECOND,
    BatchLogs,
    Log,
    fold,
    role_of_node,
)
from rolewise.graphs.task_rows import Move, RoleEdge, TaskRows, count_roles, in_order

LATE_S = 10
"""Sends so long after a task's end are late; what closes it may come a little after."""

TASKS_KEPT = 60_000
_LOG_ROWS = 1 << 20


class TaskTable:
    """The figures of the tasks of one collector.

    Args:
        kept: Tasks that are kept; those that were silent longest are forgotten first.
    """

    def __init__(self, *, kept: int = TASKS_KEPT) -> None:
        self._kept = kept
        self._edges: dict[Edge, int] = {}
        self._moves: dict[Move, int] = {}
        self._logs: dict[str, list[Log]] = {name: [] for name in LOGS}
        self._rows = dict.fromkeys(LOGS, 0)
        self._folded = dict.fromkeys(LOGS, 0)

    def add(self, columns: Columns, *, window: int) -> None:
        """Add a batch that arrived in a window of the collector's time."""
        batch = BatchLogs(columns, window)
        self._append("pairs", batch.pairs(self._numbers(columns.edges)))
        self._append("moves", batch.moves(self._move))
        self._append("invocations", batch.invocations())
        self._append("seconds", batch.seconds())
        self._append("tasks", batch.tasks())
        if self._rows["tasks"] > 2 * self._kept:
            self._forget()

    def merge(self, other: TaskTable) -> None:
        """Add another collector's figures."""
        edges = self._numbers(tuple(other._edges))
        moves = np.array([self._move(move) for move in other._moves], np.int64)
        for name in LOGS:
            log = other._log(name)
            if name in {"pairs", "moves"} and len(log):
                log = log.copy()
                log["of"] = (edges if name == "pairs" else moves)[log["of"]]
            self._append(name, log)

    def count_by_edge(
        self, seen_as: Callable[[Edge], Edge], *, since_window: int | None = None
    ) -> Mapping[Edge, int]:
        """Return how many tasks used each edge, in these windows or at all.

        Args:
            seen_as: Says which edges count as one.
            since_window: First of the windows.
        """
        log = self._log("pairs")
        used = log["sends"] > 0
        if since_window is not None:
            used &= log["window"] >= since_window
        log = log[used]
        names: dict[Edge, int] = {}
        number = np.array(
            [names.setdefault(seen_as(edge), len(names)) for edge in self._edges], np.int64
        )
        _, ix = group(np.ascontiguousarray(log["task"]))
        first, _ = group((ix * max(len(names), 1) + number[log["of"]]).astype(np.uint64))
        counts = np.bincount(number[log["of"][first]], minlength=len(names))
        return {edge: int(counts[place]) for edge, place in names.items()}

    def for_counts(self) -> TaskTable:
        """Return a copy that knows no more than `count_by_edge` needs."""
        smaller = TaskTable(kept=self._kept)
        smaller._edges = dict(self._edges)
        smaller._append("pairs", self._log("pairs"))
        return smaller

    def rows(self, partial: Keys | None = None) -> TaskRows:
        """Return the figures of all tasks; `partial` are the tasks that a loss may have touched."""
        logs = {name: self._log(name) for name in LOGS}
        keys = np.unique(logs["tasks"]["task"])
        n = len(keys)
        row = {name: find(np.ascontiguousarray(log["task"]), keys) for name, log in logs.items()}
        edges, edge_row, edge_col, pairs = self._role_pairs(row["pairs"])
        first, step = group(
            (row["moves"] * max(len(self._moves), 1) + logs["moves"]["of"]).astype(np.uint64)
        )
        hop, end = np.zeros(n, np.int64), np.full(n, NEVER, np.int64)
        np.maximum.at(hop, row["tasks"], logs["tasks"]["hop"])
        np.maximum.at(end, row["tasks"], logs["tasks"]["end"])
        ends = end[row["seconds"]]
        late = (ends != NEVER) & (logs["seconds"]["of"] > ends // SECOND + LATE_S)
        return in_order(
            TaskRows(
                task=keys,
                edges=edges,
                edge_row=edge_row.astype(np.int32),
                edge_col=edge_col.astype(np.int32),
                sends=pairs["sends"],
                failed=pairs["failed"],
                unanswered=np.maximum(pairs["unanswered"], 0.0),
                log2_latency_sum=pairs["log2_latency"],
                latency_count=pairs["latencies"],
                log2_size_sum=pairs["log2_size"],
                moves=tuple(self._moves),
                move_row=row["moves"][first].astype(np.int32),
                move_col=logs["moves"]["of"][first].astype(np.int32),
                move_count=_sum(step, logs["moves"]["count"], len(first)),
                messages=_sum(edge_row, pairs["sends"], n),
                max_hop=hop.astype(np.float64),
                roles=count_roles(n, edges, edge_row, edge_col),
                fan_out=_fan_out(logs["invocations"], row["invocations"], n),
                retries=_sum(row["tasks"], logs["tasks"]["retries"], n),
                late_sends=_sum(row["seconds"][late], logs["seconds"]["count"][late], n),
                partial=np.isin(keys, [] if partial is None else partial),
            )
        )

    def _role_pairs(
        self, row: Ints
    ) -> tuple[tuple[RoleEdge, ...], Ints, Ints, dict[str, npt.NDArray[np.float64]]]:
        """Put versions and arms of the edges together."""
        log = self._log("pairs")
        names: dict[RoleEdge, int] = {}
        col_of = np.array(
            [
                names.setdefault(
                    (role_of_node(edge.src), role_of_node(edge.dst), edge.kind), len(names)
                )
                for edge in self._edges
            ],
            np.int64,
        )
        col = col_of[log["of"]] if len(log) else np.zeros(0, np.int64)
        first, pair = group((row * max(len(names), 1) + col).astype(np.uint64))
        sums = {name: _sum(pair, log[name], len(first)) for name in PAIR_SUMS}
        return tuple(names), row[first], col[first], sums

    def _numbers(self, edges: tuple[Edge, ...]) -> Ints:
        known = self._edges
        return np.array([known.setdefault(edge, len(known)) for edge in edges], np.int64)

    def _move(self, move: Move) -> int:
        return self._moves.setdefault(move, len(self._moves))

    def _append(self, name: str, rows: Log) -> None:
        self._logs[name].append(rows)
        self._rows[name] += len(rows)
        if self._rows[name] > max(_LOG_ROWS, 2 * self._folded[name]):
            self._keep(name, fold(self._log(name)))
            self._folded[name] = self._rows[name]

    def _log(self, name: str) -> Log:
        """Return a log in one piece; keys may stand in it more than once."""
        log = self._logs[name]
        if len(log) != 1:
            self._keep(name, np.concatenate([np.zeros(0, LOGS[name]), *log]))
        return self._logs[name][0]

    def _keep(self, name: str, log: Log) -> None:
        self._logs[name], self._rows[name] = [log], len(log)

    def _forget(self) -> None:
        tasks = fold(self._log("tasks"))
        self._keep("tasks", tasks)
        if len(tasks) <= self._kept:
            return
        kept = np.sort(tasks["task"][np.argsort(tasks["window"], kind="stable")[-self._kept :]])
        for name in LOGS:
            log = self._log(name)
            self._keep(name, log[np.isin(log["task"], kept)])
            self._folded[name] = self._rows[name]


def _by_role(edge: Edge) -> RoleEdge:
    return role_of_node(edge.src), role_of_node(edge.dst), edge.kind


def _fan_out(log: Log, row: Ints, tasks: int) -> npt.NDArray[np.float64]:
    """Return the most that one invocation of each task has sent."""
    first, which = group(np.ascontiguousarray(log["of"]))
    most = np.zeros(tasks)
    np.maximum.at(most, row[first], _sum(which, log["count"], len(first)))
    return most


def _sum(of: Ints, figures: npt.NDArray[Any], count: int) -> npt.NDArray[np.float64]:
    return np.bincount(of, figures, count).astype(np.float64, copy=False)
