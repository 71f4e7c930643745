"""Rows of recordings, made by seed."""

import random
from math import inf

from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.task import Outcome


def some_rows(
    count,
    *,
    seed=1,
    weight=25.0,
    fails=(0.05, 0.05),
    takes_s=(5.0, 5.0),
    fails_after_s=(5.0, 5.0),
    hangs=(0.0, 0.0),
    rate=1.0,
):
    """Rows in start order, one every 1/rate seconds; pairs are (baseline, canary)."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        canary = rng.random() * 100.0 < weight
        started = number / rate
        failed = rng.random() < fails[canary]
        took = fails_after_s[canary] if failed else takes_s[canary] * rng.lognormvariate(0.0, 0.5)
        row = Row(
            task=f"t{number}",
            canary=canary,
            weight=weight,
            started_s=started,
            ended_s=started + took,
            outcome=Outcome.FAILED if failed else Outcome.COMPLETED,
            latency_s=took,
            tool_errors=int(rng.random() < 0.05),
        )
        if rng.random() < hangs[canary]:
            row.outcome, row.ended_s, row.latency_s = Outcome.RUNNING, inf, None
        rows.append(row)
    return rows
