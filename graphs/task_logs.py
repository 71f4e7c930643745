"""Reducing a batch to short logs of what its tasks did, and putting logs together.

A log is an array with a key, (task, of), and figures that add up or of which the largest counts;
so a key may stand in it many times, and logs are merged by writing one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.graphs.columns import ATTEMPT, AWAITED, MIRRORED, Columns
from rolewise.graphs.grouping import Ints, group
from rolewise.graphs.interactions import Happening
from rolewise.graphs.task_rows import REPLY, Move

Log = npt.NDArray[np.void]

SECOND = 1_000_000_000
NEVER = np.iinfo(np.int64).min
_ENDS = (Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT, Happening.CANCELLED)
PAIR_SUMS = ("sends", "failed", "unanswered", "log2_latency", "latencies", "log2_size")
LOGS = {
    "pairs": np.dtype(
        [("task", "u8"), ("of", "i8"), ("window", "i8"), *((name, "f8") for name in PAIR_SUMS)]
    ),
    "moves": np.dtype([("task", "u8"), ("of", "i8"), ("count", "f8")]),
    "invocations": np.dtype([("task", "u8"), ("of", "u8"), ("count", "f8")]),
    "seconds": np.dtype([("task", "u8"), ("of", "i8"), ("count", "f8")]),
    "tasks": np.dtype(
        [
            ("task", "u8"),
            ("of", "i8"),
            ("hop", "i8"),
            ("end", "i8"),
            ("window", "i8"),
            ("retries", "f8"),
        ]
    ),
}
"""Each log's columns; (task, of) is its key. `of` is an edge, a move, an invocation, a second of
the writer's clock in which the task sent, and nothing. `hop`, `window` and `end` are the largest
(a task that was tried again ends the last time), all others add up."""
_LARGEST = ("hop", "window", "end")


class BatchLogs:
    """One batch, to be reduced to logs. Mirrored messages are left out.

    Args:
        columns: The batch.
        window: The one of the collector's time in which it came.
    """

    def __init__(self, columns: Columns, window: int) -> None:
        live = np.flatnonzero((columns.flags & MIRRORED) == 0)
        self._whole = len(live) == len(columns.flags)
        self._columns = columns
        self._live = live
        self._window = window
        self._keys, self._ix = columns.tasks, columns.task
        if not self._whole:
            heads, self._ix = group(columns.tasks[columns.task[live]])
            self._keys = columns.tasks[columns.task[live[heads]]]
        self._happening = self._pick(columns.happening)
        self._flags = self._pick(columns.flags)
        self._sent, self._replied, self._took = columns.sent, columns.replied, columns.took_log2
        if not self._whole:
            self._sent = np.flatnonzero(self._happening == Happening.SENT)
            self._replied = np.flatnonzero(self._happening == Happening.REPLIED)
            self._took = self._took[(columns.flags[columns.replied] & MIRRORED) == 0]

    def _pick(self, column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return column if self._whole else column[self._live]

    def _field(self, name: str, places: Ints) -> Any:
        return self._columns.records[name][places if self._whole else self._live[places]]

    def pairs(self, number: Ints) -> Log:
        """Return the figures of tasks on edges; `number` says by which number an edge goes."""
        row = self._pick(self._columns.row)
        span = max(len(number), 1)
        first, pair = group(self._ix * span + row, below=len(self._keys) * span)
        happening, n = self._happening, len(first)
        log = np.zeros(n, LOGS["pairs"])
        log["task"], log["of"] = self._keys[self._ix[first]], number[row[first]]
        log["window"] = self._window
        log["sends"] = np.bincount(pair[self._sent], minlength=n)
        failed = (happening == Happening.FAILED) | (happening == Happening.TIMED_OUT)
        log["failed"] = np.bincount(pair[failed], minlength=n)
        awaited = (self._flags & AWAITED) > 0
        ended = np.flatnonzero((happening >= _ENDS[0]) & (happening <= _ENDS[-1]) & awaited)
        opened = self._sent[awaited[self._sent]]
        log["unanswered"] = np.bincount(pair[opened], minlength=n)
        log["unanswered"] -= np.bincount(pair[ended], minlength=n)
        replied = pair[self._replied]
        log["log2_latency"] = np.bincount(replied, self._took, n)
        log["latencies"] = np.bincount(replied, minlength=n)
        size = np.log2(np.maximum(self._field("size", self._sent), 1).astype(np.float64))
        log["log2_size"] = np.bincount(pair[self._sent], size, n)
        return log

    def moves(self, number: Callable[[Move], int]) -> Log:
        """Return what invocations did next; `number` gives a move its number."""
        columns, happening = self._columns, self._happening
        roles: dict[str, int] = {}
        role_of = np.array(
            [roles.setdefault(role_of_node(node), len(roles)) for node in columns.nodes], np.int64
        )
        names = [*columns.kinds, "replied", "failed"]
        kinds, away = len(names), len(roles)
        answered = np.flatnonzero(
            (happening == Happening.REPLIED) | (happening == Happening.FAILED)
        )
        sent = self._sent
        src, dst = role_of[self._pick(columns.src)], role_of[self._pick(columns.dst)]
        kind, aux = self._pick(columns.kind), self._pick(columns.aux)
        unnamed = len(columns.kinds) + (happening[answered] == Happening.FAILED)
        how = np.where(aux[answered] > 0, aux[answered], unnamed)
        code = np.concatenate(
            [
                ((src[sent] * kinds + aux[sent]) * (away + 1) + dst[sent]) * kinds + kind[sent],
                ((dst[answered] * kinds + kind[answered]) * (away + 1) + away) * kinds + how,
            ]
        )
        # What comes from outside is nobody's behaviour.
        inside = np.concatenate([src[sent], dst[answered]]) != roles.get("", -1)
        ix = self._ix[np.concatenate([sent, answered])][inside]
        code = code[inside]
        # Nearly all moves of a task differ, so they are not counted here but with the whole log.
        log = np.zeros(len(code), LOGS["moves"])
        log["task"], log["count"] = self._keys[ix], 1.0
        shape = (away, kinds, away + 1, kinds)
        heads, place = group(code, below=prod(shape))
        used = code[heads]
        role_names = [*roles, REPLY]
        known = [
            number((role_names[r], names[state], role_names[d], names[k]))
            for r, state, d, k in zip(
                *(part.tolist() for part in np.unravel_index(used, shape)), strict=True
            )
        ]
        log["of"] = np.array(known, np.int64)[place]
        return log

    def invocations(self) -> Log:
        """Return how much each invocation sent."""
        parents = self._field("inv", self._sent)
        inside = np.flatnonzero(parents)
        first, which = group(parents[inside])
        log = np.zeros(len(first), LOGS["invocations"])
        log["task"] = self._keys[self._ix[self._sent[inside[first]]]]
        log["of"] = parents[inside[first]]
        log["count"] = np.bincount(which, minlength=len(first))
        return log

    def seconds(self) -> Log:
        """Return when the tasks sent."""
        second = self._field("t", self._sent) // SECOND
        ix = self._ix[self._sent]
        least = second.min() if len(second) else 0
        span = int(second.max() - least) + 1 if len(second) else 1
        first, which = group(ix * span + (second - least), below=len(self._keys) * span)
        log = np.zeros(len(first), LOGS["seconds"])
        log["task"], log["of"] = self._keys[ix[first]], second[first]
        log["count"] = np.bincount(which, minlength=len(first))
        return log

    def tasks(self) -> Log:
        """Return what is known of tasks as a whole."""
        n = len(self._keys)
        log = np.zeros(n, LOGS["tasks"])
        log["task"], log["window"] = self._keys, self._window
        ix = self._ix[self._sent]
        hop = np.zeros(n, np.int64)
        np.maximum.at(hop, ix, self._field("hop", self._sent).astype(np.int64))
        log["hop"] = hop
        log["retries"] = np.bincount(ix, self._flags[self._sent] >> ATTEMPT > 0, n)
        outside = self._columns.nodes.index("")
        happening = self._happening
        ended = np.flatnonzero(
            (self._pick(self._columns.src) == outside)
            & (happening >= _ENDS[0])
            & (happening <= _ENDS[-1])
        )
        end = np.full(n, NEVER, np.int64)
        np.maximum.at(end, self._ix[ended], self._field("t", ended))
        log["end"] = end
        return log


def fold(log: Log) -> Log:
    """Put rows of one key together."""
    _, ix = group(np.ascontiguousarray(log["task"]))
    of = np.ascontiguousarray(log["of"])
    if of.dtype.kind == "u":  # ids: any number may occur, so they are numbered too
        of = group(of)[1]
    least, most = int(of.min(initial=0)), int(of.max(initial=0))
    first, which = group((ix * (most - least + 1) + (of - least)).astype(np.uint64))
    if len(first) == len(log):
        return log
    folded = log[first]
    for name in log.dtype.names or ():
        if name in {"task", "of"}:
            continue
        if name in _LARGEST:
            np.maximum.at(folded[name], which, log[name])
        else:
            folded[name] = np.bincount(which, log[name], len(first))
    return folded


def role_of_node(node: str) -> str:
    """Return the role of a node `role@version`."""
    return node.partition("@")[0]
