"""Snapshots in few words, for the tests of the wait-for graph."""

from collections.abc import Sequence

from rolewise.graphs.deadlock import Deadlock, find_deadlock
from rolewise.graphs.snapshot_columns import read_round
from rolewise.graphs.snapshots import Lock, QueuedMessage, ReplicaSnapshot, RunningInvocation


def running(id_, *waits, locks=(), need=None, task="t-81", epoch=1, since=2.4, **more):
    return RunningInvocation(
        id=id_,
        epoch=epoch,
        task=task,
        state="wait" if waits or locks else "active",
        waits=waits,
        locks=locks,
        need=len(waits) + len(locks) if need is None else need,
        since=since,
        **more,
    )


def queued(id_, caller, *, task="t-81", epoch=1, since=2.0, **more):
    return QueuedMessage(id=id_, epoch=epoch, task=task, caller=caller, since=since, **more)


def lock(id_, *holders, epoch=1, **more):
    return Lock(id=id_, epoch=epoch, holders=holders, **more)


def replica(name, *entries, slots=1, capacity_epoch=0, **more):
    role, rest = name.split("@")
    return ReplicaSnapshot(
        replica=name,
        role=role,
        version=rest.split("#")[0],
        slots=slots,
        capacity_epoch=capacity_epoch,
        running=tuple(entry for entry in entries if isinstance(entry, RunningInvocation)),
        queue=tuple(entry for entry in entries if isinstance(entry, QueuedMessage)),
        locks=tuple(entry for entry in entries if isinstance(entry, Lock)),
        **more,
    )


def mutual_ask(slots=1, deadline=None, **more):
    """Negotiator asks the supplier, which asks the negotiator back."""
    return [
        replica(
            "negotiator@v3#1",
            running(1, 2, deadline=deadline, **more),
            queued(3, caller=2),
            slots=slots,
        ),
        replica("supplier@v3#1", running(2, 3, since=2.1, deadline=deadline, **more)),
    ]


def found_in(first: Sequence[ReplicaSnapshot] | None, second: Sequence[ReplicaSnapshot] | None):
    """Return the first deadlock in two rounds."""
    rounds = [None if one is None else read_round(one) for one in (first, second)]
    return find_deadlock(*rounds)


def both(snapshots: Sequence[ReplicaSnapshot]) -> Deadlock | None:
    """Return the first deadlock of a round that stands twice."""
    return found_in(snapshots, snapshots)
