"""Finds deadlocks in two rounds of snapshots, and says what holds what.

Stuck means: no reply, no lock and no slot that could still come frees these waits; only a timeout,
a cancellation, a death or more capacity would. Slow is not stuck: whoever computes, or awaits
something outside the fleet, counts as going on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rolewise.graphs.reduction import find_cores, reduce
from rolewise.graphs.rounds import Bools, Ints, Round, Sort
from rolewise.graphs.wait_for import WaitForGraph, build_wait_for
from rolewise.graphs.wait_words import CoreReader, Wait

Kind = Literal["hard", "soft"]
RoleVersion = tuple[str, str]

_CANARY, _BASELINE = 2, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlock:
    """Waits that hold each other, with the evidence.

    Attributes:
        kind: `hard`: it never ends by itself; `soft`: only timeouts end it.
        core: Ids of the invocations and messages that hold each other.
        stuck: Ids of all that are stuck now, in the whole fleet.
        victims: How many are stuck behind this core only: they hold nothing.
        victim_tasks: Their tasks.
        victim_versions: Pairs of role and version where they stand.
        tasks: Tasks in the core.
        tasks_canary: How many of these are of the canary's arm.
        tasks_baseline: And of the baseline's.
        nodes: Nodes of the interaction graph in the core: `negotiator@v3`.
        versions: The same as pairs of role and version.
        replicas: Where the core stands: whom to ask once more before acting.
        cycle: A shortest circle of waits in the core.
        sentence: The cycle in one sentence.
        signature: The same for the same circle of roles, versions and kinds at another time.
        age_s: The oldest wait in the core.
        ends_in_s: Seconds to the first timeout in the core; None without one, or if not known.
        others: Other cores found in the same rounds.
        blind: Replicas that did not answer; what waits there was not seen.
    """

    kind: Kind
    core: tuple[int, ...]
    stuck: tuple[int, ...]
    victims: int
    victim_tasks: tuple[str, ...]
    victim_versions: frozenset[RoleVersion]
    tasks: tuple[str, ...]
    tasks_canary: int
    tasks_baseline: int
    nodes: tuple[str, ...]
    versions: frozenset[RoleVersion]
    replicas: tuple[str, ...]
    cycle: tuple[Wait, ...]
    sentence: str
    signature: str
    age_s: float
    ends_in_s: float | None
    others: int = 0
    blind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """What is stuck by one reading of timeouts.

    Attributes:
        ids: Invocations and queued messages, ascending.
        cores: Those of each core, ascending, in order of their first.
    """

    ids: tuple[int, ...] = ()
    cores: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitAnalysis:
    """What one or two rounds of snapshots say.

    Attributes:
        confirmed: Two rounds were given, and only waits that stand in both count.
        hard: Stuck though every wait with a deadline ends by itself.
        soft: Stuck until a deadline; `hard` is part of it.
        deadlocks: One for each core of `soft`, hard ones first, then those with most tasks.
    """

    confirmed: bool
    hard: Stuck
    soft: Stuck
    deadlocks: tuple[Deadlock, ...] = ()


def find_deadlock(first: Round | None, second: Round | None) -> Deadlock | None:
    """Find the deadlock that holds most tasks; see `find_deadlocks`."""
    return next(iter(find_deadlocks(first, second)), None)


def find_deadlocks(first: Round | None, second: Round | None) -> tuple[Deadlock, ...]:
    """Find all deadlocks that stand in both rounds; see `analyse_waits`."""
    return analyse_waits(first, second).deadlocks


def analyse_waits(
    first: Round | None, second: Round | None, *, canary: Collection[RoleVersion] = ()
) -> WaitAnalysis:
    """Say what is stuck, which parts hold themselves, and show each of them.

    Args:
        first: A round of snapshots.
        second: The next, begun after every replica had answered the first. With one round only
            (the other None) the answer is unconfirmed: replicas answer at different times, and
            waits withdrawn meanwhile may form a circle that never was.
        canary: (role, version) that a shown cycle should begin with if it has one.
    """
    latest = second if second is not None else first
    if latest is None:
        return WaitAnalysis(confirmed=False, hard=Stuck(), soft=Stuck())
    earlier = first if second is not None else None
    confirmed = earlier is not None
    graph = build_wait_for(earlier, latest)
    if not reduce(graph.need, graph.src, graph.dst).any():
        return WaitAnalysis(confirmed=confirmed, hard=Stuck(), soft=Stuck())
    # In order of name, so that equal waits give equal words whoever answered first.
    graph = build_wait_for(earlier, latest.ordered())
    stuck = reduce(graph.need, graph.src, graph.dst)
    cores = find_cores(graph.need, graph.src, graph.dst, stuck)
    hard = reduce(graph.need_hard, graph.src, graph.dst)
    hard_cores = find_cores(graph.need_hard, graph.src, graph.dst, hard)
    in_hard = np.zeros(len(stuck), np.bool_)
    for core in hard_cores:
        in_hard[core] = True
    # A core with a hard one in it is shown by that: the rest of it will time out.
    soft_cores = [core for core in cores if not in_hard[core].any()]
    deadlocks = _show(graph, stuck, hard_cores, soft_cores, canary)
    return WaitAnalysis(
        confirmed=confirmed,
        hard=_told(graph, hard, hard_cores),
        soft=_told(graph, stuck, cores),
        deadlocks=deadlocks,
    )


def _told(graph: WaitForGraph, stuck: Bools, cores: Sequence[Ints]) -> Stuck:
    return Stuck(
        ids=_ids(graph, graph.entries(stuck)),
        cores=tuple(sorted(_ids(graph, _entries_of(graph, core)) for core in cores)),
    )


def _show(
    graph: WaitForGraph,
    stuck: Bools,
    hard_cores: Sequence[Ints],
    soft_cores: Sequence[Ints],
    canary: Collection[RoleVersion],
) -> tuple[Deadlock, ...]:
    cores = [*hard_cores, *soft_cores]
    reached = _nearest_core(graph, stuck, cores)
    reader = CoreReader(graph, stuck, canary)
    all_stuck = _ids(graph, graph.entries(stuck))
    found = []
    for number, core in enumerate(cores):
        behind = stuck & (reached == number)
        behind[core] = False
        is_hard = number < len(hard_cores)
        found.append(_describe(graph, reader, core, behind, all_stuck, is_hard=is_hard))
    found.sort(key=lambda one: (one.kind, -len(one.tasks), -len(one.core), one.nodes, one.core))
    return tuple(replace(one, others=len(found) - 1) for one in found)


def _describe(
    graph: WaitForGraph,
    reader: CoreReader,
    core: Ints,
    behind: Bools,
    all_stuck: tuple[int, ...],
    *,
    is_hard: bool,
) -> Deadlock:
    round_ = graph.round
    entries = _entries_of(graph, core)
    victims = graph.entries(behind)
    arms = {round_.task[row]: int(round_.arm[row]) for row in entries.tolist()}
    versions = reader.versions(core)
    ends = round_.ends[entries]
    finite = ends[np.isfinite(ends)]
    ends_in_s = float(finite.min()) if len(finite) else None
    shown = reader.read(core)
    sentence = shown.sentence
    if not is_hard and ends_in_s is not None:
        sentence += f"; the first of these waits times out in {ends_in_s:.1f} s"
    return Deadlock(
        kind="hard" if is_hard else "soft",
        core=_ids(graph, entries),
        stuck=all_stuck,
        victims=len(victims),
        victim_tasks=tuple(sorted({round_.task[row] for row in victims.tolist()})),
        victim_versions=reader.versions(victims),
        tasks=tuple(sorted(arms)),
        tasks_canary=sum(arm == _CANARY for arm in arms.values()),
        tasks_baseline=sum(arm == _BASELINE for arm in arms.values()),
        nodes=tuple(sorted(f"{role}@{version}" for role, version in versions)),
        versions=versions,
        replicas=reader.replicas(core),
        cycle=shown.cycle,
        sentence=sentence,
        signature=shown.signature,
        age_s=float(round_.since[entries].max()),
        ends_in_s=ends_in_s,
        blind=round_.blind,
    )


def _nearest_core(graph: WaitForGraph, stuck: Bools, cores: Sequence[Ints]) -> Ints:
    """Return for each stuck node the core that it reaches by fewest waits; -1 elsewhere."""
    reached = np.full(len(graph.need), -1, np.int64)
    for number, core in enumerate(cores):
        reached[core] = number
    inside = stuck[graph.src] & stuck[graph.dst]
    src, dst = graph.src[inside], graph.dst[inside]
    while True:
        news = (reached[src] < 0) & (reached[dst] >= 0)
        if not news.any():
            return reached
        # Of several, the last one stands: equally near cores are equally guilty.
        reached[src[news]] = reached[dst[news]]
        left = ~news & (reached[src] < 0)
        src, dst = src[left], dst[left]


def _entries_of(graph: WaitForGraph, nodes: Ints) -> Ints:
    rows = nodes[nodes < graph.rows]
    return rows[graph.round.sort[rows] <= Sort.QUEUED]


def _ids(graph: WaitForGraph, rows: Ints) -> tuple[int, ...]:
    return tuple(sorted(graph.round.id[rows].tolist()))
