"""Who waits for whom: rounds of snapshots become one AND/OR graph of waits.

A node goes on once `need` of the nodes that it waits for have gone on. Nodes are

- an invocation that holds a slot: needs as many replies and locks as it says; none while it
  computes or awaits something outside the fleet;
- a message in a queue: needs its pool;
- a pool, the slots of one replica or of all that a router may still choose: needs one of the
  invocations that hold them, or nothing while a slot is free. One node for a pool keeps the graph
  small;
- a lock: needs one holder to let go, all of them when it is shared, nothing while it is free.

A request and the invocation that handles it have the same id, so that they are one node. What is
not known counts as going on: a message or a lock seen nowhere (in transit, lost, or answered
meanwhile) is taken off what its asker needs. So every node that is stuck is stuck by waits that
were seen. The same is true of a replica whose event loop is blocked: it is slow, not stuck.

Two rounds confirm. The second begins after the last answer of the first; a wait that is in both
with the same epoch stood all the time between, and all these intervals have a common instant. At
that instant all confirmed waits stood together: what is stuck among them was a true deadlock,
though every replica was asked at another time and no clocks were compared.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from rolewise.graphs.rounds import Bools, Ids, Ints, Round, Sort
from rolewise.graphs.snapshots import ReplicaHead

LOOP_BLOCKED_S = 2.0
"""An event loop that has not turned for so long is blocked."""


@dataclass(frozen=True, slots=True, eq=False)
class WaitForGraph:
    """Waits in columns. Node `i` is row `i` of the round; behind the rows come the pools.

    Attributes:
        round: What was built from.
        src: Edges: the node that waits ...
        dst: ... and the one that it waits for. No edge stands twice.
        need: How many of its edges' ends must go on before a node does.
        need_hard: The same if a wait with a deadline goes on by itself.
        shared_pools: Replicas of the pools behind those of the single replicas.
    """

    round: Round
    src: Ints
    dst: Ints
    need: Ints
    need_hard: Ints
    shared_pools: tuple[tuple[str, ...], ...] = ()

    @property
    def rows(self) -> int:
        """How many nodes are rows; the others are pools."""
        return len(self.round.id)

    def is_pool(self, node: int) -> bool:
        """Whether a node is a pool of slots."""
        return node >= self.rows

    def is_entry(self, node: int) -> bool:
        """Whether a node is an invocation or a queued message."""
        return node < self.rows and int(self.round.sort[node]) <= Sort.QUEUED

    def pool_of(self, node: int) -> tuple[str, ...]:
        """Return the replicas whose slots a pool is."""
        place = node - self.rows
        heads = self.round.heads
        if place < len(heads):
            return (heads[place].replica,)
        return self.shared_pools[place - len(heads)]

    def entries(self, stuck: Bools) -> Ints:
        """Return the invocations and queued messages among the nodes, ascending."""
        inside = stuck[: self.rows] & (self.round.sort <= Sort.QUEUED)
        return np.flatnonzero(inside)


def build_wait_for(
    first: Round | None, second: Round, *, lost: Collection[int] = ()
) -> WaitForGraph:
    """Build the graph of the second round's waits, those confirmed by the first.

    Args:
        first: The round before; with None every wait of `second` counts, and what is stuck may
            be an illusion of replicas asked at different times.
        second: The latest round, begun after the first had ended.
        lost: Edges of `second` that can never be met, for all that nothing is known of their ends.
    """
    rows, heads = len(second.id), len(second.heads)
    sort = second.sort
    is_lock_row = sort >= Sort.EXCLUSIVE
    is_holder = sort <= Sort.WAITING
    # Invocations and locks: what the edges of the round lead to.
    targets = np.full(len(second.edge_id), -1, np.int64)
    for locks in (False, True):
        edges = np.flatnonzero(second.edge_is_lock == locks)
        if len(edges):
            named = np.flatnonzero(is_lock_row if locks else ~is_lock_row)
            targets[edges] = find_rows(second.edge_id[edges], second.id, named)
    known = targets >= 0
    is_met = ~known
    is_met[list(lost)] = False
    unknown = np.bincount(second.edge_row[is_met], minlength=rows)
    of_row = np.bincount(second.edge_row, minlength=rows)
    need = np.zeros(rows + heads, np.int64)
    need[:rows] = np.select(
        [sort == Sort.WAITING, sort == Sort.QUEUED, sort == Sort.SHARED],
        [second.need, 1, of_row],
        np.minimum(of_row, 1),
    )
    need[:rows][sort == Sort.ACTIVE] = 0
    # Fewer holders than permits: one is free.
    need[:rows][(sort == Sort.SEMAPHORE) & (of_row < second.need)] = 0
    need[:rows] -= unknown
    # Pools.
    running = np.bincount(second.replica[is_holder], minlength=heads)
    slots = np.array([max(head.slots, 1) for head in second.heads], np.int64)
    need[rows:] = running >= slots
    holders, queued = np.flatnonzero(is_holder), np.flatnonzero(sort == Sort.QUEUED)
    pool = rows + second.replica
    shared = _shared_pools(second, need, pool)
    src = np.concatenate([second.edge_row[known], queued, pool[holders], shared.src])
    dst = np.concatenate([targets[known], pool[queued], holders, shared.dst])
    need = np.concatenate([need, shared.need])
    # What does not count as waiting: unconfirmed waits, and replicas whose loop is blocked.
    lag = np.array([head.loop_lag_s > LOOP_BLOCKED_S for head in second.heads], np.bool_)
    if lag.any():
        need[:rows][lag[second.replica] & is_holder] = 0
    if first is not None:
        need[~_confirmed(first, second, shared.names)] = 0
    np.maximum(need, 0, out=need)
    need_hard = need.copy()
    need_hard[:rows][~np.isnan(second.ends)] = 0
    waiting = need[src] > 0
    return WaitForGraph(
        round=second,
        src=src[waiting],
        dst=dst[waiting],
        need=need,
        need_hard=need_hard,
        shared_pools=shared.names,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _SharedPools:
    """Pools of several replicas: their names, needs, and edges to all that hold their slots."""

    names: tuple[tuple[str, ...], ...]
    need: Ints
    src: Ints
    dst: Ints


def _shared_pools(round_: Round, need: Ints, pool: Ints) -> _SharedPools:
    """Return the pools of several replicas; `pool` is changed for the rows that wait for them."""
    rows, heads = len(round_.id), len(round_.heads)
    names = tuple(dict.fromkeys(tuple(sorted(set(chosen))) for _, chosen in round_.pools))
    number = {chosen: rows + heads + place for place, chosen in enumerate(names)}
    for row, chosen in round_.pools:
        pool[row] = number[tuple(sorted(set(chosen)))]
    place = {head.replica: at for at, head in enumerate(round_.heads)}
    full = need[rows:] > 0
    is_holder = round_.sort <= Sort.WAITING
    needs, src, dst = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for chosen in names:
        # A replica that did not answer may have a free slot.
        members = [place[name] for name in chosen if name in place]
        needs.append(int(len(members) == len(chosen) and bool(full[members].all())))
        held = np.flatnonzero(is_holder & np.isin(round_.replica, members))
        src.append(np.full(len(held), number[chosen], np.int64))
        dst.append(held)
    return _SharedPools(names, np.array(needs, np.int64), np.concatenate(src), np.concatenate(dst))


def find_rows(wanted: Ids, ids: Ids, among: Ints) -> Ints:
    """Return the row of each wanted id among some rows; -1 for none, or several.

    An id that is seen twice is not known: which of the two answers cannot be said.
    """
    if not len(among):
        return np.full(len(wanted), -1, np.int64)
    by_id = among[np.argsort(ids[among])]
    in_order = ids[by_id]
    at = np.searchsorted(in_order, wanted)
    inside = np.minimum(at, len(by_id) - 1)
    after = np.minimum(at + 1, len(by_id) - 1)
    is_it = in_order[inside] == wanted
    is_twice = (after > inside) & (in_order[after] == wanted)
    return np.where(is_it & ~is_twice, by_id[inside], -1)


def _confirmed(first: Round, second: Round, shared: tuple[tuple[str, ...], ...]) -> Bools:
    """Return which nodes' waits stood already in the first round."""
    slots = {_slots(head) for head in first.heads}
    tables = {(*_slots(head), head.table) for head in first.heads}
    pools = [_slots(head) in slots for head in second.heads]
    by_name = {head.replica: (*_slots(head), head.table) for head in second.heads}
    pools += [all(by_name.get(name) in tables for name in chosen) for chosen in shared]
    return np.concatenate([standing_rows(first, second), np.array(pools, np.bool_)])


def standing_rows(first: Round, second: Round) -> Bools:
    """Return which rows of the second round stood in the first, with the same epoch."""
    rows = len(second.id)
    before = np.full(rows, -1, np.int64)
    # A message that got its slot between the rounds waits for something else now.
    for classes in ((Sort.ACTIVE, Sort.WAITING), (Sort.QUEUED,), tuple(Sort)[Sort.EXCLUSIVE :]):
        here = np.flatnonzero(np.isin(second.sort, classes))
        there = np.flatnonzero(np.isin(first.sort, classes))
        before[here] = find_rows(second.id[here], first.id, there)
    lives = {(head.replica, head.incarnation): at for at, head in enumerate(first.heads)}
    life = [lives.get((head.replica, head.incarnation), -1) for head in second.heads]
    same_replica = np.array(life, np.int64)[second.replica]
    stood = before >= 0
    at = before[stood]
    stood[stood] = (first.epoch[at] == second.epoch[stood]) & (
        first.replica[at] == same_replica[stood]
    )
    return stood


def _slots(head: ReplicaHead) -> tuple[object, ...]:
    return (head.replica, head.incarnation, head.capacity_epoch, head.slots)
