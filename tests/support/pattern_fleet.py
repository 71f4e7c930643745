"""A small fleet whose tasks are drawn from a seed, and a comparison of two arms of it."""

from __future__ import annotations

import numpy as np

from rolewise.graphs.patterns import look
from tests.support.task_rows import Sketch, rows_of

ASK = ("planner", "supplier", "rfq")
TELL = ("planner", "warehouse", "note")
NEW = ("supplier", "planner", "nag")
QUOTE = ("supplier", "rfq", "reply", "quote")
REJECT = ("supplier", "rfq", "reply", "reject")
ORDER = ("planner", "quote", "supplier", "order")
SHOP = ("planner", "quote", "market", "ask")


def usual(rng, *, asks=3.0, reject=0.1, share=0.5):
    """One task of a fleet in which nothing is wrong; liveliness differs from task to task."""
    lively = rng.gamma(4.0, 0.25)
    asked = 1 + int(rng.poisson(asks * lively))
    rejected = int(rng.binomial(asked, reject))
    ordered = int(rng.binomial(asked - rejected, share))
    return Sketch(
        sends={ASK: asked, TELL: 1 + int(rng.poisson(lively))},
        latency_ms={ASK: list(rng.lognormal(3, 0.5, asked))},
        sizes={ASK: [100 + int(x) for x in rng.integers(0, 50, asked)]},
        moves={
            move: n
            for move, n in (
                (QUOTE, asked - rejected),
                (REJECT, rejected),
                (ORDER, ordered),
                (SHOP, asked - rejected - ordered),
            )
            if n
        },
        max_hop=2 + int(rng.poisson(lively)),
        fan_out=asked,
    )


def compare(change=None, *, baseline=200, canary=100, seed=3, flagged=None, **options):
    rng = np.random.default_rng(seed)
    tasks = [usual(rng) for _ in range(baseline)]
    for _ in range(canary):
        task = usual(rng)
        tasks.append(change(task, rng) or task if change else task)
    arm = np.arange(baseline + canary) >= baseline
    return look(
        rows_of(tasks),
        canary=arm,
        stratum=np.zeros(len(tasks), np.int32),
        flagged=np.zeros(len(tasks), bool) if flagged is None else flagged(arm, rng),
        rng=np.random.default_rng(seed),
        **options,
    )


def found(report):
    return {finding.what: finding for finding in report.findings}
