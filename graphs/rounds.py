"""One round of snapshots in columns: what the detector reads, and what travels.

A replica turns its own snapshot into columns, and rounds are put together end to end. So a fleet
with a hundred thousand invocations in flight is asked, joined and reduced without an object for
each of them. Rows are invocations, queued messages and locks; an edge is a row with the id of
something that it waits for, or, of a lock, of a holder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import chain

import numpy as np
import numpy.typing as npt

from rolewise.graphs.snapshots import ReplicaHead

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Sort(IntEnum):
    """What a row is; the last three are locks."""

    ACTIVE = 0
    WAITING = 1
    QUEUED = 2
    EXCLUSIVE = 3
    SHARED = 4
    SEMAPHORE = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """The snapshots of one round; a replica's rows stand together, in the order of `heads`.

    Attributes:
        heads: The replicas that answered.
        replica: Row -> place in `heads`.
        sort: Row -> `Sort`.
        id: Row -> message id, or lock id.
        epoch: Row -> how often its wait has changed.
        need: Row that waits -> how many of its edges must be met; semaphore -> its permits.
        ends: Row -> seconds until the wait ends by itself; NaN never, infinity at some time.
        since: Row -> seconds that it has waited or run so.
        arm: Row -> arm of its task.
        caller: Queued row -> the invocation that sent it.
        task: Row -> task; of a lock its name.
        kind: Row -> kind of the message.
        edge_row: Edge -> row, ascending. No edge stands twice.
        edge_id: Edge -> what the row waits for, or who holds the lock.
        edge_is_lock: Edge -> whether it leads to a lock.
        edge_to: Edge -> the replica that the message was sent to; empty where it is not known.
        pools: Queued row that may still go to several replicas -> their names.
        recent_replica: Message finished lately -> place of its replica in `heads`.
        recent_id: The same -> message id.
        recent_ending: The same -> `rolewise.graphs.snapshots.Ending`.
        blind: Replicas that were asked and did not answer.
    """

    heads: tuple[ReplicaHead, ...]
    replica: Ints
    sort: Ints
    id: Ids
    epoch: Ints
    need: Ints
    ends: Floats
    since: Floats
    arm: Ints
    caller: Ids
    task: tuple[str, ...]
    kind: tuple[str, ...]
    edge_row: Ints
    edge_id: Ids
    edge_is_lock: Bools
    edge_to: tuple[str, ...]
    pools: tuple[tuple[int, tuple[str, ...]], ...]
    recent_replica: Ints
    recent_id: Ids
    recent_ending: Ints
    blind: tuple[str, ...] = ()

    def only(self, replicas: Collection[str]) -> Round:
        """Return the part of these replicas."""
        kept = [place for place, head in enumerate(self.heads) if head.replica in replicas]
        blind = tuple(name for name in self.blind if name in replicas)
        return replace(self._part(kept), blind=blind)

    def ordered(self) -> Round:
        """Return it with the replicas in order of their names."""
        order = sorted(range(len(self.heads)), key=lambda place: self.heads[place].replica)
        if order == list(range(len(order))):
            return self
        return replace(self._part(order), blind=tuple(sorted(self.blind)))

    def _part(self, places: Sequence[int]) -> Round:
        """Return these replicas, in this order."""
        new_place = np.full(len(self.heads), -1, np.int64)
        new_place[list(places)] = np.arange(len(places))
        moved = new_place[self.replica]
        kept = np.flatnonzero(moved >= 0)
        rows = kept[np.argsort(moved[kept], kind="stable")]
        new_row = np.full(len(self.id), -1, np.int64)
        new_row[rows] = np.arange(len(rows))
        edge_moved = new_row[self.edge_row]
        edges = np.flatnonzero(edge_moved >= 0)
        edges = edges[np.argsort(edge_moved[edges], kind="stable")]
        recent = np.flatnonzero(new_place[self.recent_replica] >= 0)
        return Round(
            heads=tuple(self.heads[place] for place in places),
            replica=moved[rows],
            sort=self.sort[rows],
            id=self.id[rows],
            epoch=self.epoch[rows],
            need=self.need[rows],
            ends=self.ends[rows],
            since=self.since[rows],
            arm=self.arm[rows],
            caller=self.caller[rows],
            task=tuple(self.task[row] for row in rows.tolist()),
            kind=tuple(self.kind[row] for row in rows.tolist()),
            edge_row=edge_moved[edges],
            edge_id=self.edge_id[edges],
            edge_is_lock=self.edge_is_lock[edges],
            edge_to=tuple(self.edge_to[edge] for edge in edges.tolist()),
            pools=tuple(
                (int(new_row[row]), names) for row, names in self.pools if new_row[row] >= 0
            ),
            recent_replica=new_place[self.recent_replica[recent]],
            recent_id=self.recent_id[recent],
            recent_ending=self.recent_ending[recent],
        )


def join_rounds(parts: Iterable[Round], blind: Iterable[str] = ()) -> Round:
    """Put parts of one round together; `blind` names replicas that did not answer."""
    parts = list(parts)
    rows = _offsets(len(part.id) for part in parts)
    heads = _offsets(len(part.heads) for part in parts)

    def joined(column: str, shifts: Sequence[int] | None = None) -> npt.NDArray[np.generic]:
        columns = [getattr(part, column) for part in parts]
        if shifts is not None:
            columns = [values + shift for values, shift in zip(columns, shifts, strict=True)]
        return np.concatenate(columns) if columns else _EMPTY[column]

    def chained(column: str) -> tuple[str, ...]:
        return tuple(chain.from_iterable(getattr(part, column) for part in parts))

    numbers = {column: joined(column) for column in _PLAIN}
    numbers |= {column: joined(column, heads) for column in ("replica", "recent_replica")}
    numbers |= {"edge_row": joined("edge_row", rows)}
    return Round(
        heads=tuple(chain.from_iterable(part.heads for part in parts)),
        task=chained("task"),
        kind=chained("kind"),
        edge_to=chained("edge_to"),
        pools=tuple(
            (row + shift, names)
            for part, shift in zip(parts, rows, strict=True)
            for row, names in part.pools
        ),
        blind=(*chain.from_iterable(part.blind for part in parts), *blind),
        **numbers,  # type: ignore[arg-type]
    )


_PLAIN = (
    "sort",
    "id",
    "epoch",
    "need",
    "ends",
    "since",
    "arm",
    "caller",
    "edge_id",
    "edge_is_lock",
    "recent_id",
    "recent_ending",
)
_TYPES = {
    "id": np.uint64,
    "caller": np.uint64,
    "edge_id": np.uint64,
    "recent_id": np.uint64,
    "ends": np.float64,
    "since": np.float64,
    "edge_is_lock": np.bool_,
}
_EMPTY: dict[str, npt.NDArray[np.generic]] = {
    column: np.zeros(0, _TYPES.get(column, np.int64))
    for column in (*_PLAIN, "replica", "recent_replica", "edge_row")
}


def _offsets(lengths: Iterable[int]) -> list[int]:
    shifts, total = [], 0
    for length in lengths:
        shifts.append(total)
        total += length
    return shifts
