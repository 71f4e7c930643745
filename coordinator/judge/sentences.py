"""The judge's figures in words; canary stands before baseline everywhere."""

from __future__ import annotations

from rolewise.coordinator.judge import quantities
from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.metrics import Kind
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence

WORDS = {
    Ruling.SAFE: "safe",
    Ruling.HARM: "harm",
    Ruling.CONTINUE: "not decided yet",
    Ruling.UNSURE: "unsure",
    Ruling.NO_DATA: "no data",
}


def describe(
    signal: Signal,
    ruling: Ruling,
    *,
    canary: float | None,
    baseline: float | None,
    difference: float | None,
    interval: tuple[float, float] | None,
    limit: float,
    tasks_canary: int,
    tasks_baseline: int,
    note: str = "",
    beyond: tuple[float, float, float] | None = None,
) -> str:
    """Return one signal's figures in one sentence; they are in the signal's own orientation."""
    parts = [_figures(signal, canary, baseline, tasks_canary, tasks_baseline)]
    if signal.compare == "baseline" and difference is not None:
        shown = quantities.difference(signal, difference)
        parts.append(f"difference {shown}{quantities.interval(signal, interval)}")
    if signal.compare == "absolute" and interval is not None:
        low, high = (100 * (end + limit) for end in interval)
        parts[0] += f" [{low:.1f}, {high:.1f}]"
    if beyond is not None:
        cap = quantities.value(signal, beyond[0], 0)
        ours, theirs = (f"{100 * share:.1f} %" for share in beyond[1:])
        parts.append(f"{ours} against {theirs} of the tasks above {cap}, the cap")
    if note:
        parts.append(note)
    parts.append(f"limit {quantities.limit(signal, limit)}")
    word = WORDS[ruling]
    if ruling is Ruling.HARM and beyond is None and _within(signal, difference, limit):
        word = "harm, a proven loss"
    return f"{signal.name}: {', '.join(parts)}: {word}"


def headline(evidence: SignalEvidence) -> str:
    """Return a signal's sentence with its ruling in front: the reason of a verdict."""
    body, _, word = evidence.sentence.removeprefix(f"{evidence.name}: ").rpartition(": ")
    return f"{word}: {evidence.name} {body}"


def _figures(
    signal: Signal,
    canary: float | None,
    baseline: float | None,
    tasks_canary: int,
    tasks_baseline: int,
) -> str:
    latency = f" (p{100 * signal.level:.3g})" if signal.kind is Kind.LATENCY else ""
    ours = quantities.value(signal, canary, tasks_canary)
    if signal.compare == "absolute":
        return f"{ours}{latency} of {tasks_canary} tasks of the canary"
    theirs = quantities.value(signal, baseline, tasks_baseline)
    return (
        f"{ours} against {theirs}{latency} of {tasks_canary} | {tasks_baseline} tasks"
        " (canary | baseline)"
    )


def _within(signal: Signal, difference: float | None, limit: float) -> bool:
    if signal.compare == "absolute" or difference is None:
        return False
    return difference >= limit if signal.is_higher_better else difference <= limit
