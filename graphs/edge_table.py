"""Sums over the edges of the interaction graph, kept in columns, so that adding is array work.

`tally` turns a batch of records into a table; tables add up: `tally(a + b)` equals
`tally(a) + tally(b)` for any split. Windows, totals and merges are all made of that one fact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rolewise.graphs.interactions import Arm, Batch, Happening

Ints = npt.NDArray[np.int64]

LATENCY_BUCKETS = 80
"""Four buckets an octave, from 2^20 ns (1 ms) to 2^40 ns (18 min); the ends take the rest."""

_FIRST_BUCKET = 80  # 4 * log2(2^20 ns)
_HAPPENINGS = len(Happening)
_MIRRORED = 8  # bit 3 of `flags`
_SIDES = 8  # arm (2 bits) and mirrored (1 bit)
_DENSE_CELLS = 1 << 20
_DENSE_RECORDS = 1 << 14


class Edge(NamedTuple):
    """What tells one edge from another; nodes are `role@version`, '' is the outside."""

    src: str
    dst: str
    kind: str
    arm: Arm = Arm.NONE
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeSums:
    """All that is summed for one edge.

    Attributes:
        counts: Messages by `Happening`.
        size: Bytes of the messages sent.
        latency: Histogram of the time from sent to replied, see `LATENCY_BUCKETS`.
        last_ns: Latest time of a record, on its writer's clock.
    """

    counts: Ints
    size: int
    latency: Ints
    last_ns: int

    def plus(self, other: EdgeSums) -> EdgeSums:
        """Return the sums of both, as if they were one edge."""
        return EdgeSums(
            counts=self.counts + other.counts,
            size=self.size + other.size,
            latency=self.latency + other.latency,
            last_ns=max(self.last_ns, other.last_ns),
        )

    def count(self, happening: Happening) -> int:
        """Return how many messages this happened to."""
        return int(self.counts[happening])

    @property
    def failures(self) -> int:
        """Messages that failed or timed out."""
        return self.count(Happening.FAILED) + self.count(Happening.TIMED_OUT)

    def latency_ms(self, quantile: float) -> float | None:
        """Return a quantile of the time to the reply, within 9 %; None without a reply."""
        total = int(self.latency.sum())
        if total == 0:
            return None
        rank = max(1, int(np.ceil(quantile * total)))
        bucket = int(np.searchsorted(np.cumsum(self.latency), rank))
        return float(2.0 ** ((bucket + _FIRST_BUCKET + 0.5) / 4) / 1e6)


class EdgeTable:
    """Rows of sums, one an edge, that grow as edges appear."""

    __slots__ = ("_counts", "_last", "_latency", "_rows", "_size")

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self._rows: dict[Edge, int] = {edge: row for row, edge in enumerate(edges)}
        self._allocate(len(self._rows))

    def _allocate(self, rows: int) -> None:
        self._counts: Ints = np.zeros((rows, _HAPPENINGS), np.int64)
        self._size: Ints = np.zeros(rows, np.int64)
        self._latency: Ints = np.zeros((rows, LATENCY_BUCKETS), np.int64)
        self._last: Ints = np.full(rows, np.iinfo(np.int64).min, np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Edge]:
        return iter(self._rows)

    def sums(self, edge: Edge) -> EdgeSums:
        """Return the sums of one edge.

        Raises:
            KeyError: No record of this edge was added.
        """
        row = self._rows[edge]
        return EdgeSums(
            counts=self._counts[row].copy(),
            size=int(self._size[row]),
            latency=self._latency[row].copy(),
            last_ns=int(self._last[row]),
        )

    def add(self, other: EdgeTable) -> None:
        """Add the other table's sums to this one's."""
        # Adding by index is right because no edge stands twice in a table.
        rows = np.fromiter((self._row(edge) for edge in other._rows), np.intp, len(other))
        self._make_room()
        used = slice(len(other))
        self._counts[rows] += other._counts[used]
        self._size[rows] += other._size[used]
        self._latency[rows] += other._latency[used]
        self._last[rows] = np.maximum(self._last[rows], other._last[used])

    def _row(self, edge: Edge) -> int:
        return self._rows.setdefault(edge, len(self._rows))

    def _make_room(self) -> None:
        old = len(self._size)
        if len(self._rows) <= old:
            return
        counts, size, latency, last = self._counts, self._size, self._latency, self._last
        self._allocate(max(len(self._rows), 2 * old))
        self._counts[:old], self._size[:old] = counts, size
        self._latency[:old], self._last[:old] = latency, last

    def __getstate__(self) -> dict[str, Any]:
        # Nearly all of a window's histogram cells are zero: sparse, it pickles 10 times smaller.
        used = slice(len(self._rows))
        cells = self._latency[used].ravel()
        filled = np.flatnonzero(cells)
        return {
            "edges": [tuple(edge) for edge in self._rows],
            "counts": self._counts[used].copy(),
            "size": self._size[used].copy(),
            "last": self._last[used].copy(),
            "filled": filled,
            "latency": cells[filled],
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._rows = {Edge(*edge): row for row, edge in enumerate(state["edges"])}
        self._allocate(len(self._rows))
        self._counts[:], self._size[:], self._last[:] = (
            state["counts"],
            state["size"],
            state["last"],
        )
        self._latency.ravel()[state["filled"]] = state["latency"]


def tally(batch: Batch) -> EdgeTable:
    """Sum up a batch, edge by edge.

    Raises:
        ValueError: A record uses a node or a kind that the batch's tables do not name, or a
            happening or an arm that does not exist.

    Notes:
        No Python code runs per record. Fields are copied out of the records first, because
        strided columns are slow; one `bincount` over all possible edges does the counting when
        they are few and the batch is large, `unique` sorts the codes otherwise.
    """
    records = batch.records
    if len(records) == 0:
        return EdgeTable()
    nodes, src, dst = _canonical(batch.nodes, "node", records["src"], records["dst"])
    kinds, kind = _canonical(batch.kinds, "kind", records["kind"])
    happening = records["ev"].astype(np.int64)
    if happening.max() >= _HAPPENINGS or records["arm"].max() > max(Arm):
        raise ValueError("batch holds a record with an unknown happening or arm")
    side = (records["arm"] & 3) | ((records["flags"] & _MIRRORED) >> 1)

    shape = (len(nodes), len(nodes), len(kinds), _SIDES)
    code = ((src * shape[1] + dst) * shape[2] + kind) * shape[3] + side
    used, row, counts = _count(code, happening, int(np.prod(shape)))

    columns = np.unravel_index(used, shape)
    table = EdgeTable(
        Edge(nodes[s], nodes[d], kinds[k], Arm(a & 3), bool(a & 4))
        for s, d, k, a in zip(*(column.tolist() for column in columns), strict=True)
    )
    table._counts[:] = counts  # noqa: SLF001
    sent = happening == Happening.SENT
    # Weights are float64: exact below 2^53 bytes an edge and batch.
    table._size[:] = np.bincount(row[sent], records["size"][sent], len(used))  # noqa: SLF001
    replied = happening == Happening.REPLIED
    cell = row[replied] * LATENCY_BUCKETS + latency_bucket(records["dur"][replied])
    histogram = np.bincount(cell, minlength=len(used) * LATENCY_BUCKETS)
    table._latency[:] = histogram.reshape(-1, LATENCY_BUCKETS)  # noqa: SLF001
    # In order of time the last write to a row is its latest; `maximum.at` is slower.
    by_time = np.argsort(records["t"], kind="stable")
    table._last[row[by_time]] = records["t"][by_time]  # noqa: SLF001
    return table


def latency_bucket(nanoseconds: npt.NDArray[np.uint64]) -> Ints:
    """Return the histogram bucket of each duration."""
    octaves = np.log2(np.maximum(nanoseconds, 1).astype(np.float64))
    bucket = np.floor(4 * octaves).astype(np.int64) - _FIRST_BUCKET
    clipped: Ints = np.clip(bucket, 0, LATENCY_BUCKETS - 1)
    return clipped


def _canonical(
    names: Mapping[int, str], what: str, *columns: npt.NDArray[np.uint16]
) -> tuple[Any, ...]:
    """Renumber columns of interned names densely; two numbers of one name become one."""
    highest = max(int(column.max()) for column in columns)
    lookup = np.full(highest + 1, -1, np.int64)
    places: dict[str, int] = {}
    for number, name in {0: "", **names}.items():
        if number <= highest:
            lookup[number] = places.setdefault(name, len(places))
    renumbered = [lookup[column] for column in columns]
    for before, after in zip(columns, renumbered, strict=True):
        if after.min() < 0:
            number = int(before[after.argmin()])
            raise ValueError(f"batch uses {what} {number}, which its table does not name")
    return (list(places), *renumbered)


def _count(code: Ints, happening: Ints, cells: int) -> tuple[Ints, Ints, Ints]:
    """Return the codes that occur, each record's row among them, and the counts by happening."""
    if cells * _HAPPENINGS <= _DENSE_CELLS and len(code) >= _DENSE_RECORDS:
        counts = np.bincount(code * _HAPPENINGS + happening, minlength=cells * _HAPPENINGS)
        counts = counts.reshape(cells, _HAPPENINGS)
        used = np.flatnonzero(counts.any(axis=1))
        row_of_code = np.empty(cells, np.int64)
        row_of_code[used] = np.arange(len(used))
        return used, row_of_code[code], counts[used]
    used, row = np.unique(code, return_inverse=True)
    counts = np.bincount(row * _HAPPENINGS + happening, minlength=len(used) * _HAPPENINGS)
    return used, row, counts.reshape(-1, _HAPPENINGS)
