"""Engine for yes/no outcomes against the baseline: completion, tool errors."""

from __future__ import annotations

from functools import partial
from typing import Any

from rolewise.coordinator.judge.interval import Strata, difference_interval, standard_rates
from rolewise.coordinator.judge.label_bet import RATE_FLOOR, Bet, LabelBet
from rolewise.coordinator.judge.projection import Null
from rolewise.coordinator.judge.series import Reading, Value

ODDS_RATIOS = (1.4, 2.0, 3.0, 5.0, 10.0, 25.0)
HARM_SHARES = (0.1, 0.18, 0.24, 0.24, 0.14, 0.1)
"""Drops of five to twenty points from common rates lie in the middle. Harm that is smaller takes so
many tasks that a few more do not matter, and harm that is larger so few."""
SAFE_SHARES = (0.5, 0.25, 0.25)


def worse_rates(baseline: float) -> tuple[float, ...]:
    """Return the canary's bad rates that a rollback bets on: odds of all sizes."""
    odds = baseline / (1.0 - baseline)
    return tuple(ratio * odds / (1.0 + ratio * odds) for ratio in ODDS_RATIOS)


def fine_rates(null: Null, baseline: float) -> tuple[float, ...]:
    """Return the canary's bad rates that a promotion bets on: equal, a little worse, better."""
    room = (null.ratio - 1.0) * baseline + null.shift
    return baseline, min(1.0 - RATE_FLOOR, baseline + 0.4 * room), 0.5 * baseline


def harm_bet(
    shift: float = 0.0,
    prior_bad: float = 1.0,
    prior_good: float = 19.0,
    *,
    shares: tuple[float, ...] = HARM_SHARES,
    restarts: bool = False,
) -> Bet:
    """Return the bet against "the canary's bad rate is at most the baseline's plus `shift`".

    Args:
        shift: How much worse the canary may be.
        prior_bad: See `Bet`.
        prior_good: See `Bet`.
        shares: Of the coin, for each of `ODDS_RATIOS`.
        restarts: See `Bet`.
    """
    return Bet(
        null=Null(claim="harmless", shift=shift),
        alternatives=worse_rates,
        shares=shares,
        prior_bad=prior_bad,
        prior_good=prior_good,
        restarts=restarts,
    )


def safe_bet(shift: float = 0.0, ratio: float = 1.0) -> Bet:
    """Return the bet against "the canary's bad rate is at least ratio * baseline's + shift"."""
    null = Null(claim="harmful", shift=shift, ratio=ratio)
    return Bet(null=null, alternatives=partial(fine_rates, null), shares=SAFE_SHARES)


class BernoulliSeries:
    """Share of bad tasks, canary against baseline.

    Args:
        tolerate: What the canary's bad rate may be above the baseline's and still be safe.
        harm_margin: What it must be above, beyond doubt, to be harm.
    """

    __slots__ = ("_harm", "_safe", "_strata", "_tasks", "compares")

    def __init__(self, *, tolerate: float, harm_margin: float = 0.0) -> None:
        self.compares = True
        self._harm = LabelBet(harm_bet(harm_margin, restarts=True))
        self._safe = LabelBet(safe_bet(tolerate))
        self._strata = Strata(4)
        self._tasks = [0, 0]

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a task; any value but 0 is bad."""
        del failed
        if not 0.0 < weight < 1.0:
            return False
        bad = value != 0.0
        self._harm.add(canary=canary, weight=weight, bad=bad)
        self._safe.add(canary=canary, weight=weight, bad=bad)
        self._strata.add(weight, 2 * canary + bad)
        self._tasks[canary] += 1
        return bad

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        return self._harm.log_e, self._safe.log_e

    def read(self) -> Reading:
        """Return bad rates; the difference is canary minus baseline."""
        weights, cells = self._strata.split()
        rates = standard_rates(weights, cells)
        interval = difference_interval(weights, cells) if rates else None
        baseline, canary = rates or (None, None)
        return Reading(
            baseline=baseline,
            canary=canary,
            difference=rates[1] - rates[0] if rates else None,
            interval=interval,
            log_harm=self._harm.log_e,
            log_safe=self._safe.log_e,
            tasks_baseline=self._tasks[0],
            tasks_canary=self._tasks[1],
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks show it safe."""
        return self._safe.tasks_to(log_threshold)

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "harm": self._harm.to_json(),
            "safe": self._safe.to_json(),
            "strata": self._strata.to_json(),
            "tasks": list(self._tasks),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._harm.load(data["harm"])
        self._safe.load(data["safe"])
        self._strata.load(data["strata"])
        self._tasks = list(data["tasks"])
