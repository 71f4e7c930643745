"""Engine for orderable values against the baseline: is a quantile of the latency worse?

The threshold is the baseline's quantile in a frozen sample of values from *before* the tasks that
are compared with it. Harm: more of the canary's values lie above it than of the baseline's. Safe:
even when they are divided by `1 + tolerate`, fewer lie at or above it. No moment is needed, so a
value may be infinite (a task that never ended). The threshold is an estimate: what is compared is
the level F(threshold), within about sqrt(p(1 - p) / sample) of the quantile that was asked for.

"Above" for harm and "at or above" for safe are the same for continuous values. With ties, as in
virtual time, each keeps its power: both are valid for their own null.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from math import inf, isfinite
from typing import Any

import numpy as np

from rolewise.coordinator.judge.bernoulli import harm_bet
from rolewise.coordinator.judge.interval import Strata, scale_interval
from rolewise.coordinator.judge.label_bet import Bet, LabelBet
from rolewise.coordinator.judge.planning import LEAST_SAMPLE, tasks_to_compare
from rolewise.coordinator.judge.projection import Null
from rolewise.coordinator.judge.series import Reading, quantile_of

SAMPLE_TASKS = 1000
BETTER = (0.85, 0.65, 0.4)
SHORTEST_S = 1e-9  # a threshold of 0 has no multiples

SCALES = tuple(1.04 ** (k + 0.5) for k in range(-60, 60))
"""Factors, from about 0.1 to 10, among which the interval is sought; 1 is not one of them, so that
equal values are on neither edge."""

BELOW, AT, ABOVE, CANARY = range(4)
"""Cells of a stratum: three of the baseline, then one for each gap between scales."""


def better_rates(baseline: float) -> tuple[float, ...]:
    """Return the canary's exceedance rates that a promotion bets on."""
    return tuple(share * baseline for share in BETTER)


def slow_bet(quantile: float) -> Bet:
    """Return the bet against "the canary exceeds the threshold no more often"."""
    weight = _prior_tasks(quantile)
    return harm_bet(prior_bad=weight * (1.0 - quantile), prior_good=weight * quantile)


def fast_bet(quantile: float) -> Bet:
    """Return the bet against "the canary, scaled, exceeds the threshold no less often"."""
    weight = _prior_tasks(quantile)
    return Bet(
        null=Null(claim="harmful"),
        alternatives=better_rates,
        shares=(1.0 / len(BETTER),) * len(BETTER),
        likely=1,
        prior_bad=weight * (1.0 - quantile),
        prior_good=weight * quantile,
    )


class ExceedanceSeries:
    """A quantile of the canary against the same of the baseline.

    Args:
        quantile: Inside (0, 1).
        tolerate: Relative excess of the canary's quantile that is still safe.
        harm_margin: Relative excess that it must have, beyond doubt, to be harm.
    """

    __slots__ = (
        "_canary_values",
        "_harm",
        "_quantile",
        "_room",
        "_safe",
        "_slack",
        "_strata",
        "_tasks",
        "_threshold",
        "_values",
        "_weight",
        "compares",
    )

    def __init__(self, *, quantile: float, tolerate: float, harm_margin: float = 0.0) -> None:
        self.compares = True
        self._quantile = quantile
        self._room = 1.0 + tolerate
        self._slack = 1.0 + harm_margin
        self._harm = LabelBet(slow_bet(quantile))
        self._safe = LabelBet(fast_bet(quantile))
        self._strata = Strata(CANARY + len(SCALES) + 1)
        self._values: deque[float] = deque(maxlen=SAMPLE_TASKS)
        self._canary_values: deque[float] = deque(maxlen=SAMPLE_TASKS)
        self._threshold: float | None = None
        self._weight = 0.0
        self._tasks = [0, 0]

    def add(self, *, canary: bool, weight: float, value: float) -> bool:
        """Count a task's value; infinite when it never ended."""
        if not 0.0 < weight < 1.0:
            return False
        if weight != self._weight or self._threshold is None:
            self._weight = weight
            if len(self._values) >= LEAST_SAMPLE:
                self._threshold = max(SHORTEST_S, quantile_of(self._values, self._quantile))
        self._tasks[canary] += 1
        (self._canary_values if canary else self._values).append(value)
        threshold = self._threshold
        if threshold is None or threshold == inf:
            return False
        slow = value / (self._slack if canary else 1.0) > threshold
        late = value / (self._room if canary else 1.0) >= threshold
        self._harm.add(canary=canary, weight=weight, bad=slow)
        self._safe.add(canary=canary, weight=weight, bad=late)
        if canary:
            cell = CANARY + bisect_left(SCALES, value / threshold)
        else:
            cell = ABOVE if value > threshold else AT if value == threshold else BELOW
        self._strata.add(weight, cell)
        return value > threshold

    def read(self) -> Reading:
        """Return quantiles in seconds; the difference is the canary's relative excess."""
        baseline = quantile_of(self._values, self._quantile) if self._values else None
        canary = quantile_of(self._canary_values, self._quantile) if self._canary_values else None
        known = baseline and canary and isfinite(baseline) and isfinite(canary)
        return Reading(
            baseline=_finite(baseline),
            canary=_finite(canary),
            difference=canary / baseline - 1.0 if baseline and canary and known else None,
            interval=self._interval(),
            log_harm=self._harm.log_e,
            log_safe=self._safe.log_e,
            tasks_baseline=self._tasks[0],
            tasks_canary=self._tasks[1],
            note=self._note(),
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks show it safe, the sample that is still missing included."""
        if self._threshold == inf:
            return None
        if self._threshold is not None and self._safe.tasks:
            return self._safe.tasks_to(log_threshold)
        if not self._weight:
            return None
        sample = (LEAST_SAMPLE - len(self._values)) / (1.0 - self._weight)
        more = tasks_to_compare(self._quantile, self._room, self._weight, log_threshold)
        return None if more is None else max(0.0, sample) + more

    def to_json(self) -> dict[str, Any]:
        """Return the state; an infinite value is null."""
        threshold = self._threshold
        return {
            "harm": self._harm.to_json(),
            "safe": self._safe.to_json(),
            "strata": self._strata.to_json(),
            "values": [_finite(value) for value in self._values],
            "canary_values": [_finite(value) for value in self._canary_values],
            "frozen": threshold is not None,
            "threshold": _finite(threshold),
            "weight": self._weight,
            "tasks": list(self._tasks),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._harm.load(data["harm"])
        self._safe.load(data["safe"])
        self._strata.load(data["strata"])
        self._values.extend(_value(one) for one in data["values"])
        self._canary_values.extend(_value(one) for one in data["canary_values"])
        self._threshold = _value(data["threshold"]) if data["frozen"] else None
        self._weight = data["weight"]
        self._tasks = list(data["tasks"])

    def _interval(self) -> tuple[float, float] | None:
        weights, cells = self._strata.split()
        if not len(weights):
            return None
        baseline, gaps = cells[:, :CANARY], cells[:, CANARY:]
        count = gaps.sum(axis=1, keepdims=True)
        above = count - np.cumsum(gaps, axis=1)[:, :-1]
        columns = [
            np.stack([baseline.sum(axis=1) - bad, bad], axis=1)
            for bad in (baseline[:, ABOVE], baseline[:, AT] + baseline[:, ABOVE])
        ]
        bounds = scale_interval(
            weights,
            columns[0],
            columns[1],
            above,
            count,
            scales=np.asarray(SCALES),
            prior=1.0 - self._quantile,
        )
        return bounds and (bounds[0] - 1.0, bounds[1] - 1.0)

    def _note(self) -> str:
        if self._threshold == inf:
            return (
                f"more than {100 * (1 - self._quantile):.3g} % of the baseline's tasks never ended,"
                f" so there is no p{100 * self._quantile:.3g} to compare"
            )
        if self._threshold is None:
            return f"{LEAST_SAMPLE} tasks of the baseline set the mark, {len(self._values)} are in"
        return ""


def _prior_tasks(quantile: float) -> float:
    """Return how many tasks the prior counts for: more where exceedances are rare."""
    return 100.0 if quantile >= 0.99 else 20.0  # noqa: PLR2004 - from the 99th percentile on


def _finite(value: float | None) -> float | None:
    return None if value is None or value == inf else value


def _value(stored: float | None) -> float:
    return inf if stored is None else stored
