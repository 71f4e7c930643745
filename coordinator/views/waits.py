"""Who waits for whom right now, and what holds itself, as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from rolewise.coordinator.views.base import View
from rolewise.graphs.deadlock import Deadlock, Stuck, WaitAnalysis
from rolewise.graphs.rounds import Round
from rolewise.graphs.snapshot_columns import read_snapshots
from rolewise.graphs.snapshots import ReplicaSnapshot
from rolewise.graphs.stalls import Stall


class WaitView(View):
    """One wait: an invocation for replies or locks, or a message for a slot."""

    task: str
    replica: str
    """Where it waits."""
    kind: Literal["reply", "lock", "slot"]
    waits_for: tuple[str, ...]
    """Replicas that it waits for, where it is not known yet `in transit`; or names of locks."""
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
    stalls: tuple[str, ...]
    """What else does not move: lost messages, blocked loops; one sentence each."""
    blind: tuple[str, ...]
    """Replicas that did not answer."""


class StuckView(View):
    """What is stuck by one reading of timeouts."""

    stuck: tuple[str, ...]
    """Ids of invocations and queued messages, sorted."""
    cores: tuple[tuple[str, ...], ...]
    """The smallest parts that hold themselves; the rest of `stuck` waits behind them."""


class NamedWaitView(View):
    """One wait of the cycle that is shown."""

    id: str
    task: str
    role: str
    version: str
    waits_for: str
    """Id of the next one in the cycle."""
    in_words: str


class AnalysisView(View):
    """What one or two saved snapshots say."""

    confirmed: bool
    """Two were given, and only waits that stand in both count."""
    hard: StuckView
    """Stuck though every wait with a deadline ends by itself."""
    soft: StuckView
    """Stuck until a deadline; `hard` is part of it."""
    cycle: tuple[NamedWaitView, ...]
    """A shortest circle of waits, of a hard core if there is one; empty when nothing is stuck."""


def view_analysis(analysis: WaitAnalysis, names: Mapping[int, str]) -> AnalysisView:
    """Return an analysis with the ids that its files gave."""

    def told(part: Stuck) -> StuckView:
        cores = sorted(tuple(sorted(names[id_] for id_ in core)) for core in part.cores)
        return StuckView(stuck=tuple(sorted(names[id_] for id_ in part.ids)), cores=tuple(cores))

    shown = analysis.deadlocks[0].cycle if analysis.deadlocks else ()
    return AnalysisView(
        confirmed=analysis.confirmed,
        hard=told(analysis.hard),
        soft=told(analysis.soft),
        cycle=tuple(
            NamedWaitView(
                id=names[wait.id],
                task=wait.task,
                role=wait.role,
                version=wait.version,
                waits_for=names[wait.waits_for],
                in_words=wait.in_words,
            )
            for wait in shown
        ),
    )


def view_waits(
    fleet: str, round_: Round, deadlocks: Sequence[Deadlock], stalls: Sequence[Stall] = ()
) -> WaitsView:
    """Return the waits of a round of snapshots, with what was confirmed in it."""
    ordered = read_snapshots(round_.ordered())
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
        stalls=tuple(stall.sentence for stall in stalls),
        blind=round_.blind,
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
            held = {lock.id: lock.name or "a lock" for lock in snapshot.locks}
            others = tuple(sorted({place.get(id_, "in transit") for id_ in running.waits}))
            locks = tuple(sorted(held.get(id_, "a lock") for id_ in running.locks))
            what = f"{running.need} of {len(running.waits)} replies of {', '.join(others)}"
            yield WaitView(
                task=running.task,
                replica=here,
                kind="lock" if locks else "reply",
                waits_for=locks or others,
                need=running.need,
                since_s=running.since,
                ends_in_s=running.deadline,
                text=f"task {running.task}: {here} has waited {running.since:.1f} s for "
                + (f"lock {', '.join(locks)}" if locks else what),
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
