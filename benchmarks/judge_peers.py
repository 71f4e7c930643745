"""What others do with the same tasks, for `judge_operating.py`: three rules on completion.

All are given the benefit of perfect plumbing: every outcome is there at once, in start order, at a
steady 60 tasks a minute. Each function takes arms and failures (a run a row) and returns for each
run the number of tasks at its first alarm, infinite without one.

- window: the canary's success rate in each minute is held against a threshold; so many failed
  checks, counted over the whole rollout, roll back (as Flagger's loop counts);
- Mann-Whitney: every ten minutes, the canary's rates by minute since the start against those of a
  control of equal size, one-sided at 1 % a look (as Kayenta's default judge at 98 %, in one
  direction);
- z-test: pooled two-proportion z, one-sided at 5 %, after every task from 30 an arm on.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]

PER_MINUTE = 60
LOOK_MINUTES = 10
Z_MANN_WHITNEY, Z_REPEATED = 2.326, 1.645
LEAST_AN_ARM = 30

THRESHOLDS = (0.99, 0.97, 0.95, 0.93, 0.92, 0.90, 0.88, 0.85, 0.80, 0.70, 0.50)
CHECKS = (1, 2, 3, 5, 10, 20)
SETTINGS = tuple(product(THRESHOLDS, CHECKS))
"""Of the window rule: threshold of the success rate, failed checks that roll back."""


def windows(canary: Flags, failed: Flags) -> Numbers:
    """Return the first alarms of the window rule, a column for each of `SETTINGS`."""
    count, bad = _by_minute(canary), _by_minute(canary & failed)
    rate = 1.0 - bad / np.maximum(1.0, count)
    columns = []
    for threshold in THRESHOLDS:
        failing = np.cumsum((rate < threshold) & (count > 0), axis=1)
        columns += [_first(failing >= checks, PER_MINUTE) for checks in CHECKS]
    return np.stack(columns, axis=1)


def mann_whitney(canary: Flags, failed: Flags, weight: float) -> Numbers:
    """Return the first alarms of the growing-window Mann-Whitney test."""
    minutes = canary.shape[1] // PER_MINUTE
    shape = (len(canary), minutes, PER_MINUTE)
    ours, theirs, bad = (
        one[:, : minutes * PER_MINUTE].reshape(shape) for one in (canary, ~canary, failed)
    )
    control = theirs & (np.cumsum(theirs, axis=2) <= max(1, round(PER_MINUTE * weight)))
    alarms = np.full(len(canary), np.inf)
    for run in range(len(canary)):
        x, y = _rates(ours[run], bad[run]), _rates(control[run], bad[run])
        for minute in range(2 * LOOK_MINUTES, minutes + 1, LOOK_MINUTES):
            if _rank_z(x[:minute], y[:minute]) > Z_MANN_WHITNEY:
                alarms[run] = minute * PER_MINUTE
                break
    return alarms


def repeated_z(canary: Flags, failed: Flags) -> Numbers:
    """Return the first alarms of the z-test after every task."""
    n_c, n_b = np.cumsum(canary, axis=1), np.cumsum(~canary, axis=1)
    f_c, f_b = np.cumsum(canary & failed, axis=1), np.cumsum(~canary & failed, axis=1)
    c, b = np.maximum(1, n_c), np.maximum(1, n_b)
    pooled = (f_c + f_b) / (c + b)
    spread = np.sqrt(pooled * (1.0 - pooled) * (1.0 / c + 1.0 / b))
    z = (f_c / c - f_b / b) / np.maximum(1e-12, spread)
    return _first((np.minimum(n_c, n_b) >= LEAST_AN_ARM) & (z > Z_REPEATED), 1)


def _by_minute(flags: Flags) -> Numbers:
    minutes = flags.shape[1] // PER_MINUTE
    return np.asarray(
        flags[:, : minutes * PER_MINUTE].reshape(len(flags), minutes, PER_MINUTE).sum(axis=2),
        dtype=np.float64,
    )


def _first(alarm: Flags, step: int) -> Numbers:
    """Return when each row is first true, in tasks."""
    return np.where(alarm.any(axis=1), (alarm.argmax(axis=1) + 1.0) * step, np.inf)


def _rates(arm: Flags, bad: Flags) -> Numbers:
    """Return the failure rate of each minute; NaN without a task."""
    count = arm.sum(axis=1)
    return np.where(count > 0, (arm & bad).sum(axis=1) / np.maximum(1, count), np.nan)


def _rank_z(x: Numbers, y: Numbers) -> float:
    """Return the normal score of the Mann-Whitney statistic, with its correction for ties."""
    x, y = x[~np.isnan(x)], np.sort(y[~np.isnan(y)])
    n, m = len(x), len(y)
    if not n or not m:
        return 0.0
    below = np.searchsorted(y, x, side="left") + np.searchsorted(y, x, side="right")
    ties = np.unique(np.concatenate([x, y]), return_counts=True)[1].astype(np.float64)
    total = n + m
    variance = n * m / 12.0 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    if variance <= 0.0:
        return 0.0
    return float((0.5 * below.sum() - 0.5 * n * m - 0.5) / np.sqrt(variance))
