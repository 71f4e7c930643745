"""Facts that need no statistics: a confirmed deadlock, a crash loop. Pure: observations in."""

from __future__ import annotations

from collections.abc import Sequence

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.runtime import ReplicaStatus
from rolewise.graphs.deadlock import Deadlock


def find_facts(
    trial: Trial,
    analysis: Analysis,
    *,
    deadlocks: Sequence[Deadlock],
    replicas: Sequence[ReplicaStatus],
) -> tuple[HardFact, ...]:
    """Return what rolls the trial back at once.

    A deadlock counts only when the version on trial is in its core: one that holds the baseline
    too is an alarm for people, not the canary's fault.
    """
    facts: list[HardFact] = []
    if analysis.deadlock:
        facts += [
            deadlock_fact(deadlock)
            for deadlock in deadlocks
            if deadlock.involves([(trial.role, trial.version)])
        ]
    if analysis.restart_limit:
        facts += [
            HardFact(
                kind="crash_loop",
                sentence=f"crash loop: {replica.replica} died {replica.restarts} times"
                + (f": {replica.reason}" if replica.reason else ""),
            )
            for replica in replicas
            if (replica.role, replica.version) == (trial.role, trial.version)
            and replica.restarts >= analysis.restart_limit
        ]
    return tuple(facts)


def deadlock_fact(deadlock: Deadlock) -> HardFact:
    """Return a deadlock in words: who, which versions, how many tasks, and the circle of waits."""
    nodes = ", ".join(deadlock.nodes)
    tasks = len(deadlock.tasks)
    until = "" if deadlock.ends_in_s is None else ", until a timeout ends it"
    return HardFact(
        kind="deadlock",
        sentence=(
            f"deadlock confirmed in two rounds of snapshots: {nodes} hold each other up"
            f"{until}; {tasks} task{'s' if tasks != 1 else ''} in it, "
            f"{deadlock.victims} more waiting behind: {deadlock.sentence}"
        ),
        details=tuple(wait.in_words for wait in deadlock.cycle),
    )
