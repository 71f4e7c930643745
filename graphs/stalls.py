"""What does not move and is no deadlock: lost messages, blocked loops, silent and slow replicas.

Each is told apart from a deadlock by what was seen: an orphan waits for a reply that can no longer
come; a blocked loop is an agent that computes where it should await; an unresponsive replica does
not answer at all; starvation is a full pool in which nobody is stuck, only slow. All of them are
for people to look at: none says that the version on trial is at fault.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rolewise.graphs.reduction import reduce
from rolewise.graphs.rounds import Ints, Round, Sort
from rolewise.graphs.snapshots import Ending
from rolewise.graphs.wait_for import LOOP_BLOCKED_S, build_wait_for, find_rows, standing_rows

GRACE_S = 5.0
"""A message may be under way so long before it counts as lost."""

STARVED_S = 30.0
"""A full replica must have changed none of its invocations for so long."""

SERVICE_TIMES = 3.0
"""... or so many times what its role takes for all but the slowest."""

SILENT_ROUNDS = 3
"""A replica that did not answer in so many rounds running is unresponsive."""

Lost = Literal["replica_died", "request_lost", "reply_lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """A wait for a reply that can no longer come.

    Attributes:
        how: Why not.
        id: The invocation that waits.
        awaited: The message whose reply it waits for.
        sent_to: The replica that this was sent to.
        behind: Invocations and messages that are held up by this and the other orphans.
    """

    how: Lost
    id: int
    awaited: int
    task: str
    arm: int
    replica: str
    sent_to: str
    since_s: float
    behind: int

    @property
    def key(self) -> str:
        """The same for all that were lost in the same way at the same replica."""
        return f"orphan {self.how} {self.sent_to}"

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        why = {
            "replica_died": f"of {self.sent_to}, which has died since: nobody will answer",
            "request_lost": f"of {self.sent_to}, which never got the request: it was lost",
            "reply_lost": f"of {self.sent_to}, which has answered: the reply was lost",
        }[self.how]
        behind = f"; {self.behind} more wait behind it" if self.behind else ""
        waited = f"has waited {self.since_s:.1f} s for the reply"
        return f"orphan: task {self.task}: {self.replica} {waited} {why}{behind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedLoop:
    """A replica whose agent computes or blocks on its event loop: nothing else moves there."""

    replica: str
    lag_s: float
    running: int

    @property
    def key(self) -> str:
        """The same as long as it is the same replica."""
        return f"blocked loop {self.replica}"

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return (
            f"blocked loop: the event loop of {self.replica} has not turned for {self.lag_s:.1f} s"
            f" ({self.running} invocations there): its agent blocks where it should await"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresponsive:
    """A replica that does not answer, not even about itself."""

    replica: str
    rounds: int

    @property
    def key(self) -> str:
        """The same as long as it is the same replica."""
        return f"unresponsive {self.replica}"

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        return (
            f"unresponsive: {self.replica} has not answered {self.rounds} times running; "
            "what waits there is not seen"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Starvation:
    """All slots of a replica are held by the same invocations for long, and messages queue.

    Attributes:
        leaves: Where the work is that all of them wait for in the end: node -> invocations.
    """

    replica: str
    slots: int
    queued: int
    held_s: float
    leaves: tuple[tuple[str, int], ...]

    @property
    def key(self) -> str:
        """The same as long as it is the same replica."""
        return f"starvation {self.replica}"

    @property
    def sentence(self) -> str:
        """What happened, for people."""
        leaves = ", ".join(f"{count} in {node}" for node, count in self.leaves) or "nobody seen"
        return (
            f"starvation: {self.replica} is slow but alive: {self.slots} of {self.slots} slots "
            f"held by the same invocations for {self.held_s:.0f} s, {self.queued} messages wait; "
            f"at work for them: {leaves}"
        )


Stall = Orphan | BlockedLoop | Unresponsive | Starvation


@dataclass(slots=True)
class StallWatch:
    """Looks at round after round; the caller gives the time.

    Attributes:
        grace_s: See `GRACE_S`.
        service_s: Role -> what all but the slowest of its handlings take, where it is known.
    """

    grace_s: float = GRACE_S
    service_s: Mapping[str, float] = field(default_factory=dict)
    _held: dict[str, tuple[frozenset[int], float]] = field(default_factory=dict)
    _silent: Counter[str] = field(default_factory=Counter)

    @property
    def is_anything_held(self) -> bool:
        """Whether a replica was full, with messages in its queue."""
        return bool(self._held)

    def look(self, first: Round, second: Round, now_s: float) -> tuple[Stall, ...]:
        """Say what does not move, apart from orphans: see `find_orphans`.

        Args:
            first: The round before.
            second: The latest one.
            now_s: When it was made, on any clock that goes on.
        """
        self._silent = Counter({name: self._silent[name] + 1 for name in second.blind})
        silent = [
            Unresponsive(replica=name, rounds=rounds)
            for name, rounds in sorted(self._silent.items())
            if rounds >= SILENT_ROUNDS
        ]
        return (*find_blocked_loops(second), *silent, *self._starved(first, second, now_s))

    def _starved(self, first: Round, second: Round, now_s: float) -> list[Starvation]:
        holders: dict[int, list[int]] = defaultdict(list)
        holds = np.flatnonzero(second.sort <= Sort.WAITING)
        for row, at in zip(holds.tolist(), second.replica[holds].tolist(), strict=True):
            holders[at].append(row)
        queued = np.bincount(
            second.replica[second.sort == Sort.QUEUED], minlength=len(second.heads)
        )
        held_before, self._held = self._held, {}
        suspects = []
        for at, head in enumerate(second.heads):
            rows = holders[at]
            if len(rows) < max(head.slots, 1) or not queued[at]:
                continue
            ids = frozenset(second.id[rows].tolist())
            name = f"{head.replica} {head.incarnation}"
            before, since = held_before.get(name, (ids, now_s))
            since = since if before == ids else now_s
            self._held[name] = ids, since
            limit_s = max(STARVED_S, SERVICE_TIMES * self.service_s.get(head.role, 0.0))
            if now_s - since >= limit_s and head.loop_lag_s <= LOOP_BLOCKED_S:
                suspects.append((at, rows, now_s - since))
        if not suspects:
            return []
        graph = build_wait_for(first, second)
        stuck = reduce(graph.need, graph.src, graph.dst)
        leaves = _Leaves(second)
        return [
            Starvation(
                replica=second.heads[at].replica,
                slots=second.heads[at].slots,
                queued=int(queued[at]),
                held_s=held_s,
                leaves=leaves.below(rows),
            )
            for at, rows, held_s in suspects
            if not stuck[rows].any()
        ]


def find_blocked_loops(round_: Round) -> tuple[BlockedLoop, ...]:
    """Return the replicas whose event loop is blocked."""
    running = np.bincount(round_.replica[round_.sort <= Sort.WAITING], minlength=len(round_.heads))
    return tuple(
        BlockedLoop(replica=head.replica, lag_s=head.loop_lag_s, running=int(count))
        for head, count in zip(round_.heads, running, strict=True)
        if head.loop_lag_s > LOOP_BLOCKED_S
    )


def find_orphan_suspects(first: Round, second: Round, *, grace_s: float = GRACE_S) -> set[str]:
    """Return the replicas that somebody waits for though they have nothing of it.

    Whether such a message was lost, or its reply, they know themselves: ask them for what they
    have finished lately, and give it to `find_orphans`.
    """
    alive = {head.replica for head in second.heads}
    lonely = _lonely(first, second, grace_s).tolist()
    return alive.intersection(second.edge_to[edge] for edge in lonely)


def find_orphans(
    first: Round, second: Round, recent: Round, *, grace_s: float = GRACE_S
) -> tuple[Orphan, ...]:
    """Return the waits for a reply that can no longer come.

    Args:
        first: A round of snapshots.
        second: The next one. Only waits that stand in both count.
        recent: A later round of the suspects, with what they have finished lately.
        grace_s: A wait must be older.
    """
    heads = {head.replica: head for head in second.heads}
    asked = {head.replica: head for head in recent.heads}
    endings = {
        (recent.heads[at].replica, id_): Ending(ending)
        for at, id_, ending in zip(
            recent.recent_replica.tolist(),
            recent.recent_id.tolist(),
            recent.recent_ending.tolist(),
            strict=True,
        )
    }
    seen_later = set(recent.id.tolist())
    lost: dict[int, Lost] = {}
    for edge in _lonely(first, second, grace_s).tolist():
        to, awaited = second.edge_to[edge], int(second.edge_id[edge])
        since = float(second.since[second.edge_row[edge]])
        head = heads.get(to)
        if head is None or head.up_s < since:
            lost[edge] = "replica_died"
        elif to not in asked or awaited in seen_later:
            continue  # it cannot be told, or it has just arrived
        elif asked[to].incarnation != head.incarnation:
            lost[edge] = "replica_died"
        else:
            lost[edge] = "reply_lost" if (to, awaited) in endings else "request_lost"
    return _orphans(first, second, lost)


def _lonely(first: Round, second: Round, grace_s: float) -> Ints:
    """Return the edges to messages that were seen nowhere, in both rounds, for longer than that."""
    edges = np.flatnonzero(~second.edge_is_lock & (second.sort[second.edge_row] == Sort.WAITING))
    ids = second.edge_id[edges]
    for round_ in (first, second):
        among = np.flatnonzero(round_.sort <= Sort.QUEUED)
        is_seen = np.isin(ids, round_.id[among]) if len(among) else np.zeros(len(ids), np.bool_)
        edges, ids = edges[~is_seen], ids[~is_seen]
    rows = second.edge_row[edges]
    is_old = (second.since[rows] > grace_s) & standing_rows(first, second)[rows]
    blind = {*first.blind, *second.blind, ""}
    known = np.array([second.edge_to[edge] not in blind for edge in edges.tolist()], np.bool_)
    return edges[is_old & known]


def _orphans(first: Round, second: Round, lost: Mapping[int, Lost]) -> tuple[Orphan, ...]:
    if not lost:
        return ()
    graph = build_wait_for(first, second)
    stuck = reduce(graph.need, graph.src, graph.dst)
    graph = build_wait_for(first, second, lost=lost)
    held = reduce(graph.need, graph.src, graph.dst) & ~stuck
    roots = {int(second.edge_row[edge]) for edge in lost}
    behind = len(set(graph.entries(held).tolist()) - roots)
    return tuple(
        Orphan(
            how=how,
            id=int(second.id[row]),
            awaited=int(second.edge_id[edge]),
            task=second.task[row],
            arm=int(second.arm[row]),
            replica=second.heads[int(second.replica[row])].replica,
            sent_to=second.edge_to[edge],
            since_s=float(second.since[row]),
            behind=behind,
        )
        for edge, how in lost.items()
        # One of several replies may be lost without harm.
        if held[row := int(second.edge_row[edge])]
    )


class _Leaves:
    """Follows waits down to those who are at work."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        among = np.flatnonzero(round_.sort <= Sort.QUEUED)
        self._targets: dict[int, list[int]] = defaultdict(list)
        targets = find_rows(round_.edge_id, round_.id, among)
        for row, target in zip(round_.edge_row.tolist(), targets.tolist(), strict=True):
            if target >= 0:
                self._targets[row].append(target)
        self._holders: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(round_.sort <= Sort.WAITING).tolist():
            self._holders[int(round_.replica[row])].append(row)

    def below(self, rows: list[int]) -> tuple[tuple[str, int], ...]:
        """Return the nodes at work for these rows, busiest first, and how many there."""
        seen, work = set(rows), list(rows)
        found: Counter[str] = Counter()
        while work:
            row = work.pop()
            if self._round.sort[row] == Sort.ACTIVE:
                head = self._round.heads[int(self._round.replica[row])]
                found[f"{head.role}@{head.version}"] += 1
            queued = self._round.sort[row] == Sort.QUEUED
            more = self._holders[int(self._round.replica[row])] if queued else self._targets[row]
            for target in more:
                if target not in seen:
                    seen.add(target)
                    work.append(target)
        return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))
