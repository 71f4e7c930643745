"""The judge on recorded tasks of real fleets: every pair, in many orders.

    python benchmarks/judge_traces.py [--seeds 20] [--json] [--write docs/judge.md] [--split 60]

The recordings that ship with Rolewise: two trials of one version, three strategies, three models,
a fine-tuned model both ways round. Each order is a seed of `rolewise judge --seed`. `--write` puts
the table into a page, between its two marks; a test holds the page to what this finds. `--split`
splits each recorded version by coin into two sides that are equally good, and counts false alarms.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from statistics import median

from rolewise.agents.examples.replay.recording import trace_path
from rolewise.coordinator.backtest.analyses import TRACES
from rolewise.coordinator.backtest.comparison import Comparison, compare
from rolewise.coordinator.backtest.replay import Replay, replay
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.stages import build_analysis
from rolewise.fleet.harness.trace_selection import parse_selector, select
from rolewise.fleet.harness.traces import Trace, read_traces
from rolewise.fleet.spec import BUILT_IN_TEMPLATES, DEFAULT_TEMPLATE

ROLE = "agent"
BEGIN, END = "<!-- recorded pairs: begin -->", "<!-- recorded pairs: end -->"
SEEDS = 20
LIVE = build_analysis(BUILT_IN_TEMPLATES[DEFAULT_TEMPLATE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two sides of one file of recordings."""

    name: str
    file: str
    stable: str
    canary: str


PAIRS = (
    Pair(
        name="airline, one version twice (A/A): trial 0 → trial 1",
        file="tau1_airline_aa",
        stable="task_attributes.trial=0",
        canary="task_attributes.trial=1",
    ),
    Pair(
        name="retail: tool-calling → with preconditions",
        file="tau1_retail_strategies",
        stable="tool-calling/unstated",
        canary="tool-calling-with-preconditions/unstated",
    ),
    Pair(
        name="retail: tool-calling → assertions",
        file="tau1_retail_strategies",
        stable="tool-calling/unstated",
        canary="assertions-agent-without-postcondition/unstated",
    ),
    Pair(
        name="airline: sonnet-4-5 → gpt-5.4",
        file="tau2_airline_models",
        stable="llm_agent/claude-sonnet-4-5",
        canary="llm_agent/gpt-5.4",
    ),
    Pair(
        name="airline: sonnet-4-5 → qwen2.5-7b",
        file="tau2_airline_models",
        stable="llm_agent/claude-sonnet-4-5",
        canary="llm_agent/qwen2.5-7b",
    ),
    Pair(
        name="airline: gpt-5.4 → qwen2.5-7b",
        file="tau2_airline_models",
        stable="llm_agent/gpt-5.4",
        canary="llm_agent/qwen2.5-7b",
    ),
    Pair(
        name="telecom: gpt-4.1 → fine-tuned",
        file="tau2_telecom_finetune",
        stable="llm_agent/gpt-4.1",
        canary="llm_agent/gpt-4.1-ft",
    ),
    Pair(
        name="telecom, turned round: fine-tuned → gpt-4.1",
        file="tau2_telecom_finetune",
        stable="llm_agent/gpt-4.1-ft",
        canary="llm_agent/gpt-4.1",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the judge made of a pair, over all orders.

    Attributes:
        tasks: Of baseline and canary.
        seeds: Number of orders.
        harm_at: In each order that ended in harm, the tasks of both arms by then, rising.
        harm_by: Signal -> orders in which it decided.
        live_harm: Orders that end in harm with the analysis of live fleets (alpha 1 %).
        safe: Orders that ended in `safe`.
        sentence: The deciding signal's, in the order with the median number of tasks; where none
            was decided, that of completion at the end.
    """

    pair: Pair
    tasks: tuple[int, int]
    seeds: int
    harm_at: tuple[int, ...]
    harm_by: dict[str, int]
    live_harm: int
    safe: int
    sentence: str


def find(pair: Pair, *, seeds: int = SEEDS, live: bool = True) -> Finding:
    """Judge a pair in many orders."""
    traces = list(read_traces(trace_path(pair.file)))
    stable, canary = (select(traces, parse_selector(one)) for one in (pair.stable, pair.canary))
    sides = compare(stable, canary, role=ROLE)
    done = [replay(sides.shuffled(seed), TRACES) for seed in range(seeds)]
    harm = sorted(
        (one for one in done if one.verdict.ruling is Ruling.HARM),
        key=lambda one: one.decided.tasks if one.decided else 0,
    )
    return Finding(
        pair=pair,
        tasks=(done[0].end.tasks_baseline, done[0].end.tasks_canary),
        seeds=seeds,
        harm_at=tuple(one.decided.tasks for one in harm if one.decided),
        harm_by=dict(Counter(_decider(one) for one in harm)),
        live_harm=sum(
            replay(sides.shuffled(seed), LIVE).verdict.ruling is Ruling.HARM
            for seed in range(seeds if live else 0)
        ),
        safe=sum(one.verdict.ruling is Ruling.SAFE for one in done),
        sentence=_sentence(harm[len(harm) // 2] if len(harm) > seeds // 2 else None, done[0]),
    )


def split(trials: int) -> tuple[int, int]:
    """Return false alarms and trials, when each recorded version is held against itself."""
    alarms = count = 0
    for file in dict.fromkeys(pair.file for pair in PAIRS):
        by_version: dict[str, list[Trace]] = {}
        for trace in read_traces(trace_path(file)):
            by_version.setdefault(trace.versions[ROLE], []).append(trace)
        for traces in by_version.values():
            rows = compare(traces[:1], traces[1:], role=ROLE).rows
            for seed in range(trials):
                coin = Random(seed)
                drawn = [replace(row, canary=coin.random() < 0.5, weight=50.0) for row in rows]
                order = Comparison(rows=tuple(drawn)).shuffled(seed)
                alarms += replay(order, TRACES).verdict.ruling is Ruling.HARM
                count += 1
    return alarms, count


def table(findings: Sequence[Finding]) -> str:
    """Return the findings as a table in Markdown."""
    head = (
        *("baseline → canary", "tasks", "harm in", "at task: median (range)", "decided by"),
        *("harm at alpha 1 %", "in the judge's words"),
    )
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for one in findings:
        at = "-"
        if one.harm_at:
            at = f"{median(one.harm_at):.0f} ({one.harm_at[0]} to {one.harm_at[-1]})"
        by = ", ".join(f"{name} {count}" for name, count in sorted(one.harm_by.items())) or "-"
        lines.append(
            f"| {one.pair.name} | {one.tasks[0]} + {one.tasks[1]}"
            f" | {len(one.harm_at)} of {one.seeds} | {at} | {by}"
            f" | {one.live_harm} of {one.seeds} | {one.sentence.replace('|', '&#124;')} |"
        )
    return "\n".join(lines)


def write(page: Path, text: str) -> None:
    """Put the table between the marks of a page."""
    old = page.read_text(encoding="utf-8")
    head, _, rest = old.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def _decider(done: Replay) -> str:
    return next(one.name for one in done.verdict.signals if one.ruling is Ruling.HARM)


def _sentence(harm: Replay | None, first: Replay) -> str:
    if harm is not None:
        name = _decider(harm)
        return next(one.sentence for one in harm.verdict.signals if one.name == name)
    return first.end.signals[0].sentence


def main() -> None:
    """Judge all pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="orders of each pair")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page")
    parser.add_argument("--split", type=int, default=0, metavar="N", help="trials of each version")
    options = parser.parse_args()
    if options.split:
        alarms, count = split(options.split)
        print(f"{alarms} of {count} trials of a version against itself end in harm")
        return
    findings = [find(pair, seeds=options.seeds) for pair in PAIRS]
    if options.json:
        print(json.dumps([asdict(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        print(f"seeds 0 to {options.seeds - 1}")
        print(table(findings))
    if options.write:
        write(options.write, table(findings))


if __name__ == "__main__":
    main()
