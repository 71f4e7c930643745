"""Facts that need no statistics: a deadlock, a crash loop, lost nodes. Pure: observations in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rolewise.coordinator.fleet_log import FleetIncident
from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.runtime import ReplicaStatus
from rolewise.graphs.deadlock import Deadlock
from rolewise.graphs.involvement import Involvement, judge_involvement

NODE_LOSSES = 3
"""Times that a node was lost with a replica of the canary, and hardly one of the others, until
people are asked. Where either is hit as likely, that happens once in eight times at most."""

ONE_LOSS = timedelta(seconds=60)
"""Replicas whose node was lost within this time of each other were lost with one node."""


def find_facts(
    trial: Trial,
    analysis: Analysis,
    *,
    deadlocks: Sequence[Deadlock],
    replicas: Sequence[ReplicaStatus],
    incidents: Sequence[FleetIncident] = (),
    tasks_canary: int = 0,
    tasks_baseline: int = 0,
) -> tuple[HardFact, ...]:
    """Return what rolls the trial back at once, or pauses it until somebody has looked.

    Args:
        trial: Who is on trial.
        analysis: Which facts count.
        deadlocks: Those confirmed now.
        replicas: All replicas.
        incidents: What went wrong with the fleet's processes since the rollout began.
        tasks_canary: Tasks of the canary's arm that have ended: they are in no deadlock.
        tasks_baseline: The same of the baseline's arm.
    """
    facts: list[HardFact] = []
    if analysis.deadlock:
        facts += [
            deadlock_fact(
                deadlock,
                judge_involvement(
                    deadlock,
                    canary=(trial.role, trial.version),
                    free_canary=tasks_canary,
                    free_baseline=tasks_baseline,
                ),
            )
            for deadlock in deadlocks
        ]
    if analysis.restart_limit:
        facts += _crash_loops(trial, analysis.restart_limit, replicas)
    facts += _lost_nodes(trial, incidents)
    return tuple(facts)


def _crash_loops(trial: Trial, limit: int, replicas: Sequence[ReplicaStatus]) -> list[HardFact]:
    """Return the canary's replicas that die again and again.

    Only deaths count that may be the version's own doing. Where the stable replicas of the role
    die half as often, it is not what changed: people are asked, and nothing is taken back.
    """
    of_role = [one for one in replicas if one.role == trial.role]
    canary = [one.crashes for one in of_role if one.version == trial.version]
    stable = [one.crashes for one in of_role if one.version != trial.version]
    is_shared = any(stable) and _mean(stable) >= _mean(canary) / 2
    also = f", but those of other versions die as well ({_mean(stable):.1f} times each)"
    return [
        HardFact(
            kind="crash_loop",
            sentence=f"crash loop: {one.replica} died {one.crashes} times in ten minutes"
            + (also if is_shared else "")
            + (f": {one.reason}" if one.reason else ""),
            reaction="pause" if is_shared else "rollback",
            key="crash loop of both" if is_shared else f"crash loop {one.replica}",
        )
        for one in of_role
        if one.version == trial.version and one.crashes >= limit
    ]


def _lost_nodes(trial: Trial, incidents: Sequence[FleetIncident]) -> list[HardFact]:
    """Ask people when nodes are lost again and again, and always with the canary.

    What was lost with a node counts against no version. But a version may be what brings its
    nodes down, and then it would be promoted on the tasks that it left alive.
    """
    lost = [
        one
        for one in incidents
        if one.kind is IncidentKind.NODE_LOST and one.what.startswith(f"{trial.role}@")
    ]
    node = f"{trial.role}@{trial.version}#"
    canary = _count_losses([one.at for one in lost if one.what.startswith(node)])
    others = _count_losses([one.at for one in lost if not one.what.startswith(node)])
    if canary < NODE_LOSSES or others * 2 > canary:
        return []
    return [
        HardFact(
            kind="lost_nodes",
            sentence=(
                f"{canary} times in this rollout a node was lost that carried {trial.role} "
                f"{trial.version}, {others} times one that carried another version of it: does it "
                "bring its nodes down? Tasks that were lost with a node are left out of the verdict"
            ),
            reaction="pause",
            key=f"lost nodes {trial.role} {trial.version}",
        )
    ]


def _count_losses(moments: Sequence[datetime]) -> int:
    """Return how many nodes were lost, by when their replicas were."""
    losses = 0
    last: datetime | None = None
    for moment in sorted(moments):
        if last is None or moment - last > ONE_LOSS:
            losses, last = losses + 1, moment
    return losses


def _mean(figures: Sequence[int]) -> float:
    return sum(figures) / max(len(figures), 1)


def deadlock_fact(deadlock: Deadlock, involvement: Involvement) -> HardFact:
    """Return a deadlock in words: who, how many tasks, the circle of waits, and whose fault."""
    nodes = ", ".join(deadlock.nodes)
    tasks = len(deadlock.tasks)
    hold = "hold each other up" if len(deadlock.nodes) > 1 else "holds itself up"
    until = "" if deadlock.kind == "hard" else ", until a timeout ends it"
    unseen = f"; no answer from {', '.join(deadlock.blind)}" if deadlock.blind else ""
    whose = f" ({involvement.reason})" if involvement.reaction == "pause" else ""
    return HardFact(
        kind="deadlock",
        sentence=(
            f"deadlock confirmed in two rounds of snapshots: {nodes} {hold}"
            f"{until}; {tasks} task{'s' if tasks != 1 else ''} in it, "
            f"{deadlock.victims} more waiting behind: {deadlock.sentence}{whose}"
        ),
        details=(
            *(wait.in_words for wait in deadlock.cycle),
            f"{involvement.part}: {involvement.reason}{unseen}",
        ),
        reaction=involvement.reaction,
        key=f"deadlock {deadlock.signature}",
    )
