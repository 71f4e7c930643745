"""Draws how many tasks different rules need to see a loss of completion, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rolewise.coordinator.backtest.svg import Panel, Scale, count, document, text

WIDTH, HEIGHT = 820, 330
LEFT, GAP, RIGHT, TOP, BOTTOM = 62, 66, 14, 40, 92
STYLES = ("thick canary", "dashed", "dotted", "dashdot baseline", "rule", "dashed baseline")
MARKS = ("●", "■", "▲", "◆", "✚", "○")
LEAST_TASKS, MOST_TASKS = 10.0, 1e5


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingCurve:
    """One rule at one weight.

    Attributes:
        rule: Its name.
        weight: Percent of tasks that the canary gets.
        points: Share of tasks that the canary completes -> median tasks until it is rolled back;
            None where fewer than half of the trials were.
    """

    rule: str
    weight: float
    points: Sequence[tuple[float, float | None]]


def draw_operating(
    curves: Sequence[OperatingCurve], *, baseline: float, weights: Sequence[float]
) -> str:
    """Return an SVG with one panel a weight, the rules told apart by line, mark and name.

    Args:
        curves: Of all rules.
        baseline: Share of tasks that the baseline completes.
        weights: Which two are shown.
    """
    rules = list(dict.fromkeys(one.rule for one in curves))
    half = (WIDTH - LEFT - GAP - RIGHT) / 2
    parts: list[str] = []
    for column, weight in enumerate(weights):
        left = LEFT + column * (half + GAP)
        shown = [one for one in curves if one.weight == weight]
        drops = sorted({baseline - share for one in shown for share, _ in one.points})
        panel = Panel(
            x=Scale(
                low=0.8 * drops[0], high=1.25 * drops[-1], start=left, stop=left + half, is_log=True
            ),
            y=Scale(low=LEAST_TASKS, high=MOST_TASKS, start=HEIGHT - BOTTOM, stop=TOP, is_log=True),
        )
        parts += panel.axes(
            title=f"tasks to roll back, canary weight {weight:g} %",
            x_label="share of tasks that the canary completes",
            x_ticks=[(drop, f"{baseline - drop:.2f}") for drop in drops],
            y_ticks=[(one, count(one)) for one in panel.y.ticks(6)],
        )
        for one in shown:
            parts += _curve(panel, one, baseline, rules.index(one.rule))
    parts += _legend(rules)
    return document(
        WIDTH,
        HEIGHT,
        title="Median tasks to roll back, by how much worse the canary is",
        about="; ".join(_in_words(one) for one in curves if one.weight in weights),
        parts=parts,
    )


def _curve(panel: Panel, curve: OperatingCurve, baseline: float, index: int) -> Iterator[str]:
    dots = [
        (baseline - share, tasks) for share, tasks in sorted(curve.points, reverse=True) if tasks
    ]
    yield panel.line(dots, STYLES[index % len(STYLES)])
    for x, y in dots:
        yield text(panel.x.at(x), panel.y.at(y) + 4, MARKS[index % len(MARKS)], "middle")


def _legend(rules: Sequence[str]) -> Iterator[str]:
    """Name each rule beside its mark, in two rows."""
    columns = -(-len(rules) // 2)
    width = (WIDTH - LEFT) / columns
    for index, rule in enumerate(rules):
        row, column = divmod(index, columns)
        x, y = LEFT + column * width, HEIGHT - 30 + 18 * row
        yield text(x, y, f"{MARKS[index % len(MARKS)]} {rule}")


def _in_words(curve: OperatingCurve) -> str:
    parts = [
        f"{share:.2f} after {'more than half are missed' if tasks is None else count(tasks)}"
        for share, tasks in curve.points
    ]
    return f"{curve.rule} at {curve.weight:g} %: {', '.join(parts)}"
