"""One e-process: evidence against a null from yes/no outcomes of two randomised arms.

Between two refreshes the factors stand still, so four counts are all that a task changes: adding
one costs an increment, however many alternatives are in the mixture. A refresh folds the counts
into the logarithms, one for each alternative, and looks again at the baseline's rate. All that a
factor depends on was known before its task, which is what keeps the evidence valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.projection import (
    BASELINE_BAD,
    BASELINE_GOOD,
    CANARY_BAD,
    CANARY_GOOD,
    NEUTRAL,
    Null,
    information,
    log_factors,
)
from rolewise.coordinator.judge.restarts import Restarts

RATE_FLOOR = 1e-4  # an estimate of exactly 0 or 1 would bet everything on it
REFRESH_TASKS, REFRESH_GROWTH = 10, 1.05
EPSILON_NATS = 1e-9  # a gain below this a task is none
OVER_BOUND = 1.3  # mean number of tasks of this test over the information bound
CANARY_PRIOR = 100.0  # pseudo-tasks that draw the canary's estimate to that of a good one

Alternatives = Callable[[float], Sequence[float]]
"""Baseline's bad rate -> the canary's bad rates that are worth a bet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bet:
    """What a `LabelBet` bets on; fixed for its life.

    Attributes:
        null: What is to be disproved.
        alternatives: The canary's rates that are worth a bet, from the baseline's.
        shares: How the first coin is split between the alternatives; they sum to 1.
        prior_bad: Pseudo-counts for the baseline's rate.
        prior_good: Likewise; their sum is how many tasks the prior counts for.
        likely: Which alternative is that of the usual canary; forecasts lean on it.
        restarts: Part of the first coin is kept for harm that begins late.
    """

    null: Null
    alternatives: Alternatives
    shares: tuple[float, ...]
    prior_bad: float = 1.0
    prior_good: float = 19.0
    likely: int = 0
    restarts: bool = False

    def baseline_rate(self, bad: int, good: int) -> float:
        """Return the baseline's bad rate, drawn to the prior and away from 0 and 1."""
        rate = (bad + self.prior_bad) / (bad + good + self.prior_bad + self.prior_good)
        return min(1.0 - RATE_FLOOR, max(RATE_FLOOR, rate))


class LabelBet:
    """A running e-process; `log_e` is the logarithm of the evidence so far."""

    __slots__ = (
        "_bet",
        "_cells",
        "_factors",
        "_folded",
        "_logs",
        "_next",
        "_rate",
        "_restarts",
        "_seen",
        "_weight",
    )

    def __init__(self, bet: Bet) -> None:
        self._bet = bet
        self._weight = 0.0  # of the current factors; 0 before the first task
        self._rate = bet.baseline_rate(0, 0)
        self._seen = 0  # tasks so far
        self._next = 0  # number of tasks at the next refresh
        self._folded = [0, 0, 0, 0]  # counts of cells that are in `_logs`
        self._cells = [0, 0, 0, 0]  # counts since
        self._logs = [0.0] * len(bet.shares)
        self._factors = [NEUTRAL] * len(bet.shares)
        self._restarts = Restarts(len(bet.shares)) if bet.restarts else None

    def add(self, *, canary: bool, weight: float, bad: bool) -> None:
        """Count one task, in start order; `weight` is the canary's probability at its draw."""
        if weight != self._weight or self._seen >= self._next:
            self.refresh(weight)
        self._cells[2 * canary + bad] += 1
        self._seen += 1

    def refresh(self, weight: float) -> None:
        """Fold the counts and set the factors for the tasks to come.

        Needed only where the schedule must be overruled: `add` refreshes by itself, at every change
        of the weight and when the number of tasks has grown by 5 %.
        """
        self._logs = self._products()
        self._folded = self._totals()
        self._cells = [0, 0, 0, 0]
        if self._restarts is not None:
            self._restarts.note(self._logs, units=self._seen, changed=weight != self._weight)
        if self._seen >= self._next:
            self._next = max(self._seen + REFRESH_TASKS, int(REFRESH_GROWTH * self._seen))
        self._weight = weight
        self._rate = self._bet.baseline_rate(
            self._folded[BASELINE_BAD], self._folded[BASELINE_GOOD]
        )
        self._set_factors()

    @property
    def tasks(self) -> int:
        """Tasks so far."""
        return self._seen

    @property
    def log_e(self) -> float:
        """Logarithm of the evidence against the null."""
        products = self._products()
        if self._restarts is None:
            return log_mean_exp(products, self._bet.shares)
        return self._restarts.log_e(products, self._bet.shares)

    def bad_rates(self) -> tuple[float, float] | None:
        """Return the shares of bad tasks of baseline and canary; None until both have tasks."""
        totals = self._totals()
        baseline = totals[BASELINE_BAD] + totals[BASELINE_GOOD]
        canary = totals[CANARY_BAD] + totals[CANARY_GOOD]
        if not baseline or not canary:
            return None
        return totals[BASELINE_BAD] / baseline, totals[CANARY_BAD] / canary

    def tasks_to(self, log_threshold: float) -> float | None:
        """Guess how many more tasks bring the evidence to a threshold, at the current weight.

        Returns:
            Tasks of both arms; None when the rates so far lie in the null, so that no number would.
        """
        missing = log_threshold - self.log_e
        if missing <= 0.0:
            return 0.0
        totals = self._totals()
        baseline = self._bet.baseline_rate(totals[BASELINE_BAD], totals[BASELINE_GOOD])
        closed = totals[CANARY_BAD] + totals[CANARY_GOOD]
        likely = self._bet.alternatives(baseline)[self._bet.likely]
        canary = (totals[CANARY_BAD] + CANARY_PRIOR * likely) / (closed + CANARY_PRIOR)
        gain = information(self._weight, canary, baseline, self._bet.null) if self._weight else 0.0
        return OVER_BOUND * missing / gain if gain > EPSILON_NATS else None

    def to_json(self) -> dict[str, Any]:
        """Return all that another process needs to go on exactly here."""
        return {
            "weight": self._weight,
            "rate": self._rate,
            "next": self._next,
            "folded": list(self._folded),
            "cells": list(self._cells),
            "logs": list(self._logs),
            "restarts": None if self._restarts is None else self._restarts.to_json(),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self._weight, self._rate, self._next = data["weight"], data["rate"], data["next"]
        self._folded, self._cells = list(data["folded"]), list(data["cells"])
        self._logs = list(data["logs"])
        self._seen = sum(self._totals())
        if self._restarts is not None:
            self._restarts.load(data["restarts"])
        if self._weight:
            self._set_factors()

    def _set_factors(self) -> None:
        self._factors = [
            log_factors(self._weight, rate, self._rate, self._bet.null)
            for rate in self._bet.alternatives(self._rate)
        ]

    def _totals(self) -> list[int]:
        return [a + b for a, b in zip(self._folded, self._cells, strict=True)]

    def _products(self) -> list[float]:
        a, b, c, d = self._cells
        return [
            one + a * f[0] + b * f[1] + c * f[2] + d * f[3]
            for one, f in zip(self._logs, self._factors, strict=True)
        ]
