"""Task records of a trial, made by seed."""

import random

from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm

ROLE, SALT = "negotiator", "trial-1"


def a_record(number, *, canary, weight=50.0, outcome=Outcome.COMPLETED, latency_s=1.0, errors=0):
    arm = Arm.CANARY if canary else Arm.BASELINE
    return TaskRecord(
        task=f"t{number}",
        number=number,
        table=1,
        assignments=(
            Assignment(role="other", salt="elsewhere", arm=Arm.CANARY, weight=1.0),
            Assignment(role=ROLE, salt=SALT, arm=arm, weight=weight),
        ),
        latency_s=latency_s,
        outcome=outcome,
        tool_errors=errors,
    )


def some_records(
    count,
    *,
    seed=7,
    weight=50.0,
    first=1,
    completes=(0.93, 0.93),
    errs=(0.05, 0.05),
    slow=(1.0, 1.0),
):
    """Records of `count` tasks; pairs are (baseline, canary)."""
    rng = random.Random(seed)
    for number in range(first, first + count):
        canary = rng.random() * 100.0 < weight
        yield a_record(
            number,
            canary=canary,
            weight=weight,
            outcome=Outcome.COMPLETED if rng.random() < completes[canary] else Outcome.FAILED,
            latency_s=rng.lognormvariate(0.0, 0.8) * slow[canary],
            errors=int(rng.random() < errs[canary]),
        )
