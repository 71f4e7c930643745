"""What the judge costs: seconds for a million closed tasks with eight signals, state and memory.

    python benchmarks/judge_speed.py [--tasks 1000000] [--batch 500] [--looks 1] [--json]

Tasks come as records, in batches as a controller reads them; after each batch the judge is asked
whether it could decide, and from time to time for its whole verdict. Making the records is not
counted. Times are CPU time of this process. A loop of known length is timed beside them: on a
machine that is shared, it tells how much slower than usual everything is.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm

ROLE, SALT = "negotiator", "trial-1"
SEED = 20_250_801
WEIGHTS = (5.0, 25.0, 50.0)
WANTED_S = 60.0
ALONE_TASKS = 50_000
LOOP_TURNS = 10_000_000

SIGNALS = (
    Signal(name="completion", metric="task.completed"),
    Signal(name="tool errors", metric="tool.error"),
    Signal(name="p50", metric="task.latency", tolerate=0.25, quantile=0.5),
    Signal(name="p95", metric="task.latency", tolerate=0.25, quantile=0.95),
    Signal(name="tokens", metric="gen_ai.tokens", tolerate=0.25),
    Signal(name="cost", metric="task.cost", tolerate=0.25, cap=1.0),
    Signal(name="quality", metric="score", score="quality", tolerate=0.04),
    Signal(name="slo", metric="task.latency", compare="absolute", limit=8.0, quantile=0.95),
)
OTHERS = (
    Signal(name="latency", metric="task.latency", tolerate=0.25),
    Signal(name="messages", metric="message.latency", tolerate=0.25, quantile=0.95),
    Signal(name="budget", metric="task.cost", compare="absolute", limit=0.5),
)
SCORES = [{"quality": 0.001 * step} for step in range(1001)]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run cost.

    Attributes:
        feed_s: CPU seconds for counting all tasks.
        look_s: CPU seconds for asking after each batch whether a verdict is due.
        verdict_ms: CPU milliseconds of one whole verdict.
        state_bytes: Signal -> length of its state as JSON, largest of those that were looked at.
        judge_bytes: The whole judge's, at the end.
        loop_s: CPU seconds of ten million turns of an empty loop, spread over the run.
        peak_mib: Resident memory of the process at most, records of one batch included.
    """

    tasks: int
    signals: int
    feed_s: float
    look_s: float
    verdict_ms: float
    state_bytes: dict[str, int]
    judge_bytes: int
    peak_mib: float
    loop_s: float


def some_tasks(first: int, count: int, weight: float, rng: random.Random) -> list[TaskRecord]:
    """Return records of equally good arms: 5 % fail, latencies and tokens have a heavy tail."""
    draw, lognormal = rng.random, rng.lognormvariate
    assignments = [
        (Assignment(role=ROLE, salt=SALT, arm=arm, weight=weight),)
        for arm in (Arm.BASELINE, Arm.CANARY)
    ]
    tasks = []
    for number in range(first, first + count):
        tokens = int(lognormal(7.0, 0.8))
        seconds = lognormal(0.5, 0.8)
        tasks.append(
            TaskRecord(
                task=f"t{number}",
                number=number,
                table=1,
                assignments=assignments[draw() * 100.0 < weight],
                started_s=0.01 * number,
                latency_s=seconds,
                outcome=Outcome.COMPLETED if draw() < 0.95 else Outcome.FAILED,
                tool_errors=int(draw() < 0.05),
                input_tokens=tokens,
                output_tokens=tokens >> 3,
                cost_usd=2e-4 * tokens,
                scores=SCORES[int(1000 * rng.betavariate(8, 2))],
                message_latency_s={ROLE: (0.2 * seconds, 0.1 * seconds * draw())},
            )
        )
    return tasks


def batches(tasks: int, batch: int) -> Iterator[list[TaskRecord]]:
    """Yield all tasks; the weight rises in equal parts."""
    rng = random.Random(SEED)
    for first in range(1, tasks + 1, batch):
        weight = WEIGHTS[min(len(WEIGHTS) - 1, len(WEIGHTS) * first // tasks)]
        yield some_tasks(first, min(batch, tasks + 1 - first), weight, rng)


def measure(
    tasks: int, batch: int, *, signals: Sequence[Signal] = SIGNALS, verdicts: int = 20
) -> Figures:
    """Feed a judge and return what it cost."""
    judge = Judge(Analysis(signals=tuple(signals)), role=ROLE, salt=SALT)
    feed_s = look_s = verdict_s = loop_s = 0.0
    largest: dict[str, int] = {}
    every = max(1, tasks // batch // verdicts)
    shown = 0
    for index, records in enumerate(batches(tasks, batch), 1):
        began = time.process_time()
        judge.feed(records)
        fed = time.process_time()
        judge.may_decide()
        looked = time.process_time()
        feed_s += fed - began
        look_s += looked - fed
        if index % every == 0:
            judge.verdict()
            told = time.process_time()
            verdict_s += told - looked
            for _ in range(LOOP_TURNS // 100):
                pass
            loop_s += (time.process_time() - told) * 100
            shown += 1
            for track in judge.to_json()["tracks"]:
                name = track["signal"][0]
                largest[name] = max(largest.get(name, 0), len(json.dumps(track)))
    return Figures(
        tasks=tasks,
        signals=len(signals),
        feed_s=feed_s,
        look_s=look_s,
        verdict_ms=1000.0 * verdict_s / max(1, shown),
        state_bytes=largest,
        judge_bytes=len(json.dumps(judge.to_json())),
        loop_s=loop_s / max(1, shown),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="What the judge costs.")
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=500, help="tasks between two looks")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.tasks, options.batch)
    if options.json:
        print(json.dumps(asdict(figures)))
        return
    total = figures.feed_s + figures.look_s
    print(f"{figures.tasks} tasks, {figures.signals} signals, a look after each {options.batch}")
    print(f"  counting  {figures.feed_s:8.1f} s  {figures.tasks / figures.feed_s:10.0f} tasks/s")
    print(f"  looking   {figures.look_s:8.1f} s")
    print(f"  10M turns of an empty loop beside it took {figures.loop_s:.2f} s")
    print(f"  a verdict {figures.verdict_ms:8.1f} ms")
    print(f"  memory    {figures.peak_mib:8.0f} MiB, tasks of one batch included")
    print(
        f"  state     {figures.judge_bytes / 1024.0:8.1f} KiB; each signal alone, records included:"
    )
    few = min(options.tasks, ALONE_TASKS)
    for signal in (*SIGNALS, *OTHERS):
        alone = measure(few, options.batch, signals=(signal,))
        size = max(figures.state_bytes.get(signal.name, 0), alone.state_bytes[signal.name])
        cost = 1e6 * alone.feed_s / few
        print(f"    {signal.name:12s} {cost:5.1f} us a task  {size / 1024.0:5.1f} KiB of state")
    allowed = WANTED_S * figures.tasks / 1e6
    word = "PASS" if total <= allowed else "FAIL"
    print(f"  {word}: {total:.1f} s, wanted at most {allowed:.1f} s")


if __name__ == "__main__":
    main()
