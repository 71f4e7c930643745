"""Backtests as pictures: the evidence of a signal over tasks, and its difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from math import exp, isfinite

from rolewise.coordinator.backtest.replay import Point, Replay
from rolewise.coordinator.backtest.svg import Panel, Scale, count, document, power, text
from rolewise.coordinator.judge import quantities
from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.evidence import limit_of
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence

WIDTH, ROW, HEAD = 820, 250, 8
LEFT, GAP, RIGHT, TOP, BOTTOM = 56, 70, 24, 34, 44
LEAST_E, MOST_E = 1e-3, 1e6
WIDEST = 1.0
"""Differences beyond do not widen the panel: a range of -90 to +900 % says nothing by its ends."""
EARLY = 0.15
"""Nor do those of this first share of the tasks, when next to nothing is known."""


class Curve(Enum):
    """What is drawn of a signal."""

    EVIDENCE = auto()
    DIFFERENCE = auto()


def draw_replay(replay: Replay) -> str:
    """Return an SVG with one row a signal; needs a replay with points."""
    given = [one for one in replay.analysis.signals if _has_curve(one, replay.points)]
    parts = [
        part
        for row, signal in enumerate(given)
        for column, curve in enumerate(Curve)
        for part in _draw(replay, signal, curve, _name_of(signal, curve), row=row, column=column)
    ]
    return document(
        WIDTH,
        HEAD + ROW * max(1, len(given)),
        title="Evidence of a backtest over tasks",
        about=" ".join(one.sentence for one in replay.verdict.signals),
        parts=parts,
    )


def draw_beside(
    replays: Sequence[tuple[str, Replay]], curve: Curve, *, title: str, about: str
) -> str:
    """Return an SVG with two replays side by side, each with its only signal and a caption."""
    parts = [
        part
        for column, (caption, replay) in enumerate(replays)
        for part in _draw(replay, replay.analysis.signals[0], curve, caption, row=0, column=column)
    ]
    return document(WIDTH, HEAD + ROW, title=title, about=about, parts=parts)


def _draw(
    replay: Replay, signal: Signal, curve: Curve, caption: str, *, row: int, column: int
) -> Iterator[str]:
    """Draw one panel."""
    half = (WIDTH - LEFT - GAP - RIGHT) / 2
    left = LEFT + column * (half + GAP)
    top = HEAD + row * ROW + TOP
    most = max(point.tasks for point in replay.points)
    x = Scale(low=0, high=most, start=left, stop=left + half)
    ends = (top + ROW - TOP - BOTTOM, float(top))
    if curve is Curve.EVIDENCE:
        return _evidence(replay, signal, caption, x, ends)
    return _difference(replay, signal, caption, x, ends)


def _name_of(signal: Signal, curve: Curve) -> str:
    if curve is Curve.EVIDENCE:
        return f"{signal.name}: evidence"
    what = "canary to limit" if signal.compare == "absolute" else "canary minus baseline"
    unit = _unit(signal)
    return f"{what}, {unit}" if unit else what


def _unit(signal: Signal) -> str:
    return "%" if signal.is_relative else "" if signal.score else "points"


def _evidence(
    replay: Replay, signal: Signal, caption: str, x: Scale, ends: tuple[float, float]
) -> Iterator[str]:
    """Draw both e-values on a log scale, with what each has to reach."""
    curves = [
        [(one.tasks, exp(min(50.0, one.levels[signal.name][side]))) for one in replay.points]
        for side in (0, 1)
    ]
    shown = _shown(replay.points[-1], signal)
    values = [e for curve in curves for _, e in curve] + [shown.harm_at, shown.safe_at]
    low = max(LEAST_E, min(0.1, *values))
    y = Scale(
        low=low,
        high=min(MOST_E, 10 * max(values)),
        start=ends[0],
        stop=ends[1],
        is_log=True,
    )
    panel = Panel(x=x, y=y)
    yield from panel.axes(
        title=caption,
        x_label="tasks of both arms",
        x_ticks=_tasks(x),
        y_ticks=[(one, power(one)) for one in y.ticks(6)],
    )
    yield from panel.rule(shown.harm_at, f"harm at {shown.harm_at:.3g}", "rule harm")
    yield from panel.rule(shown.safe_at, f"safe at {shown.safe_at:.3g}", "rule", is_below=True)
    yield panel.line([(0.0, 1.0), *curves[1]], "safe")
    yield panel.line([(0.0, 1.0), *curves[0]], "harm")
    yield from _ends(panel, curves)
    yield from _decision(panel, replay)


def _difference(
    replay: Replay, signal: Signal, caption: str, x: Scale, ends: tuple[float, float]
) -> Iterator[str]:
    """Draw canary against baseline with its interval, and the limit."""
    known = [(one.tasks, _shown(one, signal)) for one in replay.points]
    middle = [(n, one.difference) for n, one in known if one.difference is not None]
    bounded = [(n, one.interval) for n, one in known if one.interval is not None]
    is_absolute = signal.compare == "absolute"
    limit = 0.0 if is_absolute else limit_of(signal)
    settled = EARLY * max(point.tasks for point in replay.points)
    ends_of = [end for n, pair in bounded if n >= settled for end in pair]
    inner = [value for n, value in middle if n >= settled] + [limit, 0.0]
    values = inner + [end for end in ends_of if isfinite(end) and abs(end) < WIDEST]
    room = 0.02 + 0.1 * (max(values) - min(values))
    low, high = min(values) - room, max(values) + room
    panel = Panel(x=x, y=Scale(low=low, high=high, start=ends[0], stop=ends[1]))
    unit = _unit(signal)
    yield from panel.axes(
        title=caption,
        x_label="tasks of both arms",
        x_ticks=_tasks(x),
        y_ticks=[(one, _signed(100 * one if unit else one)) for one in panel.y.ticks()],
    )
    yield panel.band(
        [(n, pair[0]) for n, pair in bounded], [(n, min(pair[1], 9.0)) for n, pair in bounded]
    )
    yield from panel.rule(0.0, "", "frame")
    words = "the limit" if is_absolute else f"limit {quantities.limit(signal, limit)}"
    is_above = bool(middle) and middle[-1][1] >= limit
    yield from panel.rule(limit, words, "limit", is_below=is_above)
    yield text(x.start + 6, ends[0] - 6, "line: estimate, shaded: interval", "soft")
    yield panel.line([(n, value) for n, value in middle], "canary thick")
    yield from _decision(panel, replay)


def _ends(panel: Panel, curves: Sequence[Sequence[tuple[float, float]]]) -> Iterator[str]:
    """Name both curves where they end, apart from each other."""
    places = [panel.y.at(curve[-1][1]) for curve in curves]
    low = panel.y.start - 24
    high = panel.y.stop + 12
    wanted = [min(low, max(high, place - 6)) for place in places]
    if abs(wanted[0] - wanted[1]) < 15:  # noqa: PLR2004 - a line of text
        first, second = (0, 1) if wanted[0] <= wanted[1] else (1, 0)
        wanted[second] = wanted[first] + 15
    x = panel.x.stop - 4
    yield text(x, wanted[0], "solid: harm", "end harm")
    yield text(x, wanted[1], "dashed: safe", "end")


def _decision(panel: Panel, replay: Replay) -> Iterator[str]:
    if replay.decided is None:
        return
    ruling = replay.verdict.ruling
    style = "mark harm" if ruling is Ruling.HARM else "mark"
    yield from panel.mark(replay.decided.tasks, f"{ruling} at {replay.decided.tasks}", style)


def _tasks(x: Scale) -> list[tuple[float, str]]:
    return [(one, count(one)) for one in x.ticks(4)]


def _shown(point: Point, signal: Signal) -> SignalEvidence:
    return point.shown[signal.name]


def _has_curve(signal: Signal, points: Sequence[Point]) -> bool:
    """Say whether anything was ever compared; a signal may wait for its mark to the end."""
    return any(
        signal.name in one.shown and one.shown[signal.name].difference is not None for one in points
    )


def _signed(value: float) -> str:
    return f"{value:+g}" if value else "0"
