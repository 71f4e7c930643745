"""Facts that need no statistics: a confirmed deadlock, a crash loop. Pure: observations in."""

from __future__ import annotations

from collections.abc import Sequence

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.runtime import ReplicaStatus
from rolewise.graphs.deadlock import Deadlock
from rolewise.graphs.involvement import Involvement, judge_involvement


def find_facts(
    trial: Trial,
    analysis: Analysis,
    *,
    deadlocks: Sequence[Deadlock],
    replicas: Sequence[ReplicaStatus],
    tasks_canary: int = 0,
    tasks_baseline: int = 0,
) -> tuple[HardFact, ...]:
    """Return what rolls the trial back at once, or pauses it until somebody has looked.

    Args:
        trial: Who is on trial.
        analysis: Which facts count.
        deadlocks: Those confirmed now.
        replicas: All replicas.
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
