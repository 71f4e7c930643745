"""Figures of signals as people read them: values, differences, limits, each in its unit."""

from __future__ import annotations

from math import floor, isfinite, log10

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.metrics import Kind

_MIB = 1024.0 * 1024.0


def value(signal: Signal, figure: float | None, tasks: int) -> str:
    """Return an estimate with its unit; `tasks` tells nothing from endless."""
    if figure is None:
        return "never ended" if tasks and signal.kind is Kind.LATENCY else "nothing"
    match signal.measure.unit:
        case "s":
            noun = signal.measure.noun
            return f"{seconds(figure)} {noun}".rstrip()
        case "count":
            return f"{round(figure):,} {signal.measure.noun}".replace(",", " ")
        case "usd":
            return f"${figure:.3g}" if figure < 1.0 else f"${figure:,.2f}".replace(",", " ")
        case "bytes":
            return f"{figure / _MIB:.4g} MiB"
        case "share":
            return f"{figure:.3f}" if signal.kind is Kind.SCORE else f"{100 * figure:.1f} %"


def difference(signal: Signal, figure: float) -> str:
    """Return a difference with its sign and unit."""
    if signal.kind is Kind.SCORE:
        return f"{figure:+.3f}"
    return f"{100 * figure:+.1f} {'%' if signal.is_relative else 'points'}"


def interval(signal: Signal, bounds: tuple[float, float] | None) -> str:
    """Return an interval of differences behind a blank; an end without a bound is three dots."""
    if bounds is None:
        return ""
    low, high = (_end(signal, end) for end in bounds)
    return f" [{low}, {high}]"


def limit(signal: Signal, figure: float) -> str:
    """Return what is tolerated."""
    if signal.compare == "absolute":
        is_share = signal.kind is Kind.SHARE
        words = f"{100 * figure:.3g} %" if is_share else value(signal, figure, 0)
        if signal.kind is Kind.LATENCY:
            return words
        return f"{'at least' if signal.is_higher_better else 'at most'} {words}"
    if signal.kind is Kind.SCORE:
        return f"{figure:+.3g}"
    return f"{100 * figure:+.3g} {'%' if signal.is_relative else 'points'}"


def seconds(figure: float) -> str:
    """Return a duration to three digits, in the unit that suits it."""
    if figure < 1.0:
        return f"{1000 * figure:.3g} ms"
    return f"{figure:.3g} s" if figure < 1000.0 else f"{figure:.0f} s"  # noqa: PLR2004 - 3 digits


def about(tasks: float) -> str:
    """Return a number of tasks to two digits: 183 is 180."""
    if tasks < 10:  # noqa: PLR2004 - one digit is exact enough
        return str(max(1, round(tasks)))
    step = 10 ** (floor(log10(tasks)) - 1)
    return f"{round(tasks / step) * step:,}".replace(",", " ")


def _end(signal: Signal, figure: float) -> str:
    if not isfinite(figure) or (signal.is_relative and figure <= -1.0):
        return "…"
    return f"{figure:+.3f}" if signal.kind is Kind.SCORE else f"{100 * figure:+.1f}"
