"""What closed tasks did, one row a task, in columns: the input of every comparison of patterns.

Everything is in the role view: versions are left out, so that tasks of both arms have the same
columns. Arms, strata and flags stand beside the rows, in arrays of the same length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int32]
Figures = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskRows:
    """Closed tasks.

    Attributes:
        task: Key of each task; its place here is its row.
        edge_row: Row of each (task, edge) pair that occurred; sparse, no pair stands twice.
        edge_col: Its edge, an index of `edges`.
        sends: Messages that the task sent over the edge.
        failed: Of these, failed or timed out.
        unanswered: Of these, awaited and without any end when the task was closed.
        log2_latency_sum: Sum of log2 of the nanoseconds to each reply.
        latency_count: Replies in that sum.
        log2_size_sum: Sum of log2 of the bytes of each message, 0 where not known.
        edges: (role that sends, role that gets, kind) of each edge; '' is the outside.
        move_row: Row of each (task, move) pair that occurred; sparse.
        move_col: Its move, an index of `moves`.
        move_count: How often the task made it.
        moves: (role, kind that the invocation received last, role that it then sends to or
            "reply", kind that it sends) of each move.
        messages: Messages of each task.
        max_hop: Longest chain of parents.
        roles: Distinct roles that took part.
        fan_out: Most messages that one invocation sent.
        retries: Messages that were sent again.
        late_sends: Messages sent well after the task's end.
        partial: Some telemetry of the task is missing.
    """

    task: Keys
    edge_row: Indices
    edge_col: Indices
    sends: Figures
    failed: Figures
    unanswered: Figures
    log2_latency_sum: Figures
    latency_count: Figures
    log2_size_sum: Figures
    edges: tuple[tuple[str, str, str], ...]
    move_row: Indices
    move_col: Indices
    move_count: Figures
    moves: tuple[tuple[str, str, str, str], ...]
    messages: Figures
    max_hop: Figures
    roles: Figures
    fan_out: Figures
    retries: Figures
    late_sends: Figures
    partial: Marks

    def __len__(self) -> int:
        return len(self.task)
