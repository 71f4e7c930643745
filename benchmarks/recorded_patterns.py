"""What the detectors say of recorded conversations; nothing here was made up or injected.

    python benchmarks/recorded_patterns.py                        # the recordings that ship
    python benchmarks/recorded_patterns.py --data DIR             # also those of another folder
    python benchmarks/recorded_patterns.py --data DIR --into docs/detectors.md

`--into` replaces the page's part on recordings, or adds it.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from rolewise.fleet.harness.trace_comparison import TraceComparison, compare_traces
from rolewise.fleet.harness.trace_loops import figures_of_traces, raised_in
from rolewise.fleet.harness.trace_selection import parse_selector, select
from rolewise.fleet.harness.traces import Trace, read_traces
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.loops import Figure, raised_flags
from rolewise.graphs.patterns.exact import fisher

SHIPPED = Path(__file__).parents[1] / "agents" / "examples" / "replay" / "traces"
HEADING = "## On recorded conversations"
PAIRS = (
    ("tau1_airline_aa", "task_attributes.trial=0", "task_attributes.trial=1"),
    (
        "tau1_retail_strategies",
        "tool-calling/unstated",
        "tool-calling-with-preconditions/unstated",
    ),
    (
        "tau1_retail_strategies",
        "tool-calling/unstated",
        "assertions-agent-without-postcondition/unstated",
    ),
    ("tau2_airline_models", "llm_agent/claude-sonnet-4-5", "llm_agent/gpt-5.4"),
    ("tau2_airline_models", "llm_agent/claude-sonnet-4-5", "llm_agent/qwen2.5-7b"),
    ("tau2_telecom_finetune", "llm_agent/gpt-4.1", "llm_agent/gpt-4.1-ft"),
)
FAILURES = ("magentic_one_failures", "captain_agent_failures")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHIPPED, help="folder of the recordings")
    parser.add_argument("--into", type=Path, help="page to write the part into")
    options = parser.parse_args()
    text = "\n".join(section(options.data)) + "\n"
    if options.into is None:
        print(text, end="")
        return 0
    page = options.into.read_text(encoding="utf-8") if options.into.exists() else ""
    kept = page.partition(HEADING)[0].rstrip()
    options.into.write_text(f"{kept}\n\n{text}" if kept else text, encoding="utf-8")
    return 0


def section(data: Path) -> Iterator[str]:
    """Yield the lines of the page's part."""
    yield HEADING
    yield ""
    yield from paragraph(
        """Recordings of language models at work, from `benchmarks/recorded_patterns.py`. Tasks that
        both versions tried are compared with each other, in one look that may give a false alarm
        once in a hundred. How many tasks they completed was not used."""
    )
    yield ""
    yield "| recording: stable → canary | completed | patterns | flagged tasks | worst finding |"
    yield "| --- | --- | --- | --- | --- |"
    for name, stable, canary in PAIRS:
        traces = list(read_traces(data / f"{name}.jsonl.gz"))
        chosen = [select(traces, parse_selector(version)) for version in (stable, canary)]
        done = [f"{sum(t.completed for t in some)} of {len(some)}" for some in chosen]
        pair = f"{name}: {_short(stable)} → {_short(canary)}"
        yield f"| {pair} | {' → '.join(done)} | {_findings(compare_traces(*chosen, seed=1))} |"
    yield ""
    yield from _telecom(data)
    for name in FAILURES:
        path = data / f"{name}.jsonl.gz"
        if path.exists():
            yield ""
            yield from _failures(name, list(read_traces(path)))


def paragraph(text: str) -> list[str]:
    """Return lines of the page's width."""
    return textwrap.wrap(" ".join(text.split()), 100, break_on_hyphens=False)


def _findings(comparison: TraceComparison) -> str:
    report = comparison.report
    follows = "silent"
    if report.state == "alarm":
        follows = "harm: rollback" if report.is_harm else "differ: pause"
    on, flagged = comparison.canary, comparison.flagged
    counts = f"{(flagged & ~on).sum()} → {(flagged & on).sum()}"
    worst = report.findings[0].sentence if report.findings else ""
    return f"{follows} | {counts} | {worst}"


def _short(selector: str) -> str:
    """Return the trial, the model, or the scaffold where the model is not stated."""
    if "=" in selector:
        return selector.rpartition(".")[2].replace("=", " ")
    scaffold, _, model = selector.partition("/")
    return scaffold if model == "unstated" else model


def _telecom(data: Path) -> Iterator[str]:
    traces = list(read_traces(data / "tau2_telecom_finetune.jsonl.gz"))
    tuned = select(traces, parse_selector("llm_agent/gpt-4.1-ft"))
    stable = select(traces, parse_selector("llm_agent/gpt-4.1"))
    flagged = {trace.id: raised_in(trace) for trace in tuned}
    flagged = {name: flags for name, flags in flagged.items() if flags}
    at_limit = {trace.id for trace in tuned if trace.ended == "max_steps"}
    roles = Counter(flag.role for flags in flagged.values() for flag in flags)
    first = [min(flag.step for flag in flags) for flags in flagged.values()]
    lengths = [len(trace.messages) for trace in tuned if trace.id in flagged]
    repeats = sum(_repeats(trace, "user") for trace in stable)
    stuck = int((figures_of_traces(tuned)[:, Figure.STALLED] > GuardLimits().stalled).sum())
    raised = int(raised_flags(figures_of_traces(stable)).any(axis=1).sum())
    p = fisher(len(flagged), len(tuned), raised, len(stable))
    yield from paragraph(
        f"""**Livelock in `tau2_telecom_finetune`.** Of the fine-tuned model's {len(tuned)} tasks
        {len(flagged)} raise a flag; {len(at_limit & flagged.keys())} of the {len(at_limit)} that
        ran into the step limit are among them. All flags come from messages of the
        {" and the ".join(roles)}; the first comes at message {median(first):.0f} of
        {median(lengths):.0f} (medians). Of the stable model's {len(stable)} tasks {raised} raise
        one, although in {repeats} of them the user makes one call three times or more: after each
        repair step it checks again, and that is progress. As a rate this is weak evidence
        (one-sided exact test: p {p:.2g}); a livelock is a fact about its task. The guard ends a
        task at more than {GuardLimits().stalled} messages without progress: {stuck} of these got
        there before the recording's own limit."""
    )


def _repeats(trace: Trace, role: str) -> bool:
    calls = Counter(
        (message.name, message.digest)
        for message in trace.messages
        if message.sender == role and message.kind == "tool_call"
    )
    return max(calls.values(), default=0) >= 3


def _failures(name: str, traces: Sequence[Trace]) -> Iterator[str]:
    figures = figures_of_traces(traces)
    raised = {trace.id: raised_in(trace) for trace in traces}
    flagged = [trace for trace in traces if raised[trace.id]]
    where = ""
    if flagged:
        gaps = [
            min(flag.step for flag in raised[trace.id]) - trace.failure.step
            for trace in flagged
            if trace.failure is not None and trace.failure.step is not None
        ]
        where = f"""The first comes {sum(g < 0 for g in gaps)} times before that step and
        {sum(g >= 0 for g in gaps)} times at it or later, {median(gaps):+.0f} messages (median)."""
    stalled, repeat = figures[:, Figure.STALLED], figures[:, Figure.REPEAT]
    lengths = [len(trace.messages) for trace in traces]
    yield from paragraph(
        f"""**`{name}`**: {len(traces)} failed tasks, the step at fault annotated by people. A flag
        is raised in {len(flagged)} of them ({len(flagged) / len(traces):.0%}). {where} The longest
        stretch without progress is {stalled.max():.0f} messages (30 raise a flag), the most repeats
        {repeat.max():.0f} (3 raise one); the logs have {median(lengths):.0f} messages (median) and
        are cut off at {max(lengths)}. What goes wrong here is said in new words and answered by
        something new: messages alone do not show it, scores must."""
    )


if __name__ == "__main__":
    sys.exit(main())
