"""What a stage's analyses will take, told before anything moves: tasks, time, and what won't do.

It is reckoned with the tests' own planning rule, so a plan that cannot reach a verdict with its
traffic is known at once and not after its budget is spent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt

from rolewise.coordinator.judge.analysis import Analysis, Evidence, Signal
from rolewise.coordinator.judge.planning import Need
from rolewise.coordinator.judge.quantities import about, limit
from rolewise.coordinator.plan.plan import Analyse, SetWeight, Stage, Step

ExpectedTasks = Callable[[Analysis, float, Evidence], Need]
"""(analysis, weight in percent, evidence) -> what an equally good canary needs to be shown safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How analyses are foretold.

    Attributes:
        expected_tasks: What each needs.
        tasks_per_s: The fleet's traffic; None while it is not known.
    """

    expected_tasks: ExpectedTasks
    tasks_per_s: float | None = None


def foretell(stage: Stage, forecast: Forecast) -> tuple[Stage, tuple[str, ...]]:
    """Return the stage with the tasks that each analysis will need, and what to be warned of."""
    steps: list[Step] = []
    warnings: list[str] = []
    for weight, step in _with_weights(stage.steps):
        if not isinstance(step, Analyse):
            steps.append(step)
            continue
        need = forecast.expected_tasks(stage.analysis, weight, step.evidence)
        steps.append(replace(step, expected_tasks=need.tasks))
        problem = _problem(stage.analysis, weight, need, forecast.tasks_per_s)
        if problem:
            warnings.append(
                f"stage {stage.role}, {step.evidence} analysis at {weight:g} %: {problem}"
            )
    return replace(stage, steps=tuple(steps)), tuple(warnings)


def _problem(analysis: Analysis, weight: float, need: Need, tasks_per_s: float | None) -> str:
    """Say why an analysis will probably not reach a verdict; empty when it will."""
    if need.tasks is None:
        return f"no number of tasks shows a good canary to be safe in {need.signal}"
    room = _room(analysis, weight, tasks_per_s)
    if need.tasks <= room:
        return ""
    takes = f"a good canary needs about {about(need.tasks)} tasks"
    if need.signal:
        takes += f" for {need.signal}"
    if tasks_per_s and room == analysis.max_duration_s * tasks_per_s:
        bound = (
            f", {_duration(need.tasks / tasks_per_s)} at {tasks_per_s:.2g} tasks a second, more "
            f"than max_duration ({_duration(analysis.max_duration_s)})"
        )
    else:
        on_canary = about(need.tasks * weight / 100.0)
        bound = f", {on_canary} of them on the canary, more than max_tasks ({analysis.max_tasks})"
    return f"{takes}{bound}: it will probably end unsure{_what_fits(analysis, need, room)}"


def _room(analysis: Analysis, weight: float, tasks_per_s: float | None) -> float:
    """Return how many tasks of both arms the budgets allow."""
    rooms = [inf]
    if analysis.max_tasks:
        rooms.append(analysis.max_tasks * 100.0 / weight)
    if analysis.max_duration_s and tasks_per_s:
        rooms.append(analysis.max_duration_s * tasks_per_s)
    return min(rooms)


def _what_fits(analysis: Analysis, need: Need, room: float) -> str:
    """Name the margin that the budget would do for; tasks go with the inverse of its square."""
    signal = next((one for one in analysis.signals if one.name == need.signal), None)
    if signal is None or signal.compare != "baseline" or not need.tasks or not room:
        return ""
    fits = signal.tolerate * sqrt(need.tasks / room)
    if signal.is_in_unit and fits >= 1.0:
        return ""
    return f"; tolerate {_margin(signal, fits)} would fit"


def _margin(signal: Signal, figure: float) -> str:
    return limit(replace(signal, direction="lower_is_better"), figure).removeprefix("+")


def _with_weights(steps: Sequence[Step]) -> Iterator[tuple[float, Step]]:
    weight = 0.0
    for step in steps:
        weight = step.weight if isinstance(step, SetWeight) else weight
        yield weight, step


def _duration(seconds: float) -> str:
    """Return a duration in the one unit that suits it."""
    for unit, size in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
