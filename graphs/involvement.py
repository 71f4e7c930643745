"""Has the version on trial anything to do with a deadlock, and what follows from it?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import comb
from typing import Literal

from rolewise.graphs.deadlock import Deadlock, RoleVersion

COHORT_P_MAX = 0.01
"""Chance of so uneven a split by luck, below which the canary's tasks are the cause."""


class Part(StrEnum):
    """The part that the canary has in a deadlock.

    `CORE`: one of its replicas is among those that hold each other. `COHORT`: none is, yet all
    tasks in it are the canary's. `VICTIM`: it only waits behind. `NONE`: nothing of that.
    """

    CORE = "core"
    COHORT = "cohort"
    VICTIM = "victim"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Involvement:
    """What part the canary has, and what follows.

    Attributes:
        p: Of Fisher's one-sided test, where it was asked.
        reaction: What the rollout does; `pause` also raises an alarm for people.
        reason: Both in words.
    """

    part: Part
    reaction: Literal["rollback", "pause"]
    p: float | None
    reason: str


def judge_involvement(
    deadlock: Deadlock, *, canary: RoleVersion, free_canary: int, free_baseline: int
) -> Involvement:
    """Say what part the canary has in a deadlock.

    Args:
        deadlock: A confirmed one.
        canary: Role and version on trial.
        free_canary: Tasks of the canary's arm that are in no deadlock.
        free_baseline: The same of the baseline's arm.
    """
    name = "@".join(canary)
    if canary in deadlock.versions:
        reason = f"{name}, which is on trial, is one of those that hold each other"
        return Involvement(part=Part.CORE, reaction="rollback", p=None, reason=reason)
    if deadlock.tasks and deadlock.tasks_canary == len(deadlock.tasks):
        return _cohort(deadlock, name, free_canary, free_baseline)
    if canary in deadlock.victim_versions:
        reason = f"{name}, which is on trial, only waits behind it: not its fault, but while it "
        reason += "waits its figures say nothing"
        return Involvement(part=Part.VICTIM, reaction="pause", p=None, reason=reason)
    reason = f"{name}, which is on trial, has no part in it: the rollout is frozen until somebody "
    reason += "has looked"
    return Involvement(part=Part.NONE, reaction="pause", p=None, reason=reason)


def _cohort(deadlock: Deadlock, name: str, free_canary: int, free_baseline: int) -> Involvement:
    held = deadlock.tasks_canary
    p = fisher_greater(held, free_canary, deadlock.tasks_baseline, free_baseline)
    harmful = p < COHORT_P_MAX
    reason = (
        f"no replica of {name} is in it, but all its tasks were given to the trial "
        f"({held} of {held + free_canary} of the canary's, 0 of {free_baseline} of the baseline's"
        f"; by luck with p = {p:.2g}, the limit is {COHORT_P_MAX:g})"
    )
    return Involvement(
        part=Part.COHORT, reaction="rollback" if harmful else "pause", p=p, reason=reason
    )


def fisher_greater(hit_a: int, free_a: int, hit_b: int, free_b: int) -> float:
    """Return the p-value of Fisher's exact test that group A is hit more often than group B.

    References:
        Fisher: Statistical Methods for Research Workers, §21.02 (1934).
    """
    hits, size_a, size_b = hit_a + hit_b, hit_a + free_a, hit_b + free_b
    total = comb(size_a + size_b, hits)
    worse = range(hit_a, min(hits, size_a) + 1)
    # Whole numbers until the end: no rounding, however many tasks.
    return sum(comb(size_a, a) * comb(size_b, hits - a) for a in worse) / total
