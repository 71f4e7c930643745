"""Sums over the edges of the interaction graph, kept in columns, so that adding is array work.

`tally` turns a batch of records into a table; tables add up: `tally(a + b)` equals
`tally(a) + tally(b)` for any split. Windows, totals and merges are all made of that one fact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rolewise.graphs.columns import AWAITED, HAPPENINGS, Columns, Edge, in_columns
from rolewise.graphs.grouping import Ints
from rolewise.graphs.interactions import Batch, Happening

__all__ = ["LATENCY_BUCKETS", "Edge", "EdgeSums", "EdgeTable", "latency_bucket", "tally"]

LATENCY_BUCKETS = 80
"""Four buckets an octave, from 2^20 ns (1 ms) to 2^40 ns (18 min); the ends take the rest."""

_LOWER, _HALF = np.uint64(0xFFFF_FFFF), np.uint64(32)
_FIRST_BUCKET = 80  # 4 * log2(2^20 ns)
_INT = np.iinfo(np.int64)
_ADDED = (
    *("counts", "size", "squares", "latency", "latency_ns", "queue", "queue_ns", "unanswered"),
)
_ENDS = slice(Happening.REPLIED, Happening.CANCELLED + 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeSums:
    """All that is summed for one edge.

    Attributes:
        counts: Messages by `Happening`.
        size: Bytes of the messages sent.
        size_squared: Sum of the squares of their bytes, exact.
        latency: Histogram of the time from sent to replied, see `LATENCY_BUCKETS`.
        latency_ns: Sum of the same.
        queue: Histogram of the time that messages waited for a slot, in the same buckets.
        queue_ns: Sum of the same.
        first_ns: Earliest time of a record, on its writer's clock.
        last_ns: Latest time of a record, on its writer's clock.
        max_hop: Longest chain of parents; 255 and more are 255.
        unanswered: Requests sent that somebody waits for, less those that ended in any way:
            they are under way, or whoever waited is gone. (Negative when the sending was lost.)
        errors: Failures and timeouts by their code.
    """

    counts: Ints
    size: int
    size_squared: int
    latency: Ints
    latency_ns: int
    queue: Ints
    queue_ns: int
    first_ns: int
    last_ns: int
    max_hop: int
    unanswered: int
    errors: Mapping[str, int]

    def plus(self, other: EdgeSums) -> EdgeSums:
        """Return the sums of both, as if they were one edge."""
        return EdgeSums(
            counts=self.counts + other.counts,
            size=self.size + other.size,
            size_squared=self.size_squared + other.size_squared,
            latency=self.latency + other.latency,
            latency_ns=self.latency_ns + other.latency_ns,
            queue=self.queue + other.queue,
            queue_ns=self.queue_ns + other.queue_ns,
            first_ns=min(self.first_ns, other.first_ns),
            last_ns=max(self.last_ns, other.last_ns),
            max_hop=max(self.max_hop, other.max_hop),
            unanswered=self.unanswered + other.unanswered,
            errors=Counter(self.errors) + Counter(other.errors),
        )

    def count(self, happening: Happening) -> int:
        """Return how many messages this happened to."""
        return int(self.counts[happening])

    @property
    def failures(self) -> int:
        """Messages that failed or timed out."""
        return self.count(Happening.FAILED) + self.count(Happening.TIMED_OUT)

    @property
    def busy_ns(self) -> int:
        """Time that replied messages spent with whoever was asked, there and back counted.

        From sent to replied, less the mean time in the queue: each is a difference on one clock.
        """
        started = self.count(Happening.STARTED)
        waited = self.queue_ns * self.count(Happening.REPLIED) // started if started else 0
        return max(0, self.latency_ns - waited)

    @property
    def size_deviation(self) -> float:
        """Standard deviation of the messages' bytes."""
        sent = self.count(Happening.SENT)
        return sqrt(max(0, sent * self.size_squared - self.size**2)) / sent if sent else 0.0

    def latency_ms(self, quantile: float) -> float | None:
        """Return a quantile of the time to the reply, within 9 %; None without a reply."""
        return quantile_ms(self.latency, quantile)


def quantile_ms(histogram: Ints, quantile: float) -> float | None:
    """Return a quantile of a histogram of durations, within 9 %; None where it is empty."""
    total = int(histogram.sum())
    if total == 0:
        return None
    rank = max(1, int(np.ceil(quantile * total)))
    bucket = int(np.searchsorted(np.cumsum(histogram), rank))
    return float(2.0 ** ((bucket + _FIRST_BUCKET + 0.5) / 4) / 1e6)


class EdgeTable:
    """Rows of sums, one an edge, that grow as edges appear."""

    __slots__ = ("_errors", "_rows", "_sums")

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self._rows: dict[Edge, int] = {edge: row for row, edge in enumerate(edges)}
        self._sums = _Sums.of(len(self._rows))
        self._errors: dict[Edge, Counter[str]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Edge]:
        return iter(self._rows)

    def sums(self, edge: Edge) -> EdgeSums:
        """Return the sums of one edge.

        Raises:
            KeyError: No record of this edge was added.
        """
        row, sums = self._rows[edge], self._sums
        return EdgeSums(
            counts=sums.counts[row].copy(),
            size=int(sums.size[row]),
            size_squared=int(sums.squares[row, 0]) + (int(sums.squares[row, 1]) << 32),
            latency=sums.latency[row].copy(),
            latency_ns=int(sums.latency_ns[row]),
            queue=sums.queue[row].copy(),
            queue_ns=int(sums.queue_ns[row]),
            first_ns=int(sums.first[row]),
            last_ns=int(sums.last[row]),
            max_hop=int(sums.hop[row]),
            unanswered=int(sums.unanswered[row]),
            errors=Counter(self._errors.get(edge, {})),
        )

    def add(self, other: EdgeTable) -> None:
        """Add the other table's sums to this one's."""
        # Adding by index is right because no edge stands twice in a table.
        rows = np.fromiter((self._row(edge) for edge in other._rows), np.intp, len(other))
        if len(self._rows) > len(self._sums.size):
            self._sums = self._sums.with_room(max(len(self._rows), 2 * len(self._sums.size)))
        self._sums.add(rows, other._sums)
        for edge, errors in other._errors.items():
            self._errors.setdefault(edge, Counter()).update(errors)

    def _row(self, edge: Edge) -> int:
        return self._rows.setdefault(edge, len(self._rows))

    def __getstate__(self) -> dict[str, Any]:
        # Nearly all of a window's histogram cells are zero: sparse, it pickles 10 times smaller.
        sums = self._sums.cut(len(self._rows))
        cells = np.stack([sums.latency, sums.queue]).ravel()
        filled = np.flatnonzero(cells)
        return {
            "edges": [tuple(edge) for edge in self._rows],
            "errors": [(tuple(edge), dict(errors)) for edge, errors in self._errors.items()],
            "sums": replace(sums, latency=sums.latency[:0], queue=sums.queue[:0]),
            "filled": filled,
            "cells": cells[filled],
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._rows = {Edge(*edge): row for row, edge in enumerate(state["edges"])}
        self._errors = {Edge(*edge): Counter(errors) for edge, errors in state["errors"]}
        cells = np.zeros((2, len(self._rows), LATENCY_BUCKETS), np.int64)
        cells.ravel()[state["filled"]] = state["cells"]
        self._sums = replace(state["sums"], latency=cells[0], queue=cells[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sums:
    """The columns of a table; there may be more rows than edges."""

    counts: Ints
    size: Ints
    squares: Ints  # of sizes: the lower 32 bits of each, and what is above, each summed up
    latency: Ints
    latency_ns: Ints
    queue: Ints
    queue_ns: Ints
    first: Ints
    last: Ints
    hop: Ints
    unanswered: Ints

    @classmethod
    def of(cls, rows: int) -> _Sums:
        return cls(
            counts=np.zeros((rows, HAPPENINGS), np.int64),
            size=np.zeros(rows, np.int64),
            squares=np.zeros((rows, 2), np.int64),
            latency=np.zeros((rows, LATENCY_BUCKETS), np.int64),
            latency_ns=np.zeros(rows, np.int64),
            queue=np.zeros((rows, LATENCY_BUCKETS), np.int64),
            queue_ns=np.zeros(rows, np.int64),
            first=np.full(rows, _INT.max, np.int64),
            last=np.full(rows, _INT.min, np.int64),
            hop=np.zeros(rows, np.int64),
            unanswered=np.zeros(rows, np.int64),
        )

    def columns(self) -> Iterator[Ints]:
        return (getattr(self, column.name) for column in fields(self))

    def with_room(self, rows: int) -> _Sums:
        larger = _Sums.of(rows)
        for new, old in zip(larger.columns(), self.columns(), strict=True):
            new[: len(old)] = old
        return larger

    def cut(self, rows: int) -> _Sums:
        return _Sums(**{c.name: getattr(self, c.name)[:rows].copy() for c in fields(self)})

    def add(self, rows: npt.NDArray[np.intp], other: _Sums) -> None:
        theirs = other.cut(len(rows))
        for name in _ADDED:
            getattr(self, name)[rows] += getattr(theirs, name)
        self.first[rows] = np.minimum(self.first[rows], theirs.first)
        self.last[rows] = np.maximum(self.last[rows], theirs.last)
        self.hop[rows] = np.maximum(self.hop[rows], theirs.hop)


def tally(batch: Batch) -> EdgeTable:
    """Sum up a batch, edge by edge; see `in_columns` for what is refused."""
    return tally_columns(in_columns(batch))


def tally_columns(columns: Columns) -> EdgeTable:
    """Sum up a batch that is in columns already."""
    records, row = columns.records, columns.row
    table = EdgeTable(columns.edges)
    edges, sums = len(table), table._sums  # noqa: SLF001
    sums.counts[:] = columns.counts
    sent = columns.sent
    # Weights are float64: exact below 2^53 bytes (or ns) an edge and batch.
    sent_on, size = row[sent], records["size"][sent]
    sums.size[:] = np.bincount(sent_on, size, edges)
    squares = size.astype(np.uint64) ** 2
    sums.squares[:, 0] = np.bincount(sent_on, squares & _LOWER, edges)
    sums.squares[:, 1] = np.bincount(sent_on, squares >> _HALF, edges)
    awaited = (columns.flags & AWAITED) > 0
    of_awaited = columns.counts
    if not awaited.all():
        code = row[awaited] * HAPPENINGS + columns.happening[awaited]
        of_awaited = np.bincount(code, minlength=edges * HAPPENINGS).reshape(-1, HAPPENINGS)
    sums.unanswered[:] = of_awaited[:, Happening.SENT] - of_awaited[:, _ENDS].sum(axis=1)
    sums.latency[:] = _histogram(row[columns.replied], columns.took_log2, edges)
    took = records["dur"][columns.replied]
    sums.latency_ns[:] = np.bincount(row[columns.replied], took, edges)
    started = columns.where(Happening.STARTED)
    waited = records["dur"][started]
    sums.queue[:] = _histogram(row[started], _log2(waited), edges)
    sums.queue_ns[:] = np.bincount(row[started], waited, edges)
    time = np.ascontiguousarray(records["t"])
    np.minimum.at(sums.first, row, time)
    np.maximum.at(sums.last, row, time)
    np.maximum.at(sums.hop, row, records["hop"].astype(np.int64))
    _count_errors(table, columns)
    return table


def _count_errors(table: EdgeTable, columns: Columns) -> None:
    if not columns.counts[:, [Happening.FAILED, Happening.TIMED_OUT]].any():
        return
    failed = columns.where(Happening.FAILED, Happening.TIMED_OUT)
    kinds = len(columns.kinds)
    codes, counts = np.unique(columns.row[failed] * kinds + columns.aux[failed], return_counts=True)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        edge, name = columns.edges[code // kinds], columns.kinds[code % kinds]
        table._errors.setdefault(edge, Counter())[name] += count  # noqa: SLF001


def latency_bucket(nanoseconds: npt.NDArray[np.uint64]) -> Ints:
    """Return the histogram bucket of each duration."""
    return _bucket(_log2(nanoseconds))


def _histogram(row: Ints, octaves: npt.NDArray[np.float64], edges: int) -> Ints:
    cell = row * LATENCY_BUCKETS + _bucket(octaves)
    histogram = np.bincount(cell, minlength=edges * LATENCY_BUCKETS)
    return histogram.reshape(-1, LATENCY_BUCKETS)


def _log2(nanoseconds: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    octaves: npt.NDArray[np.float64] = np.log2(np.maximum(nanoseconds, 1).astype(np.float64))
    return octaves


def _bucket(octaves: npt.NDArray[np.float64]) -> Ints:
    bucket = np.floor(4 * octaves).astype(np.int64) - _FIRST_BUCKET
    clipped: Ints = np.clip(bucket, 0, LATENCY_BUCKETS - 1)
    return clipped
