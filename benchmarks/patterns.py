"""How often the pattern tests cry wolf, and what a look costs.

    python benchmarks/patterns.py            # a few minutes
    python benchmarks/patterns.py --short    # seconds; the tests run this

Simulated fleet: four task types, edges with very different use, tasks that differ from each other
more than chance would have it (gamma for counts, Dirichlet for choices). Both arms come from the
same distribution, so that every alarm is false. Everything is drawn from `--seed`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from math import ceil
from statistics import median

import numpy as np

from rolewise.graphs.patterns import PatternReport, alpha_at, look, next_look_at
from rolewise.graphs.patterns.columns import build_columns
from rolewise.graphs.patterns.look import SHARES
from rolewise.graphs.patterns.relabelling import EXCEEDANCES
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.task_rows import TaskRows

TYPES = 4


@dataclass(frozen=True)
class Fleet:
    """A fleet that tasks are drawn from: `use[type, edge]`, `choices[type, state, target]`."""

    use: np.ndarray
    choices: np.ndarray


def a_fleet(edges: int, states: int, rng: np.random.Generator) -> Fleet:
    use = rng.gamma(0.6, 2.0, size=(TYPES, edges)) * (rng.random((TYPES, edges)) < 0.6)
    choices = rng.dirichlet(np.full(4, 0.8), size=(TYPES, states))
    return Fleet(use, choices)


def draw_tasks(fleet: Fleet, tasks: int, rng: np.random.Generator) -> tuple[TaskRows, np.ndarray]:
    """Draw tasks; return their rows and their types."""
    kind = rng.integers(0, TYPES, tasks)
    busy = rng.gamma(2.0, 0.5, size=(tasks, 1))  # one task is livelier than another, everywhere
    sends = rng.poisson(fleet.use[kind] * busy * rng.gamma(3.0, 1 / 3, size=(tasks, 1)))
    row, col = np.nonzero(sends)
    count = sends[row, col].astype(np.float64)
    states, targets = fleet.choices.shape[1:]
    visits = rng.poisson(3.0 * busy, size=(tasks, states))
    taste = rng.gamma(4.0 * fleet.choices[kind] + 0.05)
    taste /= taste.sum(axis=2, keepdims=True)
    moves = rng.multinomial(visits, taste).reshape(tasks, -1)
    move_row, move_col = np.nonzero(moves)
    failed = rng.binomial(sends[row, col], 0.02).astype(np.float64)
    log2_latency = rng.normal(27, 1, len(row)) * count
    return (
        TaskRows(
            task=np.arange(tasks, dtype=np.uint64),
            edge_row=row.astype(np.int32),
            edge_col=col.astype(np.int32),
            sends=count,
            failed=failed,
            unanswered=np.zeros(len(row)),
            log2_latency_sum=log2_latency,
            latency_count=count,
            log2_size_sum=rng.normal(9, 1, len(row)) * count,
            edges=tuple((f"r{e % 7}", f"r{e % 5}", f"k{e}") for e in range(sends.shape[1])),
            move_row=move_row.astype(np.int32),
            move_col=move_col.astype(np.int32),
            move_count=moves[move_row, move_col].astype(np.float64),
            moves=tuple(
                (f"r{s}", "ask", f"r{t}", "ask") for s in range(states) for t in range(targets)
            ),
            messages=sends.sum(axis=1).astype(np.float64),
            max_hop=rng.integers(1, 8, tasks).astype(np.float64),
            roles=(sends > 0).sum(axis=1).astype(np.float64),
            fan_out=sends.max(axis=1).astype(np.float64),
            retries=rng.poisson(0.1, tasks).astype(np.float64),
            late_sends=(rng.random(tasks) < 0.01).astype(np.float64),
            partial=np.zeros(tasks, bool),
        ),
        kind,
    )


def first_tasks(rows: TaskRows, count: int) -> TaskRows:
    """Return the first `count` tasks."""
    on_edges, on_moves = rows.edge_row < count, rows.move_row < count
    sparse = ("edge_row", "edge_col", "sends", "failed", "unanswered")
    sparse += ("log2_latency_sum", "latency_count", "log2_size_sum")
    dense = ("task", "messages", "max_hop", "roles", "fan_out", "retries", "late_sends", "partial")
    return replace(
        rows,
        **{name: getattr(rows, name)[on_edges] for name in sparse},
        **{name: getattr(rows, name)[on_moves] for name in ("move_row", "move_col", "move_count")},
        **{name: getattr(rows, name)[:count] for name in dense},
    )


def looks_of_a_stage(
    fleet: Fleet, looks: int, share: float, alpha: float, rng: np.random.Generator
) -> list[PatternReport]:
    """Look again and again at a stage in which nothing differs, as its tasks close."""
    total = round(next_look_at(looks - 1) / share)
    rows, kind = draw_tasks(fleet, total, rng)
    canary = rng.random(total) < share
    flagged = rng.random(total) < 0.02
    reports = []
    for number in range(looks):
        count = round(next_look_at(number) / share)
        block = np.searchsorted(
            [round(next_look_at(j) / share) for j in range(looks)], np.arange(count), "right"
        )
        reports.append(
            look(
                first_tasks(rows, count),
                canary=canary[:count],
                stratum=kind[:count] + TYPES * block,
                flagged=flagged[:count],
                rng=rng,
                number=number,
                alpha=alpha,
            )
        )
    return reports


def false_alarms(
    stages: int, *, edges: int, looks: int, share: float, alpha: float, seed: int
) -> dict[str, int]:
    """Count the stages in which a family raised an alarm at any look; there is nothing to find."""
    rng = np.random.default_rng(seed)
    fleet = a_fleet(edges, 8, rng)
    counts: Counter[str] = Counter()
    for _ in range(stages):
        reports = looks_of_a_stage(fleet, looks, share, alpha, rng)
        found = {f.family for report in reports for f in report.findings if f.is_alarm}
        counts.update(found)
        counts["any"] += bool(found)
    return {name: counts[name] for name in ("features", "transitions", "edges", "any")}


def with_a_change(rows: TaskRows, canary: np.ndarray) -> TaskRows:
    """Let the canary send more on one edge and choose otherwise once: no relabelling comes near."""
    sends = np.where(canary[rows.edge_row] & (rows.edge_col == 0), 3 * rows.sends, rows.sends)
    chosen = canary[rows.move_row] & (rows.move_col == 0)
    return replace(
        rows, sends=sends, move_count=np.where(chosen, 5 * rows.move_count, rows.move_count)
    )


def time_looks(tasks: int, edges: int, *, seed: int, rounds: int) -> dict[str, float]:
    """Time one look: where nothing is there, and where an alarm is near in both searches.

    The whole searches draw every relabelling that the look may need; that is the most it can cost.
    """
    rng = np.random.default_rng(seed)
    fleet = a_fleet(edges, 30, rng)
    rows, kind = draw_tasks(fleet, tasks, rng)
    canary = rng.random(tasks) < 0.1
    flagged = rng.random(tasks) < 0.02
    number = int(canary.sum() // 25).bit_length() - 1
    columns = len(build_columns(rows, flagged, Strata(canary, kind)))
    drawn = [
        ceil(EXCEEDANCES / (alpha_at(number) * SHARES[f])) for f in ("features", "transitions")
    ]
    changed = with_a_change(rows, canary)
    sides = {
        f"quiet ({columns} columns)": rows,
        f"near an alarm ({drawn[0]:,} + {drawn[1]:,} relabellings)": changed,
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            begin = time.process_time()
            report = look(
                side, canary=canary, stratum=kind, flagged=flagged, rng=rng, number=number
            )
            seconds[name].append(time.process_time() - begin)
            families = {finding.family for finding in report.findings if finding.is_alarm}
            if (families >= {"features", "transitions"}) != (side is changed):
                raise SystemExit(f"{name}: {report.reason}")
    return {name: median(times) for name, times in seconds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="seconds instead of minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    stages, tasks = (40, 2_000) if options.short else (400, 20_000)
    # At the real alpha of 1 % hardly any stage alarms; a large one measures the same machinery.
    alpha = 0.2
    alarms = false_alarms(stages, edges=20, looks=4, share=0.2, alpha=alpha, seed=options.seed)
    times = time_looks(tasks, 200, seed=options.seed, rounds=1 if options.short else 5)
    limits = {"features": 0.5, "transitions": 0.25, "edges": 0.25, "any": 1.0}
    if options.json:
        print(json.dumps({"stages": stages, "alpha": alpha, "alarms": alarms, "seconds": times}))
        return 0
    print(f"{stages} stages without any difference, 4 looks each, alpha {alpha:.0%}:")
    for name, count in alarms.items():
        print(f"  {name:12} {count / stages:6.1%} of stages; allowed: {alpha * limits[name]:.0%}")
    print(f"one look at {tasks} tasks x 200 edges, CPU seconds (all threads; wanted < 10):")
    for name, seconds in times.items():
        print(f"  {seconds:8.2f}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
