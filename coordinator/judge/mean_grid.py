"""Anytime-valid intervals of differences of means: a grid of nulls, all tested all the time.

A difference is ruled out when the evidence that it is larger, or that it is smaller, reaches
2 / error. What is left is rounded outwards to the next point of the grid.
"""

from __future__ import annotations

from math import inf, log

import numpy as np
import numpy.typing as npt

from rolewise.coordinator.judge.linear_bet import GRID_STAKES, Numbers, Rows

INTERVAL_ERROR = 0.05

_EXCESSES = (
    *(0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.65, 0.8, 1.0, 1.3, 1.7, 2.2, 3.0, 4.0),
)
_SHIFTS = (
    *(0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.075, 0.09, 0.11),
    *(0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8),
)

RATIOS: Numbers = np.array(
    [*(1.0 / (1.0 + one) for one in reversed(_EXCESSES)), *(1.0 + one for one in _EXCESSES)]
)
"""Canary's mean over the baseline's."""

DIFFERENCES: Numbers = np.array([*(-one for one in reversed(_SHIFTS)), *_SHIFTS])
"""Canary's mean minus the baseline's."""


def grid_rows(*, is_relative: bool) -> Rows:
    """Return the nulls: for each point first "not larger", then "not smaller"."""
    points = RATIOS if is_relative else DIFFERENCES
    both = np.concatenate([points, points])
    return Rows(
        scale=1.0 / both if is_relative else np.ones(len(both)),
        shift=np.zeros(len(both)) if is_relative else both,
        sign=np.repeat([1.0, -1.0], len(points)),
        stakes=GRID_STAKES,
    )


def grid_interval(
    logs: Numbers, *, is_relative: bool, error: float = INTERVAL_ERROR
) -> tuple[float, float] | None:
    """Return the interval that the evidence of the rows leaves.

    Args:
        logs: Logarithm of each row's evidence, in the order of `grid_rows`.
        is_relative: The points are ratios; the interval is of their excess over 1.
        error: Chance that it is ever wrong.

    Returns:
        None while both ends are open. An open lower end is -1, an open upper end infinite.
    """
    points = RATIOS - 1.0 if is_relative else DIFFERENCES
    half = len(points)
    is_out = logs >= log(2.0 / error)
    # An end is a point that is left, with all beyond it ruled out: whatever the evidence between
    # does, the points next to the truth would have to be ruled out for a wrong interval.
    below, above = _leading(is_out[:half]), _leading(is_out[half:][::-1])
    if not below and not above:
        return None
    low = float(points[below - 1]) if below else -1.0
    high = float(points[-above]) if above else inf if is_relative else 1.0
    return low, max(low, high)


def _leading(flags: npt.NDArray[np.bool_]) -> int:
    """Return how many true flags there are before the first false one."""
    return len(flags) if flags.all() else int(np.argmin(flags))
