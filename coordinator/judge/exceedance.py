"""Engine for one quantile of a latency against the baseline's.

The mark is the baseline's quantile in a frozen sample of values from *before* the tasks that are
compared with it. Harm: more of the canary's values lie above it than of the baseline's. Safe:
even when they are divided by `1 + tolerate`, fewer lie at or above it. No moment is needed, so a
value may be infinite (a task that never ended). The mark is an estimate: what is compared is the
level F(mark), within about sqrt(p(1 - p) / sample) of the quantile that was asked for.

"Above" for harm and "at or above" for safe are the same for continuous values. With ties, as in
virtual time, each keeps its power: both are valid for their own null.
"""

from __future__ import annotations

from bisect import bisect_left
from math import inf
from typing import Any

import numpy as np

from rolewise.coordinator.judge.bernoulli import harm_bet
from rolewise.coordinator.judge.interval import Strata, scale_interval
from rolewise.coordinator.judge.label_bet import Bet, LabelBet
from rolewise.coordinator.judge.projection import Null

BETTER = (0.85, 0.65, 0.4)
SHORTEST_S = 1e-9  # a mark of 0 has no multiples
RARE_QUANTILE = 0.99

SCALES = tuple(1.04 ** (k + 0.5) for k in range(-36, 36))
"""Factors, from about 1/4 to 4, among which the interval is sought; 1 is not one of them, so that
equal values are on neither edge."""

LARGEST: float = SCALES[-1]

BELOW, AT, ABOVE, CANARY = range(4)
"""Cells of a stratum: three of the baseline, then one for each gap between scales."""


def better_rates(baseline: float) -> tuple[float, ...]:
    """Return the canary's exceedance rates that a promotion bets on."""
    return tuple(share * baseline for share in BETTER)


def slow_bet(quantile: float) -> Bet:
    """Return the bet against "the canary exceeds the mark no more often"."""
    weight = _prior_tasks(quantile)
    return harm_bet(
        prior_bad=weight * (1.0 - quantile), prior_good=weight * quantile, restarts=True
    )


def fast_bet(quantile: float) -> Bet:
    """Return the bet against "the canary, scaled, exceeds the mark no less often"."""
    weight = _prior_tasks(quantile)
    return Bet(
        null=Null(claim="harmful"),
        alternatives=better_rates,
        shares=(1.0 / len(BETTER),) * len(BETTER),
        likely=1,
        prior_bad=weight * (1.0 - quantile),
        prior_good=weight * quantile,
    )


class Exceedance:
    """How often each arm exceeds the baseline's quantile; the owner sets the mark.

    Args:
        quantile: Inside (0, 1).
        tolerate: Relative excess of the canary's quantile that is still safe.
        harm_margin: Relative excess that it must have, beyond doubt, to be harm.
        has_interval: Keep what an interval needs: how far above the mark the values are.
    """

    __slots__ = ("_harm", "_room", "_safe", "_slack", "_strata", "mark", "quantile")

    def __init__(
        self,
        *,
        quantile: float,
        tolerate: float,
        harm_margin: float = 0.0,
        has_interval: bool = True,
    ) -> None:
        self.quantile = quantile
        self.mark: float | None = None
        """What is exceeded, in seconds; infinite where the baseline has no such quantile."""
        self._room = 1.0 + tolerate
        self._slack = 1.0 + harm_margin
        self._harm = LabelBet(slow_bet(quantile))
        self._safe = LabelBet(fast_bet(quantile))
        self._strata = Strata(CANARY + len(SCALES) + 1) if has_interval else None

    def set_mark(self, value: float) -> None:
        """Compare with this value from here on."""
        self.mark = max(SHORTEST_S, value)

    @property
    def is_comparing(self) -> bool:
        """Whether there is a mark that can be exceeded."""
        return self.mark is not None and self.mark != inf

    @property
    def settled_after(self) -> float:
        """Age in seconds beyond which it makes no difference when, or if, a task ends."""
        if self.mark is None:
            return 0.0  # nothing is compared yet
        furthest = max(self._room, self._slack)
        return self.mark * (furthest if self._strata is None else max(LARGEST, furthest))

    def add(self, value: float, *, canary: bool, weight: float) -> bool:
        """Count one value; return whether it exceeds the mark."""
        mark = self.mark
        if mark is None or mark == inf:
            return False
        slow = value / (self._slack if canary else 1.0) > mark
        late = value / (self._room if canary else 1.0) >= mark
        self._harm.add(canary=canary, weight=weight, bad=slow)
        self._safe.add(canary=canary, weight=weight, bad=late)
        if self._strata is None:
            return value > mark
        if canary:
            cell = CANARY + bisect_left(SCALES, value / mark)
        else:
            cell = ABOVE if value > mark else AT if value == mark else BELOW
        self._strata.add(weight, cell)
        return value > mark

    @property
    def log_harm(self) -> float:
        """Logarithm of the evidence that the canary's quantile is larger."""
        return self._harm.log_e

    @property
    def log_safe(self) -> float:
        """Logarithm of the evidence that it is within what is tolerated."""
        return self._safe.log_e

    @property
    def tasks(self) -> int:
        """Tasks that were compared with a mark."""
        return self._safe.tasks

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks show it safe."""
        return self._safe.tasks_to(log_threshold)

    def interval(self) -> tuple[float, float] | None:
        """Return the interval of the canary's relative excess; an open end is -1 or infinite."""
        if self._strata is None or not self._strata.rows:
            return None
        weights, cells = self._strata.split()
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
            prior=1.0 - self.quantile,
        )
        return bounds and (bounds[0] - 1.0, bounds[1] - 1.0)

    def note(self, *, least: int, present: int) -> str:
        """Return half a sentence on a mark that is missing."""
        name = f"p{100 * self.quantile:.3g}"
        if self.mark == inf:
            share = f"{100 * (1 - self.quantile):.3g} %"
            return (
                f"more than {share} of the baseline's tasks never ended,"
                f" so there is no {name} to compare"
            )
        if self.mark is None:
            return f"{least} tasks of the baseline set the {name} mark, {present} are in"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the state; an infinite mark is null."""
        return {
            "harm": self._harm.to_json(),
            "safe": self._safe.to_json(),
            "strata": None if self._strata is None else self._strata.to_json(),
            "frozen": self.mark is not None,
            "mark": None if self.mark in {None, inf} else self.mark,
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._harm.load(data["harm"])
        self._safe.load(data["safe"])
        if self._strata is not None:
            self._strata.load(data["strata"])
        self.mark = None if not data["frozen"] else inf if data["mark"] is None else data["mark"]


def _prior_tasks(quantile: float) -> float:
    """Return how many tasks the prior counts for: more where exceedances are rare."""
    return 100.0 if quantile >= RARE_QUANTILE else 20.0
