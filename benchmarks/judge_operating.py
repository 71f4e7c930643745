"""How often the judge is wrong, and how fast it is right: beside three other rules and the bound.

    python benchmarks/judge_operating.py [--short] [--workers 2] [--out benchmarks]

Every rule looks after every task (the others as they do), on the same simulated tasks. False
rollbacks: versions that are alike, for each kind of signal and for a whole judge of eight. False
promotions: a canary just as bad as is tolerated. Speed: the median number of tasks, of both arms,
to find worse versions, with the information bound, below which no valid rule can be on average.

The engines are the judge's own. Writes `judge_operating.json` and `judge_operating.txt`, which say
for each figure that was wanted whether it came out; the exit code is 1 if one did not. The short
form shows that all of it runs; its figures mean nothing, and nothing is wanted of them.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import judge_peers as peers
from judge_report import ALPHA, BETA, HARM_AT, OURS, SAFE_AT, Cell, Results, report_of, text_of
from judge_speed import ROLE, SALT, SIGNALS, some_tasks
from judge_streams import FAILS, KINDS, SEED, arms, failures, generator

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.bernoulli import harm_bet, safe_bet
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.label_bet import LabelBet

WEIGHTS = (0.05, 0.25, 0.5)
COMPLETIONS = (0.93, 0.90, 0.80, 0.50)
PLAIN = 0.80
MARGINS = (0.02, 0.05)
ONSET_TASKS = 6000
NO_PROMOTION = 1e-9  # beta of the whole judge: it is asked for harm only

Alarms = dict[str, list[float]]
"""Rule -> for each run the number of tasks at its first alarm, infinite without one."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated: runs of a cell, and the tasks after which a run is given up."""

    equal_runs: int = 400
    worse_runs: int = 200
    plain_runs: int = 800  # of what is found so early that a median of few runs would be all noise
    kind_runs: int = 160
    kind_worse_runs: int = 60
    margin_runs: int = 200
    judge_runs: int = 100
    tasks: int = 20_000
    kind_tasks: int = 5000
    judge_tasks: int = 3000
    chunk: int = 20

    def runs_at(self, completion: float) -> int:
        """Return the runs of a canary with this completion."""
        if completion not in COMPLETIONS:
            return self.equal_runs
        return self.plain_runs if completion <= PLAIN else self.worse_runs


SHORT = Size(
    equal_runs=8,
    worse_runs=4,
    plain_runs=8,
    kind_runs=2,
    kind_worse_runs=1,
    margin_runs=2,
    judge_runs=1,
    tasks=2500,
    kind_tasks=500,
    judge_tasks=250,
    chunk=4,
)


@dataclass(frozen=True, slots=True)
class Job:
    """Some runs of one cell."""

    cell: Cell
    runs: range
    tasks: int


def completion(job: Job) -> Alarms:
    """Let all rules look at completion."""
    cell = job.cell
    canary, failed = failures(cell.weight, 1.0 - cell.completion, job.runs, job.tasks)
    alarms = {
        OURS: [first_alarm(*one, cell.weight) for one in _rows(canary, failed)],
        "mann-whitney": peers.mann_whitney(canary, failed, cell.weight).tolist(),
        "z-test": peers.repeated_z(canary, failed).tolist(),
    }
    columns = peers.windows(canary, failed).T.tolist()
    for (threshold, checks), column in zip(peers.SETTINGS, columns, strict=True):
        alarms[f"window <{threshold:.2f} x{checks}"] = column
    return alarms


def late(job: Job) -> Alarms:
    """Let harm begin after a long good time; alarms are counted from there."""
    cell, tasks = job.cell, ONSET_TASKS + job.tasks
    canary, failed = failures(
        cell.weight, 1.0 - cell.completion, job.runs, tasks, onset=ONSET_TASKS
    )
    return {
        name: [
            first_alarm(*one, cell.weight, restarts=restarts) - ONSET_TASKS
            for one in _rows(canary, failed)
        ]
        for name, restarts in ((OURS, True), ("without restarts", False))
    }


def first_alarm(
    canary: list[bool], failed: list[bool], weight: float, *, restarts: bool = True
) -> float:
    """Return at which task the judge's evidence on completion is enough; a look after each.

    A canary that completes and a baseline that fails can only lower this evidence. So nothing is
    missed by looking just before them; if it was enough there, it is run again to find the task.
    """
    bet = LabelBet(harm_bet(restarts=restarts))
    for arm, bad in zip(canary, failed, strict=True):
        if arm != bad and bet.log_e >= HARM_AT:
            break
        bet.add(canary=arm, weight=weight, bad=bad)
    if bet.log_e < HARM_AT:
        return inf
    bet = LabelBet(harm_bet(restarts=restarts))
    for number, (arm, bad) in enumerate(zip(canary, failed, strict=True), 1):
        bet.add(canary=arm, weight=weight, bad=bad)
        if bet.log_e >= HARM_AT:
            return number
    return inf


def promotion(job: Job) -> Alarms:
    """Ask when completion is shown safe within a margin: the number in the cell's change."""
    cell, found = job.cell, []
    canary, failed = failures(cell.weight, 1.0 - cell.completion, job.runs, job.tasks)
    for row in _rows(canary, failed):
        bet, at = LabelBet(safe_bet(float(cell.change))), inf
        for number, (arm, bad) in enumerate(zip(*row, strict=True), 1):
            bet.add(canary=arm, weight=cell.weight, bad=bad)
            if bet.log_e >= SAFE_AT:
                at = number
                break
        found.append(at)
    return {OURS: found}


def kind(job: Job) -> Alarms:
    """Ask one kind of signal alone whether it is harm; on its border, whether it is safe."""
    cell, found = job.cell, []
    one = KINDS[cell.name]
    is_border = cell.change == "border"
    change = one.border if is_border else one.changes.get(cell.change)
    side, level = (1, SAFE_AT) if is_border else (0, HARM_AT)
    for run in job.runs:
        rng = generator(cell.name, cell.weight, cell.change, run)
        canary = arms(rng, job.tasks, cell.weight)
        values = one.values(rng, canary, change)
        series, at = one.new_series(), inf
        for number, (arm, value) in enumerate(zip(canary.tolist(), values, strict=True), 1):
            series.add(canary=arm, weight=cell.weight, value=value)
            if series.levels()[side] >= level:
                at = number
                break
        found.append(at)
    return {OURS: found}


def whole(job: Job) -> Alarms:
    """Feed a judge of eight signals task by task, and ask it each time."""
    cell, found = job.cell, []
    analysis = Analysis(signals=SIGNALS, alpha=ALPHA, beta=NO_PROMOTION)
    for run in job.runs:
        rng = random.Random(f"{SEED}/{cell.weight}/{run}")
        judge, at = Judge(analysis, role=ROLE, salt=SALT), inf
        for record in some_tasks(1, job.tasks, 100.0 * cell.weight, rng):
            judge.feed([record])
            if judge.may_decide():
                at = record.number
                break
        found.append(at)
    return {OURS: found}


WORK = {one.__name__: one for one in (completion, late, promotion, kind, whole)}


def work(job: Job) -> tuple[Job, Alarms]:
    """Do one job, in a worker."""
    return job, WORK[job.cell.what](job)


def jobs(size: Size) -> Iterator[Job]:
    """Yield all jobs."""
    for weight in WEIGHTS:
        name = "eight signals"
        yield from _split(size, size.judge_runs, size.judge_tasks, Cell("whole", name, weight))
        for name, one in KINDS.items():
            if name != "completion":
                cell = Cell("kind", name, weight)
                yield from _split(size, size.kind_runs, size.kind_tasks, cell)
            for change in one.changes:
                cell = Cell("kind", name, weight, change=change)
                yield from _split(size, size.kind_worse_runs, size.tasks, cell)
            if one.border is not None and weight == WEIGHTS[1] and name != "completion":
                cell = Cell("kind", name, weight, change="border")
                yield from _split(size, size.margin_runs, size.kind_tasks, cell)
        for rate in (1.0 - FAILS, *COMPLETIONS):
            cell = Cell("completion", "completion", weight, rate)
            yield from _split(size, size.runs_at(rate), size.tasks, cell)
        for margin in MARGINS:
            fields = {"what": "promotion", "name": "completion", "change": str(margin)}
            for rate, runs, tasks in (
                (1.0 - FAILS - margin, size.margin_runs, size.kind_tasks),
                (1.0 - FAILS, size.kind_worse_runs, 2 * size.tasks),
            ):
                cell = Cell(weight=weight, completion=rate, **fields)
                yield from _split(size, runs, tasks, cell)
    for rate in COMPLETIONS[1:3]:
        cell = Cell("late", "completion", WEIGHTS[1], rate)
        yield from _split(size, size.kind_worse_runs, size.tasks, cell)


def simulate(size: Size, workers: int) -> Results:
    """Do all jobs, in several processes if so wished, and put the parts of each cell together."""
    parts: dict[Cell, list[tuple[int, Alarms]]] = defaultdict(list)
    todo = list(jobs(size))
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            pending = [pool.submit(work, job) for job in todo]
            done = [future.result() for future in as_completed(pending)]
    else:
        done = [work(job) for job in todo]
    for job, alarms in done:
        parts[job.cell].append((job.runs.start, alarms))
    results: Results = {}
    for cell, pieces in parts.items():
        rules = pieces[0][1]
        ordered = [alarms for _, alarms in sorted(pieces, key=lambda piece: piece[0])]
        results[cell] = {rule: [at for alarms in ordered for at in alarms[rule]] for rule in rules}
    return results


def _rows(canary: Any, failed: Any) -> Iterator[tuple[list[bool], list[bool]]]:
    yield from zip(canary.tolist(), failed.tolist(), strict=True)


def _split(size: Size, runs: int, tasks: int, cell: Cell) -> Iterator[Job]:
    for first in range(0, runs, size.chunk):
        yield Job(cell, range(first, min(runs, first + size.chunk)), tasks)


def main() -> int:
    parser = argparse.ArgumentParser(description="The judge's errors and speed, beside others.")
    parser.add_argument("--short", action="store_true", help="only show that all of it runs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="directory for the two files; none: write none")
    options = parser.parse_args()
    size, began = SHORT if options.short else Size(), time.monotonic()
    results = simulate(size, options.workers)
    report = report_of(results)
    report |= {"seed": SEED, "alpha": ALPHA, "beta": BETA, "size": asdict(size)}
    text = text_of(report)
    print(text)
    print(f"{time.monotonic() - began:.0f} s with {options.workers} workers", file=sys.stderr)
    if options.out is not None:
        (options.out / "judge_operating.json").write_text(json.dumps(report, indent=1) + "\n")
        (options.out / "judge_operating.txt").write_text(text + "\n")
    return 0 if options.short or all(one["holds"] for one in report["wanted"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
