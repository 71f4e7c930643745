"""The judge's figures in words; canary stands before baseline everywhere."""

from __future__ import annotations

from math import floor, log10

from rolewise.coordinator.judge.analysis import Signal
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
) -> str:
    """Return one signal's figures in one sentence; they are in the signal's own orientation."""
    parts = [_figures(signal, canary, baseline, tasks_canary, tasks_baseline)]
    if signal.compare == "baseline" and difference is not None:
        parts.append(f"difference {_difference(signal, difference)}{_interval(interval)}")
    if signal.compare == "absolute" and interval is not None:
        low, high = (100 * (end + limit) for end in interval)
        parts[0] += f" [{low:.1f}, {high:.1f}]"
    if note:
        parts.append(note)
    parts.append(f"limit {_limit(signal, limit)}")
    word = WORDS[ruling]
    if ruling is Ruling.HARM and _within(signal, difference, limit):
        word = "harm, a proven loss"
    return f"{signal.name}: {', '.join(parts)}: {word}"


def headline(evidence: SignalEvidence) -> str:
    """Return a signal's sentence with its ruling in front: the reason of a verdict."""
    body, _, word = evidence.sentence.removeprefix(f"{evidence.name}: ").rpartition(": ")
    return f"{word}: {evidence.name} {body}"


def about(tasks: float) -> str:
    """Return a number of tasks to two digits: 183 is 180."""
    if tasks < 10:  # noqa: PLR2004 - one digit is exact enough
        return str(max(1, round(tasks)))
    step = 10 ** (floor(log10(tasks)) - 1)
    return f"{round(tasks / step) * step:,}".replace(",", " ")


def _figures(
    signal: Signal,
    canary: float | None,
    baseline: float | None,
    tasks_canary: int,
    tasks_baseline: int,
) -> str:
    latency = f" (p{100 * signal.level:.3g})" if signal.metric == "task.latency" else ""
    ours = _value(signal, canary, tasks_canary)
    if signal.compare == "absolute":
        return f"{ours}{latency} of {tasks_canary} tasks of the canary"
    theirs = _value(signal, baseline, tasks_baseline)
    return (
        f"{ours} against {theirs}{latency} of {tasks_canary} | {tasks_baseline} tasks"
        " (canary | baseline)"
    )


def _value(signal: Signal, value: float | None, tasks: int) -> str:
    if value is None:
        return "never ended" if tasks and signal.metric == "task.latency" else "nothing"
    return seconds(value) if signal.metric == "task.latency" else f"{100 * value:.1f} %"


def seconds(value: float) -> str:
    """Return a duration to three digits, in the unit that suits it."""
    if value < 1.0:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 1000.0 else f"{value:.0f} s"  # noqa: PLR2004 - 3 digits


def _difference(signal: Signal, value: float) -> str:
    if signal.metric == "task.latency":
        return f"{100 * value:+.1f} %"
    return f"{100 * value:+.1f} points"


def _interval(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    return f" [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"


def _limit(signal: Signal, limit: float) -> str:
    if signal.compare == "absolute":
        if signal.metric == "task.latency":
            return seconds(limit)
        return (
            f"{'at least' if signal.metric == 'task.completed' else 'at most'} {100 * limit:.3g} %"
        )
    unit = "%" if signal.metric == "task.latency" else "points"
    return f"{100 * limit:+.3g} {unit}"


def _within(signal: Signal, difference: float | None, limit: float) -> bool:
    if signal.compare == "absolute" or difference is None:
        return False
    return difference >= limit if signal.metric == "task.completed" else difference <= limit
