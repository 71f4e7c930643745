"""A core of waits as people would tell it: one circle, who waits for whom, since when."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rolewise.graphs.rounds import Bools, Ints, Sort
from rolewise.graphs.snapshots import ReplicaHead
from rolewise.graphs.wait_for import WaitForGraph

_STARTS = 64
_TASKS_NAMED = 3
_WAITS_TOLD = 6
_OTHERS_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One wait of the cycle: an invocation for a reply or a lock, or a message for a slot.

    Attributes:
        id: The invocation or the message.
        replica: Where it stands.
        waits_for: The next one in the circle: the message awaited, or who holds the slot or lock.
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
class Shown:
    """A shortest circle of a core; see `rolewise.graphs.deadlock.Deadlock`."""

    cycle: tuple[Wait, ...]
    sentence: str
    signature: str


class CoreReader:
    """Reads cores of one wait-for graph.

    Args:
        graph: The graph.
        stuck: What is stuck in it.
        canary: (role, version) that a circle is looked for first.
    """

    def __init__(
        self, graph: WaitForGraph, stuck: Bools, canary: Collection[tuple[str, str]] = ()
    ) -> None:
        self._graph = graph
        self._round = graph.round
        self._canary = frozenset(canary)
        self._targets: dict[int, list[int]] = {}
        both = stuck[graph.src] & stuck[graph.dst]
        for src, dst in zip(graph.src[both].tolist(), graph.dst[both].tolist(), strict=True):
            self._targets.setdefault(src, []).append(dst)
        self._place = {head.replica: at for at, head in enumerate(self._round.heads)}

    def versions(self, nodes: Ints) -> frozenset[tuple[str, str]]:
        """Return role and version of the replicas where these nodes stand."""
        heads = [head for node in nodes.tolist() for head in self._heads(node)]
        return frozenset((head.role, head.version) for head in heads)

    def replicas(self, nodes: Ints) -> tuple[str, ...]:
        """Return the replicas where these nodes stand, in order."""
        return tuple(sorted({h.replica for node in nodes.tolist() for h in self._heads(node)}))

    def read(self, core: Ints) -> Shown:
        """Show one core."""
        nodes = core.tolist()
        members = set(nodes)
        targets = {node: [dst for dst in self._targets[node] if dst in members] for node in nodes}
        starts = [node for node in nodes if self.versions_of(node) & self._canary]
        cycle = self._begin_with_oldest(shortest_cycle(targets, starts))
        return Shown(
            cycle=self._waits(cycle), sentence=self._tell(cycle), signature=self._sign(cycle)
        )

    def versions_of(self, node: int) -> frozenset[tuple[str, str]]:
        """Return role and version of the replicas where one node stands."""
        return frozenset((head.role, head.version) for head in self._heads(node))

    def _heads(self, node: int) -> Sequence[ReplicaHead]:
        heads = self._round.heads
        if node < self._graph.rows:
            return (heads[int(self._round.replica[node])],)
        return [heads[self._place[name]] for name in self._graph.pool_of(node)]

    def _name(self, node: int) -> str:
        return self._heads(node)[0].replica

    def _sort(self, node: int) -> Sort:
        return Sort(int(self._round.sort[node]))

    def _begin_with_oldest(self, cycle: list[int]) -> list[int]:
        """Turn the cycle so that it begins with the invocation that has waited longest."""

        def age(place: int) -> tuple[float, int]:
            node = cycle[place]
            # Only invocations: a cycle has one, for slots and locks are always held by one.
            is_running = node < self._graph.rows and self._sort(node) <= Sort.WAITING
            return (-float(self._round.since[node]), place) if is_running else (1.0, place)

        start = min(range(len(cycle)), key=age)
        return cycle[start:] + cycle[:start]

    def _waits(self, cycle: list[int]) -> tuple[Wait, ...]:
        shown = [place for place, node in enumerate(cycle) if self._graph.is_entry(node)]
        waits = []
        for place, following in zip(shown, [*shown[1:], *shown[:1]], strict=True):
            node, next_ = cycle[place], cycle[(place + 1) % len(cycle)]
            head = self._heads(node)[0]
            waits.append(
                Wait(
                    id=int(self._round.id[node]),
                    task=self._round.task[node],
                    replica=head.replica,
                    role=head.role,
                    version=head.version,
                    waits_for=int(self._round.id[cycle[following]]),
                    since_s=float(self._round.since[node]),
                    in_words=self._in_words(node, next_),
                )
            )
        return tuple(waits)

    def _in_words(self, node: int, next_: int) -> str:
        task, since = self._round.task[node], float(self._round.since[node])
        if self._sort(node) == Sort.QUEUED:
            return f"task {task}: a message has waited {since:.1f} s for {self._what(next_)}"
        words = f"task {task}: {self._name(node)} has waited {since:.1f} s for {self._what(next_)}"
        others = [target for target in self._targets[node] if target != next_]
        if others and int(self._graph.need[node]) <= len(others):
            named = [self._what(other) for other in others[:_OTHERS_NAMED]]
            left = len(others) - len(named)
            named += [f"{left} more"] if left else []
            words += f", and every alternative is stuck too: {', '.join(named)}"
        return words

    def _what(self, node: int) -> str:
        """Say what it is that somebody waits for."""
        if self._graph.is_pool(node):
            return self._slots(node)
        kind = self._round.kind[node]
        match self._sort(node):
            case Sort.EXCLUSIVE | Sort.SHARED | Sort.SEMAPHORE:
                return self._lock(node)
            case _ if kind:
                return f"the reply to {kind} of {self._name(node)}"
            case _:
                return f"the reply of {self._name(node)}"

    def _slots(self, node: int) -> str:
        names = self._graph.pool_of(node)
        places = [self._place[name] for name in names]
        holds = (self._round.sort <= Sort.WAITING) & np.isin(self._round.replica, places)
        held = np.flatnonzero(holds).tolist()
        slots = sum(self._round.heads[place].slots for place in places)
        tasks = sorted({self._round.task[row] for row in held})
        named = ", ".join(tasks[:_TASKS_NAMED])
        more = f" and {len(tasks) - _TASKS_NAMED} more" if len(tasks) > _TASKS_NAMED else ""
        where = " or ".join(sorted(names))
        return (
            f"a slot of {where} ({len(held)} of {slots} held by "
            f"{'task' if len(tasks) == 1 else 'tasks'} {named}{more})"
        )

    def _lock(self, node: int) -> str:
        holders = [
            self._round.task[target]
            for target in self._targets.get(node, ())
            if target < self._graph.rows
        ]
        tasks = sorted(set(holders))
        name = self._round.task[node]
        what = f"lock {name}" if name else "a lock"
        return f"{what} of {self._name(node)} (held by {', '.join(tasks[:_TASKS_NAMED])})"

    def _tell(self, cycle: list[int]) -> str:
        """Tell the cycle, one invocation after the other; a queue and its slots are one step."""
        told = ""
        tellable = [
            place
            for place, node in enumerate(cycle)
            if node < self._graph.rows and self._sort(node) <= Sort.WAITING
        ]
        is_held = False
        for step, place in enumerate(tellable[:_WAITS_TOLD]):
            node, next_ = cycle[place], cycle[(place + 1) % len(cycle)]
            task, since = self._round.task[node], float(self._round.since[node])
            if step == 0:
                told = f"task {task}: {self._name(node)} has waited {since:.1f} s for "
            elif is_held:
                told += f"; task {task} in {self._name(node)} waits for "
            else:
                told += ", which waits for "
            # A message in a queue waits for a slot, and that is what its asker waits for.
            is_queued = next_ < self._graph.rows and self._sort(next_) == Sort.QUEUED
            what = cycle[(place + 2) % len(cycle)] if is_queued else next_
            told += self._what(what)
            is_held = what >= self._graph.rows or self._sort(what) >= Sort.EXCLUSIVE
        left = len(tellable) - _WAITS_TOLD
        return f"{told}, and so on for {left} more waits" if left > 0 else told

    def _sign(self, cycle: list[int]) -> str:
        """Return who is in the cycle, whichever replicas and tasks it was this time."""
        parts = set()
        for node in cycle:
            for role, version in self.versions_of(node):
                what = "slots"
                if node < self._graph.rows:
                    what = f"{self._sort(node).name.lower()} {self._round.kind[node]}".rstrip()
                parts.add(f"{role}@{version} {what}")
        return "; ".join(sorted(parts))


def shortest_cycle(targets: Mapping[int, Sequence[int]], starts: Sequence[int] = ()) -> list[int]:
    """Find a shortest cycle through one of the first nodes; every node has a target.

    Args:
        targets: Node -> the nodes that it waits for.
        starts: Nodes to begin with, if a cycle leads through them.
    """
    # Some nodes of a core only lead to a cycle: a walk is sure to reach one that is on it.
    walker = next(iter(targets))
    seen = set()
    while walker not in seen:
        seen.add(walker)
        walker = targets[walker][0]
    for some in (list(starts)[:_STARTS], [*list(targets)[:_STARTS], walker]):
        cycles = [cycle for start in some if (cycle := _cycle_through(start, targets))]
        if cycles:
            return min(cycles, key=len)
    return []


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
