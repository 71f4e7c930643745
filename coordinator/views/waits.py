"""Who waits for whom right now, and what holds itself, as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from rolewise.coordinator.views.base import View
from rolewise.graphs.deadlock import Deadlock
from rolewise.graphs.snapshots import ReplicaSnapshot


class WaitView(View):
    """One wait: an invocation for replies, or a message for a slot."""

    task: str
    replica: str
    """Where it waits."""
    kind: Literal["reply", "slot"]
    waits_for: tuple[str, ...]
    """Replicas that it waits for; one that is not known stands as `in transit`."""
    need: int
    """How many of these must answer before it goes on."""
    since_s: float
    ends_in_s: float | None
    """Seconds until it times out; null when it never does."""
    text: str


class SlotsView(View):
    """How busy a replica is."""

    replica: str
    slots: int
    running: int
    queued: int


class CycleWaitView(View):
    """One wait of a deadlock's cycle."""

    task: str
    replica: str
    since_s: float
    text: str


class DeadlockView(View):
    """Waits that hold each other, in two rounds of snapshots."""

    kind: Literal["hard", "soft"]
    """`hard` never ends by itself; `soft` is ended by timeouts only."""
    sentence: str
    cycle: tuple[CycleWaitView, ...]
    nodes: tuple[str, ...]
    """Nodes of the interaction graph in it, `role@version`."""
    tasks: tuple[str, ...]
    victims: int
    """How many waits stand behind it only."""
    age_s: float
    ends_in_s: float | None


class WaitsView(View):
    """The wait-for graph of a fleet at this moment."""

    fleet: str
    replicas: tuple[SlotsView, ...]
    waits: tuple[WaitView, ...]
    """The longest first."""
    deadlocks: tuple[DeadlockView, ...]


def view_waits(
    fleet: str, snapshots: Sequence[ReplicaSnapshot], deadlocks: Sequence[Deadlock]
) -> WaitsView:
    """Return the waits of a round of snapshots, with the deadlocks confirmed in it."""
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.replica)
    waits = sorted(_waits(ordered), key=lambda wait: -wait.since_s)
    return WaitsView(
        fleet=fleet,
        replicas=tuple(
            SlotsView(
                replica=snapshot.replica,
                slots=snapshot.slots,
                running=len(snapshot.running),
                queued=len(snapshot.queue),
            )
            for snapshot in ordered
        ),
        waits=tuple(waits),
        deadlocks=tuple(_view_deadlock(deadlock) for deadlock in deadlocks),
    )


def _waits(snapshots: Sequence[ReplicaSnapshot]) -> Iterator[WaitView]:
    place: dict[int, str] = {}
    for snapshot in snapshots:
        place |= dict.fromkeys((one.id for one in snapshot.running), snapshot.replica)
        place |= dict.fromkeys((one.id for one in snapshot.queue), snapshot.replica)
    for snapshot in snapshots:
        here = snapshot.replica
        for running in snapshot.running:
            if running.state != "wait":
                continue
            others = tuple(sorted({place.get(id_, "in transit") for id_ in running.waits}))
            yield WaitView(
                task=running.task,
                replica=here,
                kind="reply",
                waits_for=others,
                need=running.need,
                since_s=running.since,
                ends_in_s=running.deadline,
                text=f"task {running.task}: {here} has waited {running.since:.1f} s for "
                f"{running.need} of {len(running.waits)} replies of {', '.join(others)}",
            )
        for queued in snapshot.queue:
            yield WaitView(
                task=queued.task,
                replica=here,
                kind="slot",
                waits_for=(here,),
                need=1,
                since_s=queued.since,
                ends_in_s=None,
                text=f"task {queued.task}: a message has waited {queued.since:.1f} s for a slot "
                f"of {here} ({len(snapshot.running)} of {snapshot.slots} held)",
            )


def _view_deadlock(deadlock: Deadlock) -> DeadlockView:
    return DeadlockView(
        kind=deadlock.kind,
        sentence=deadlock.sentence,
        cycle=tuple(
            CycleWaitView(
                task=wait.task, replica=wait.replica, since_s=wait.since_s, text=wait.in_words
            )
            for wait in deadlock.cycle
        ),
        nodes=deadlock.nodes,
        tasks=deadlock.tasks,
        victims=deadlock.victims,
        age_s=deadlock.age_s,
        ends_in_s=deadlock.ends_in_s,
    )
