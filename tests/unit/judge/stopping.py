"""An oracle for evidence that may be looked at all the time: the best moment to stop looking.

Evidence is valid if its mean is at most 1 whenever one stops, also by a rule that waits for the
best moment. On a tree of all paths of a few units the best rule is found exactly, backwards: at
each node it takes what is there or what is to be expected, whichever is more. A mean at a fixed
number of units would overlook evidence that is paid out twice.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import exp
from typing import Any

Outcomes = Sequence[tuple[float, Any]]
"""Chance and value of each outcome."""


@dataclass(frozen=True)
class Step:
    """One unit to come: the canary's probability, and what its outcome may be in either arm."""

    weight: float
    baseline: Outcomes
    canary: Outcomes


def best_stopped_mean(
    engine: Any,
    steps: Sequence[Step],
    *,
    add: Callable[[Any, bool, float, Any], object],
    log_e: Callable[[Any], float],
) -> float:
    """Return the largest mean of the evidence over all rules that say when to stop."""
    here = exp(log_e(engine))
    if not steps:
        return here
    step, later = steps[0], 0.0
    arms = ((False, 1.0 - step.weight, step.baseline), (True, step.weight, step.canary))
    for canary, share, outcomes in arms:
        for chance, value in outcomes:
            if share * chance:
                branch = deepcopy(engine)
                add(branch, canary, step.weight, value)
                later += share * chance * best_stopped_mean(branch, steps[1:], add=add, log_e=log_e)
    return max(here, later)


def add_to_series(series: Any, canary: bool, weight: float, value: Any) -> None:
    """Count a unit in a `Series`."""
    series.add(canary=canary, weight=weight, value=value)


def harm(series: Any) -> float:
    """Read a `Series`."""
    return series.levels()[0]


def safe(series: Any) -> float:
    """Read a `Series`."""
    return series.levels()[1]
