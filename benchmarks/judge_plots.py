"""Draws the three pictures of docs/judge.md.

    python benchmarks/judge_plots.py [--docs docs] [--operating benchmarks/judge_operating.json]

Two are of made-up tasks with a printed seed: one canary that completes 10 points fewer, one that
is equally good. The third is of what `judge_operating.py` has measured.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

from rolewise.coordinator.backtest.operating import OperatingCurve, draw_operating
from rolewise.coordinator.backtest.plots import Curve, draw_beside
from rolewise.coordinator.backtest.replay import Replay, replay
from rolewise.coordinator.backtest.rows import Row
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.fleet.task import Outcome

SEED, TASKS, POINTS, WEIGHT = 11, 2000, 100, 25.0
COMPLETES = 0.95
ANALYSIS = Analysis(
    alpha=0.01, signals=(Signal(name="completion", metric="task.completed", tolerate=0.05),)
)
SHOWN_WEIGHTS = (5.0, 25.0)
OURS, BOUND = "rolewise", "bound"
BEGIN, END = "<!-- operating curve: begin -->", "<!-- operating curve: end -->"
OPERATING = """\
![Median tasks to roll back against the share of tasks that the canary completes, for the judge and
for the rules of other tools.](judge-operating.svg)

A z-test that is repeated after every task seems fast: it rolls back a third of the good versions,
too. The window rule has at each point the setting that is best there, which nobody knows before.
The bound is what no rule can beat on average."""


def made_up(canary_completes: float, *, seed: int = SEED) -> list[Row]:
    """Return tasks of a baseline that completes 95 % and of a canary."""
    rng = random.Random(seed)
    rows = []
    for number in range(TASKS):
        canary = rng.random() * 100.0 < WEIGHT
        is_done = rng.random() < (canary_completes if canary else COMPLETES)
        rows.append(
            Row(
                task=f"t-{number}",
                canary=canary,
                weight=WEIGHT,
                started_s=float(number),
                ended_s=float(number),
                outcome=Outcome.COMPLETED if is_done else Outcome.FAILED,
            )
        )
    return rows


def examples() -> list[tuple[str, Replay]]:
    """Return the two replays that are drawn, with captions."""
    return [
        (caption, replay(made_up(completes), ANALYSIS, points=POINTS))
        for caption, completes in (
            ("a canary that completes 85 %, not 95 %", 0.85),
            ("a canary that is equally good", COMPLETES),
        )
    ]


def pictures() -> dict[str, str]:
    """Return the pictures of the two replays, by file name."""
    replays = examples()
    about = " ".join(f"{name}: {one.verdict.reason}." for name, one in replays)
    return {
        "judge-evidence.svg": draw_beside(
            replays, Curve.EVIDENCE, title="Evidence of harm and of safety over tasks", about=about
        ),
        "judge-interval.svg": draw_beside(
            replays,
            Curve.DIFFERENCE,
            title="Difference in completion, in points, with its interval over tasks",
            about=about,
        ),
    }


def operating(file: Path) -> str:
    """Return the picture of what `judge_operating.py` has measured."""
    measured = json.loads(file.read_text(encoding="utf-8"))
    curves = [
        OperatingCurve(
            rule=one["rule"],
            weight=100.0 * one["weight"] if one["weight"] <= 1.0 else float(one["weight"]),
            points=[(p["canary_completion"], _reached(p)) for p in one["points"]],
        )
        for one in measured["curves"]
    ]
    curves.sort(key=lambda one: (one.rule != OURS, one.rule == BOUND))
    return draw_operating(curves, baseline=COMPLETES, weights=_weights(curves))


def show(page: Path) -> None:
    """Let the page show the third picture."""
    head, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    page.write_text(f"{head}{begin}\n{OPERATING}\n{end}{tail}", encoding="utf-8")


def _reached(point: dict[str, float | None]) -> float | None:
    """Return the median tasks, if at least half of the trials got that far."""
    return point["median_tasks"] if (point["detected_share"] or 0.0) >= 0.5 else None


def _weights(curves: Sequence[OperatingCurve]) -> list[float]:
    known = {one.weight for one in curves}
    return [weight for weight in SHOWN_WEIGHTS if weight in known] or sorted(known)[:2]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    parser.add_argument("--operating", type=Path, default=Path("benchmarks/judge_operating.json"))
    options = parser.parse_args()
    print(f"seed {SEED}")
    for name, picture in pictures().items():
        (options.docs / name).write_text(picture, encoding="utf-8")
    if options.operating.is_file():
        picture = operating(options.operating)
        (options.docs / "judge-operating.svg").write_text(picture, encoding="utf-8")
        show(options.docs / "judge.md")
    else:
        print(f"{options.operating} is not there: benchmarks/judge_operating.py writes it")


if __name__ == "__main__":
    main()
