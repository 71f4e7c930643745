"""Finds deadlocks in two rounds of snapshots, and says in words who waits for whom.

Stuck means: no reply and no slot that could still come frees these waits; only a timeout, a
cancellation, a death or more capacity would. Slow is not stuck: whoever computes, or awaits
something outside the fleet, counts as going on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rolewise.graphs.reduction import Bools, Ints, find_cores, reduce
from rolewise.graphs.snapshots import QueuedMessage, ReplicaSnapshot, RunningInvocation
from rolewise.graphs.wait_for import WaitForGraph, build_wait_for

_STARTS = 64
_TASKS_NAMED = 3
_WAITS_TOLD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One wait of the cycle: an invocation for a reply, or a queued message for a slot.

    Attributes:
        id: The invocation or the message.
        replica: Where it stands.
        waits_for: The message awaited, or the invocation that holds the slot.
        since_s: How long it has waited.
        in_words: The wait in one sentence.
    """

    id: int
    task: str
    replica: str
    role: str
    version: str
    waits_for: int
    since_s: float
    in_words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlock:
    """Waits that hold each other, with the evidence.

    Attributes:
        kind: `hard`: it never ends by itself; `soft`: only timeouts end it.
        stuck: Ids of all invocations and messages that are stuck now, in the whole fleet.
        core: Ids of those that hold each other here.
        tasks: Tasks in the core.
        nodes: Nodes of the interaction graph in the core: `negotiator@v3`.
        versions: The same as pairs of role and version.
        cycle: A shortest circle of waits in the core.
        sentence: The cycle in one sentence.
        victims: How many are stuck and in no core: they only wait behind one.
        age_s: The oldest wait in the core.
        ends_in_s: Seconds to the first timeout in the core; None without one.
        others: Other cores found in the same rounds.
    """

    kind: Literal["hard", "soft"]
    stuck: tuple[int, ...]
    core: tuple[int, ...]
    tasks: tuple[str, ...]
    nodes: tuple[str, ...]
    versions: frozenset[tuple[str, str]]
    cycle: tuple[Wait, ...]
    sentence: str
    victims: int
    age_s: float
    ends_in_s: float | None
    others: int = 0

    def involves(self, versions: Collection[tuple[str, str]]) -> bool:
        """Say whether one of these (role, version) is in the core, not only behind it."""
        return not self.versions.isdisjoint(versions)


def find_deadlock(
    first: Sequence[ReplicaSnapshot] | None, second: Sequence[ReplicaSnapshot] | None
) -> Deadlock | None:
    """Find the deadlock that holds most tasks; see `find_deadlocks`."""
    return next(iter(find_deadlocks(first, second)), None)


def find_deadlocks(
    first: Sequence[ReplicaSnapshot] | None, second: Sequence[ReplicaSnapshot] | None
) -> tuple[Deadlock, ...]:
    """Find all deadlocks that stand in both rounds.

    Args:
        first: A round of snapshots.
        second: The next, begun after every replica had answered the first. With one round only
            (the other None) the answer is unconfirmed: replicas answer at different times, and
            waits withdrawn meanwhile may form a circle that never was.

    Returns:
        One for each core, most tasks first, hard before soft.
    """
    if second is None:
        first, second = None, first or ()
    # In order of name, so that equal waits give equal words whoever answered first.
    graph = build_wait_for(first, sorted(second, key=lambda snapshot: snapshot.replica))
    stuck = reduce(graph.need, graph.src, graph.dst)
    if not stuck.any():
        return ()
    cores = find_cores(graph.need, graph.src, graph.dst, stuck)
    hard = reduce(graph.need_hard, graph.src, graph.dst)
    reader = _Reader(graph, stuck, victims=_entries(graph, stuck, cores))
    found = [reader.read(core.tolist(), hard=bool(hard[core].any())) for core in cores]
    found.sort(key=lambda one: (-len(one.tasks), one.kind, -len(one.core), one.nodes, one.core))
    return tuple(replace(one, others=len(found) - 1) for one in found)


def _entries(graph: WaitForGraph, stuck: Bools, cores: Sequence[Ints]) -> int:
    """Count the stuck invocations and messages that are in no core."""
    behind = stuck.copy()
    for core in cores:
        behind[core] = False
    return sum(graph.owners[node][1] is not None for node in behind.nonzero()[0].tolist())


class _Reader:
    """Reads cores of one wait-for graph as people would tell them."""

    def __init__(self, graph: WaitForGraph, stuck: Bools, *, victims: int) -> None:
        self._owners = graph.owners
        self._stuck = tuple(sorted(self._ids(stuck.nonzero()[0].tolist())))
        self._victims = victims
        self._targets: dict[int, list[int]] = {}
        both = stuck[graph.src] & stuck[graph.dst]
        for src, dst in zip(graph.src[both].tolist(), graph.dst[both].tolist(), strict=True):
            self._targets.setdefault(src, []).append(dst)
        self._need = graph.need

    def read(self, core: Sequence[int], *, hard: bool) -> Deadlock:
        """Describe one core."""
        members = set(core)
        targets = {node: [dst for dst in self._targets[node] if dst in members] for node in core}
        cycle = self._begin_with_oldest(_shortest_cycle(targets))
        entries = [entry for node in core if (entry := self._owners[node][1]) is not None]
        versions = frozenset(
            (self._owners[node][0].role, self._owners[node][0].version) for node in core
        )
        ends = [
            entry.deadline
            for entry in entries
            if isinstance(entry, RunningInvocation) and entry.deadline is not None
        ]
        ends_in_s = min(ends, default=None)
        sentence = self._tell(cycle)
        if not hard and ends_in_s is not None:
            sentence += f"; the first of these waits times out in {ends_in_s:.1f} s"
        return Deadlock(
            kind="hard" if hard else "soft",
            stuck=self._stuck,
            core=tuple(sorted(self._ids(core))),
            tasks=tuple(sorted({entry.task for entry in entries})),
            nodes=tuple(sorted(f"{role}@{version}" for role, version in versions)),
            versions=versions,
            cycle=self._waits(cycle),
            sentence=sentence,
            victims=self._victims,
            age_s=max(entry.since for entry in entries),
            ends_in_s=ends_in_s,
        )

    def _ids(self, nodes: Sequence[int]) -> list[int]:
        return [entry.id for node in nodes if (entry := self._owners[node][1]) is not None]

    def _begin_with_oldest(self, cycle: list[int]) -> list[int]:
        """Turn the cycle so that it begins with the invocation that has waited longest."""

        def age(place: int) -> tuple[float, int]:
            entry = self._owners[cycle[place]][1]
            # Only invocations: a cycle has one, for a slot is always held by one.
            return (-entry.since, place) if isinstance(entry, RunningInvocation) else (1, place)

        start = min(range(len(cycle)), key=age)
        return cycle[start:] + cycle[:start]

    def _waits(self, cycle: list[int]) -> tuple[Wait, ...]:
        waits = []
        for place, node in enumerate(cycle):
            snapshot, entry = self._owners[node]
            if entry is None:
                continue
            following = self._owners[cycle[(place + 1) % len(cycle)]]
            if following[1] is None:
                following = self._owners[cycle[(place + 2) % len(cycle)]]
            waits.append(
                Wait(
                    id=entry.id,
                    task=entry.task,
                    replica=snapshot.replica,
                    role=snapshot.role,
                    version=snapshot.version,
                    waits_for=following[1].id if following[1] is not None else 0,
                    since_s=entry.since,
                    in_words=self._in_words(node, following[0]),
                )
            )
        return tuple(waits)

    def _in_words(self, node: int, following: ReplicaSnapshot) -> str:
        snapshot, entry = self._owners[node]
        if isinstance(entry, QueuedMessage):
            return (
                f"task {entry.task}: a message has waited {entry.since:.1f} s for "
                f"{_slot_of(snapshot)}"
            )
        if entry is None:
            raise ValueError("slots do not wait")
        words = (
            f"task {entry.task}: {snapshot.replica} has waited {entry.since:.1f} s for the "
            f"reply of {following.replica}"
        )
        choices = len(self._targets[node]) - 1
        if choices and self._need[node] <= choices:
            words += f" or of {choices} more, which are stuck too"
        return words

    def _tell(self, cycle: list[int]) -> str:
        """Tell the cycle, one invocation after the other; a queue and its slots are one step."""
        told = ""
        tellable = [
            place
            for place, node in enumerate(cycle)
            if isinstance(self._owners[node][1], RunningInvocation)
        ]
        after_slot = False
        for step, place in enumerate(tellable[:_WAITS_TOLD]):
            snapshot, entry = self._owners[cycle[place]]
            following, awaited = self._owners[cycle[(place + 1) % len(cycle)]]
            if entry is None:
                raise ValueError("slots do not wait")
            if step == 0:
                told = f"task {entry.task}: {snapshot.replica} has waited {entry.since:.1f} s for "
            elif after_slot:
                told += f"; task {entry.task} in {snapshot.replica} waits for "
            else:
                told += ", which waits for "
            after_slot = isinstance(awaited, QueuedMessage)
            told += _slot_of(following) if after_slot else f"the reply of {following.replica}"
        left = len(tellable) - _WAITS_TOLD
        return f"{told}, and so on for {left} more waits" if left > 0 else told


def _slot_of(snapshot: ReplicaSnapshot) -> str:
    tasks = sorted({running.task for running in snapshot.running})
    named = ", ".join(tasks[:_TASKS_NAMED])
    more = f" and {len(tasks) - _TASKS_NAMED} more" if len(tasks) > _TASKS_NAMED else ""
    return (
        f"a slot of {snapshot.replica} ({len(snapshot.running)} of {snapshot.slots} held by "
        f"{'task' if len(tasks) == 1 else 'tasks'} {named}{more})"
    )


def _shortest_cycle(targets: Mapping[int, Sequence[int]]) -> list[int]:
    """Find a shortest cycle through one of the first nodes; every node has a target."""
    # Some nodes of a core only lead to a cycle: a walk is sure to reach one that is on it.
    walker = next(iter(targets))
    seen = set()
    while walker not in seen:
        seen.add(walker)
        walker = targets[walker][0]
    starts = [*list(targets)[:_STARTS], walker]
    cycles = [cycle for start in starts if (cycle := _cycle_through(start, targets))]
    return min(cycles, key=len)


def _cycle_through(start: int, targets: Mapping[int, Sequence[int]]) -> list[int]:
    """Find a shortest cycle through a node by breadth first; empty without one."""
    came_from: dict[int, int] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in targets[node]:
            if target == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if target not in came_from:
                came_from[target] = node
                queue.append(target)
    return []
