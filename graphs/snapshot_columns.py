"""Snapshots from the form for reading by hand to columns, and back."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields

import numpy as np

from rolewise.graphs.rounds import Round, Sort
from rolewise.graphs.snapshots import (
    Ending,
    Lock,
    LockMode,
    QueuedMessage,
    ReplicaHead,
    ReplicaSnapshot,
    RunningInvocation,
)

_HEAD_FIELDS = tuple(field.name for field in fields(ReplicaHead))
_SORT_OF_MODE: dict[LockMode, Sort] = {
    "exclusive": Sort.EXCLUSIVE,
    "shared": Sort.SHARED,
    "semaphore": Sort.SEMAPHORE,
}
_MODE_OF_SORT = {sort: mode for mode, sort in _SORT_OF_MODE.items()}
Edge = tuple[int, bool, str]


def read_round(snapshots: Iterable[ReplicaSnapshot], blind: Iterable[str] = ()) -> Round:
    """Return snapshots of one round in columns.

    What is awaited twice by one invocation counts once, and more needed than is awaited means all
    of it.
    """
    rows: list[tuple[int, Sort, int, int, int, float, float, int, int]] = []
    task: list[str] = []
    kind: list[str] = []
    edges: list[tuple[int, int, bool]] = []
    edge_to: list[str] = []
    pools: list[tuple[int, tuple[str, ...]]] = []
    recent: list[tuple[int, int, int]] = []
    heads = []
    for at, snapshot in enumerate(snapshots):
        heads.append(ReplicaHead(**{name: getattr(snapshot, name) for name in _HEAD_FIELDS}))
        for running in snapshot.running:
            waits, sort, need = _waits(running), Sort.ACTIVE, 0
            if running.state == "wait":
                sort, need = Sort.WAITING, min(running.need, len(waits))
            else:
                waits = {}
            edges += [(len(rows), one, is_lock) for one, is_lock in waits]
            edge_to += waits.values()
            ends = math.nan if running.deadline is None else running.deadline
            common = (running.id, running.epoch, need, ends, running.since, running.arm, 0)
            rows.append((at, sort, *common))
            task.append(running.task)
            kind.append(running.kind)
        for queued in snapshot.queue:
            if queued.pool:
                pools.append((len(rows), queued.pool))
            common = (queued.id, queued.epoch, 1, math.nan, queued.since, queued.arm, queued.caller)
            rows.append((at, Sort.QUEUED, *common))
            task.append(queued.task)
            kind.append(queued.kind)
        for lock in snapshot.locks:
            holders = dict.fromkeys(lock.holders)
            edges += [(len(rows), holder, False) for holder in holders]
            edge_to += [""] * len(holders)
            common = (lock.id, lock.epoch, lock.permits, math.nan, 0.0, 0, 0)
            rows.append((at, _SORT_OF_MODE[lock.mode], *common))
            task.append(lock.name)
            kind.append("")
        recent += [(at, id_, ending) for id_, ending in snapshot.recent]
    columns = list(zip(*rows, strict=True)) or [()] * 9
    edge_columns = list(zip(*edges, strict=True)) or [()] * 3
    recent_columns = list(zip(*recent, strict=True)) or [()] * 3
    return Round(
        heads=tuple(heads),
        replica=np.array(columns[0], np.int64),
        sort=np.array(columns[1], np.int64),
        id=np.array(columns[2], np.uint64),
        epoch=np.array(columns[3], np.int64),
        need=np.array(columns[4], np.int64),
        ends=np.array(columns[5], np.float64),
        since=np.array(columns[6], np.float64),
        arm=np.array(columns[7], np.int64),
        caller=np.array(columns[8], np.uint64),
        task=tuple(task),
        kind=tuple(kind),
        edge_row=np.array(edge_columns[0], np.int64),
        edge_id=np.array(edge_columns[1], np.uint64),
        edge_is_lock=np.array(edge_columns[2], np.bool_),
        edge_to=tuple(edge_to),
        pools=tuple(pools),
        recent_replica=np.array(recent_columns[0], np.int64),
        recent_id=np.array(recent_columns[1], np.uint64),
        recent_ending=np.array(recent_columns[2], np.int64),
        blind=tuple(blind),
    )


def read_snapshots(round_: Round) -> tuple[ReplicaSnapshot, ...]:
    """Return a round in the form for reading by hand, in its order."""
    parts: list[tuple[list[RunningInvocation], list[QueuedMessage], list[Lock]]]
    parts = [([], [], []) for _ in round_.heads]
    edges: dict[int, list[Edge]] = defaultdict(list)
    for row, one, is_lock, to in zip(
        round_.edge_row.tolist(),
        round_.edge_id.tolist(),
        round_.edge_is_lock.tolist(),
        round_.edge_to,
        strict=True,
    ):
        edges[row].append((one, is_lock, to))
    pools = dict(round_.pools)
    for row, (at, sort) in enumerate(
        zip(round_.replica.tolist(), round_.sort.tolist(), strict=True)
    ):
        running, queue, locks = parts[at]
        if sort in {Sort.ACTIVE, Sort.WAITING}:
            running.append(_running(round_, row, edges[row]))
        elif sort == Sort.QUEUED:
            queue.append(_queued(round_, row, pools.get(row, ())))
        else:
            locks.append(_lock(round_, row, edges[row]))
    recent: list[list[tuple[int, Ending]]] = [[] for _ in round_.heads]
    for at, id_, ending in zip(
        round_.recent_replica.tolist(),
        round_.recent_id.tolist(),
        round_.recent_ending.tolist(),
        strict=True,
    ):
        recent[at].append((id_, Ending(ending)))
    return tuple(
        ReplicaSnapshot(
            **{name: getattr(head, name) for name in _HEAD_FIELDS},
            running=tuple(running),
            queue=tuple(queue),
            locks=tuple(locks),
            recent=tuple(ended),
        )
        for head, (running, queue, locks), ended in zip(round_.heads, parts, recent, strict=True)
    )


def _waits(running: RunningInvocation) -> dict[tuple[int, bool], str]:
    """Return what an invocation waits for, each once, with the replica that it was sent to."""
    to = (*running.sent_to, *("" for _ in running.waits))
    waits = {(one, False): name for one, name in zip(running.waits, to, strict=False)}
    return waits | {(lock, True): "" for lock in running.locks}


def _running(round_: Round, row: int, edges: Sequence[Edge]) -> RunningInvocation:
    ends = float(round_.ends[row])
    sent_to = tuple(to for _, is_lock, to in edges if not is_lock)
    return RunningInvocation(
        id=int(round_.id[row]),
        epoch=int(round_.epoch[row]),
        task=round_.task[row],
        state="wait" if round_.sort[row] == Sort.WAITING else "active",
        waits=tuple(one for one, is_lock, _ in edges if not is_lock),
        locks=tuple(one for one, is_lock, _ in edges if is_lock),
        need=int(round_.need[row]),
        sent_to=sent_to if any(sent_to) else (),
        deadline=None if math.isnan(ends) else ends,
        since=float(round_.since[row]),
        arm=int(round_.arm[row]),
        kind=round_.kind[row],
    )


def _queued(round_: Round, row: int, pool: tuple[str, ...]) -> QueuedMessage:
    return QueuedMessage(
        id=int(round_.id[row]),
        epoch=int(round_.epoch[row]),
        task=round_.task[row],
        caller=int(round_.caller[row]),
        pool=pool,
        since=float(round_.since[row]),
        arm=int(round_.arm[row]),
        kind=round_.kind[row],
    )


def _lock(round_: Round, row: int, edges: Sequence[Edge]) -> Lock:
    return Lock(
        id=int(round_.id[row]),
        epoch=int(round_.epoch[row]),
        holders=tuple(holder for holder, _, _ in edges),
        mode=_MODE_OF_SORT[Sort(int(round_.sort[row]))],
        permits=int(round_.need[row]),
        name=round_.task[row],
    )
