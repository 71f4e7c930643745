"""Who waits for whom: snapshots of replicas become one AND/OR graph of waits.

A node goes on once `need` of the nodes that it waits for have gone on. Nodes are

- an invocation that holds a slot: needs as many replies as it says; none while it computes or
  awaits something outside the fleet;
- a message in a queue: needs its replica's slots;
- the slots of one replica (a pool): needs one of the invocations that hold them, or nothing
  while a slot is free. One node for a pool keeps the graph small.

A request and the invocation that handles it have the same id, so that they are one node. What is
not known counts as going on: a message seen nowhere (in transit, lost, or answered meanwhile)
is taken off what its asker needs. So every node that is stuck is stuck by waits that were seen.

Two rounds confirm. The second begins after the last answer of the first; a wait that is in both
with the same epoch stood all the time between, and all these intervals have a common instant. At
that instant all confirmed waits stood together: what is stuck among them was a true deadlock,
though every replica was asked at another time and no clocks were compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rolewise.graphs.snapshots import QueuedMessage, ReplicaSnapshot, RunningInvocation

Ints = npt.NDArray[np.int64]
Entry = RunningInvocation | QueuedMessage
Owner = tuple[ReplicaSnapshot, Entry | None]


@dataclass(frozen=True, slots=True, eq=False)
class WaitForGraph:
    """Waits in columns; `owners` tells what each node is.

    Attributes:
        owners: Each node's replica and, unless it is the replica's pool, invocation or message.
        src: Edges: the node that waits ...
        dst: ... and the one that it waits for. No edge stands twice.
        need: How many of its edges' ends must go on before a node does.
        need_hard: The same if a wait with a deadline goes on by itself.
    """

    owners: Sequence[Owner]
    src: Ints
    dst: Ints
    need: Ints
    need_hard: Ints


def build_wait_for(
    first: Sequence[ReplicaSnapshot] | None, second: Sequence[ReplicaSnapshot]
) -> WaitForGraph:
    """Build the graph of the second round's waits, those confirmed by the first.

    Args:
        first: The round before; with None every wait of `second` counts, and what is stuck may
            be an illusion of replicas asked at different times.
        second: The latest round, begun after the first had ended.
    """
    confirmed = _confirmation(first)
    seen = Counter(entry.id for snapshot in second for entry in _entries(snapshot))
    node_by_id: dict[int, int] = {}
    owners: list[Owner] = []
    for snapshot in second:
        owners.append((snapshot, None))
        for entry in _entries(snapshot):
            if seen[entry.id] == 1:  # Seen twice: which of them answers is not known.
                node_by_id[entry.id] = len(owners)
            owners.append((snapshot, entry))

    src: list[int] = []
    dst: list[int] = []
    need: list[int] = []
    need_hard: list[int] = []
    targets: Sequence[int]
    pool = 0
    for node, (snapshot, owned) in enumerate(owners):
        match owned:
            case None:
                pool = node
                full = len(snapshot.running) >= max(snapshot.slots, 1)
                holders = range(node + 1, node + 1 + len(snapshot.running))
                targets, needed, ends = holders, int(full), False
            case QueuedMessage():
                targets, needed, ends = range(pool, pool + 1), 1, False
            case RunningInvocation():
                targets, needed = _replies(owned, node_by_id)
                ends = owned.deadline is not None
        if needed <= 0 or not confirmed(snapshot, owned):
            needed = 0
        else:
            src += [node] * len(targets)
            dst += targets
        need.append(needed)
        need_hard.append(0 if ends else needed)
    return WaitForGraph(
        owners=owners,
        src=np.array(src, np.int64),
        dst=np.array(dst, np.int64),
        need=np.array(need, np.int64),
        need_hard=np.array(need_hard, np.int64),
    )


def _entries(snapshot: ReplicaSnapshot) -> tuple[Entry, ...]:
    return (*snapshot.running, *snapshot.queue)


def _replies(invocation: RunningInvocation, node_by_id: dict[int, int]) -> tuple[list[int], int]:
    """Return the nodes that an invocation waits for, and how many of them it needs."""
    if invocation.state == "active":
        return [], 0
    waits = dict.fromkeys(invocation.waits)
    known = [node_by_id[wait] for wait in waits if wait in node_by_id]
    unknown = len(waits) - len(known)
    return known, min(invocation.need, len(waits)) - unknown


def _confirmation(
    first: Sequence[ReplicaSnapshot] | None,
) -> Callable[[ReplicaSnapshot, Entry | None], bool]:
    """Return the test whether a wait, or for None the replica's pool, stood in the first round."""
    if first is None:
        return lambda _snapshot, _entry: True
    pools = {(snapshot.replica, snapshot.capacity_epoch, snapshot.slots) for snapshot in first}
    waits = {
        (snapshot.replica, type(entry), entry.id, entry.epoch)
        for snapshot in first
        for entry in _entries(snapshot)
    }

    def stood(snapshot: ReplicaSnapshot, entry: Entry | None) -> bool:
        if entry is None:
            return (snapshot.replica, snapshot.capacity_epoch, snapshot.slots) in pools
        return (snapshot.replica, type(entry), entry.id, entry.epoch) in waits

    return stood
