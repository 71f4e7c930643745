"""Reduction of an AND/OR (k-of-n) wait-for graph: what can never go on, and the parts that hold it.

A cycle is neither needed nor enough for a deadlock once one of several replies, or one of several
slots, will do: only the reduction decides.
"""

from __future__ import annotations

import numpy as np

from rolewise.graphs.components import strong_components
from rolewise.graphs.rounds import Bools, Ints

_SMALL_FRONTIER = 256
_SPARSE = 8


def reduce(need: Ints, src: Ints, dst: Ints) -> Bools:
    """Find the nodes that stay stuck, whatever those that can go on will do.

    Args:
        need: For each node, how many of those that it waits for must go on first; 0: none.
        src: The waiting ends of the edges.
        dst: The ends waited for; no edge stands twice.

    Returns:
        True for each node outside the least set closed under "goes on once `need` of those that
        it waits for go on".

    Notes:
        Time and space grow with nodes and edges. Wide frontiers go by array, narrow ones (one
        long chain) node by node, each a hundred times slower than the other on its home ground.

    References:
        Bracha, Toueg: Distributed deadlock detection. https://doi.org/10.1007/BF01782773
    """
    waiters, start = _waiters(len(need), src, dst)
    missing = need.copy()
    done = missing <= 0
    frontier = np.flatnonzero(done)
    while len(frontier) >= _SMALL_FRONTIER:
        released = _gather(waiters, start, frontier)
        if len(released) * _SPARSE < len(need):
            touched, times = np.unique(released, return_counts=True)
            missing[touched] -= times
            frontier = touched[(missing[touched] <= 0) & ~done[touched]]
        else:
            missing -= np.bincount(released, minlength=len(need))
            frontier = np.flatnonzero((missing <= 0) & ~done)
        done[frontier] = True
    return _finish(waiters, start, missing, frontier)


def find_cores(need: Ints, src: Ints, dst: Ints, stuck: Bools) -> list[Ints]:
    """Find the parts of the stuck that hold themselves: stuck even if all others went on.

    Args:
        need: As for `reduce`.
        src: As for `reduce`.
        dst: As for `reduce`.
        stuck: Its answer.

    Returns:
        The nodes of each core, ascending. Each lies in one strongly connected component. What
        is stuck and in no core is a victim: it only waits behind one.
    """
    members = np.flatnonzero(stuck)
    if not len(members):
        return []
    missing = need - np.bincount(src[~stuck[dst]], minlength=len(need))
    both = stuck[src] & stuck[dst]
    number = np.zeros(len(need), np.int64)
    number[members] = np.arange(len(members))
    src, dst, missing = number[src[both]], number[dst[both]], missing[members]
    component = strong_components(len(members), src, dst)
    inside = component[src] == component[dst]
    outside = np.bincount(src[~inside], minlength=len(members))
    in_core = np.flatnonzero(reduce(missing - outside, src[inside], dst[inside]))
    in_core = in_core[np.argsort(component[in_core], kind="stable")]
    ends = np.flatnonzero(np.diff(component[in_core])) + 1
    cores = [members[part] for part in np.split(in_core, ends) if len(part)]
    return sorted(cores, key=lambda core: int(core[0]))


def _waiters(nodes: int, src: Ints, dst: Ints) -> tuple[Ints, Ints]:
    """Return the edges by `dst`: who waits for node v is `waiters[start[v]:start[v + 1]]`."""
    start = np.zeros(nodes + 1, np.int64)
    np.cumsum(np.bincount(dst, minlength=nodes), out=start[1:])
    return src[np.argsort(dst, kind="stable")], start


def _gather(waiters: Ints, start: Ints, nodes: Ints) -> Ints:
    """Return the waiters of all these nodes, one after the other."""
    lengths = start[nodes + 1] - start[nodes]
    ends = np.cumsum(lengths)
    shift = np.repeat(start[nodes] - ends + lengths, lengths)
    gathered: Ints = waiters[np.arange(len(shift)) + shift]
    return gathered


def _finish(waiters: Ints, start: Ints, missing: Ints, frontier: Ints) -> Bools:
    """Carry the reduction to its end node by node."""
    work = frontier.tolist()
    if not work:
        stuck: Bools = missing > 0
        return stuck
    who, begin, left = waiters.tolist(), start.tolist(), missing.tolist()
    while work:
        node = work.pop()
        for waiter in who[begin[node] : begin[node + 1]]:
            left[waiter] -= 1
            if left[waiter] == 0:
                work.append(waiter)
    return np.array(left, np.int64) > 0
