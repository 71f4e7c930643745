"""Engine for means: scores between 0 and 1, and amounts with a heavy tail such as tokens.

An amount is compared up to a cap: a mean without a bound can be tested only by assuming what its
tail is like. The cap is the budget that is enforced, or the baseline's 99th percentile as it was
before the units that are compared; what lies above it is watched by a second bet, on how often each
arm exceeds it. A failed task counts for what it spent, but for no less than the baseline's mean: a
crash is not cheap.
"""

from __future__ import annotations

from typing import Any

from rolewise.coordinator.judge.arm_means import ArmMeans
from rolewise.coordinator.judge.bernoulli import harm_bet
from rolewise.coordinator.judge.label_bet import LabelBet
from rolewise.coordinator.judge.linear_bet import MeanBet, growth
from rolewise.coordinator.judge.mean_grid import (
    Block,
    GridBet,
    Numbers,
    grid_interval,
    grid_rows,
    log_factors,
)
from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.reference import LEAST_UNITS, Sample
from rolewise.coordinator.judge.series import Reading, Value

CAP_QUANTILE = 0.99
PRIOR_UNITS = 20.0
PRIOR_SHARE = 0.2  # of the largest value: what the baseline's mean is taken for at first
A_HAIR_MORE = 1.0 + 1e-6  # the sample is in single precision: equal values are not above the cap
LEAST_BLOCK, BLOCK_GROWTH, MOST_BLOCK = 10, 0.05, 128
HARM_SHARES = (0.75, 0.25)  # of the mean and of what its cap hides
OVER_GROWTH = 1.6  # mean number of units over what the best single stake would need
CANARY_PRIOR = 100.0  # pseudo-units that draw the canary's estimate to the baseline's


class MeanSeries:
    """The canary's mean against the baseline's.

    Args:
        is_relative: The values are amounts, and differences relative; else they lie in [0, 1].
        tolerate: What the canary's mean may be above the baseline's and still be safe.
        harm_margin: What it must be above, beyond doubt, to be harm.
        cap: Largest amount that counts; None: set by the baseline. 1 for scores.
    """

    __slots__ = (
        "_block",
        "_grid",
        "_harm",
        "_is_relative",
        "_means",
        "_middle",
        "_most",
        "_prior",
        "_safe",
        "_sample",
        "_tail",
        "_tolerate",
        "_top",
        "_total",
        "_wants_cap",
        "compares",
    )

    def __init__(
        self,
        *,
        is_relative: bool,
        tolerate: float,
        harm_margin: float = 0.0,
        cap: float | None = None,
    ) -> None:
        self.compares = True
        self._is_relative = is_relative
        self._tolerate = tolerate
        self._harm = _bet(harm_margin, is_relative=is_relative, harm=True)
        self._safe = _bet(tolerate, is_relative=is_relative, harm=False)
        self._grid = GridBet(grid_rows(is_relative=is_relative))
        self._top = 1.0 if not is_relative else (cap or 0.0)
        self._wants_cap = is_relative and cap is None
        self._tail = LabelBet(harm_bet(prior_bad=1.0, prior_good=99.0)) if is_relative else None
        self._sample = Sample()
        self._block = Block()
        self._most = LEAST_BLOCK  # units of this block
        self._means = ArmMeans()
        self._prior = self._middle = PRIOR_SHARE * self._top
        self._total = [0.0, 0.0]  # units of the baseline and the sum of their values

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a unit."""
        assert not isinstance(value, tuple)  # noqa: S101 (only message latencies are)
        if not 0.0 < weight < 1.0:
            return False
        if weight != self._block.weight:
            self._begin_weight(weight)
        top = self._top
        if not canary and self._wants_cap:
            self._sample.add(value)
            if not top and value > 0.0:
                self._begin_weight(weight)
        if not top:
            return False
        if failed and self._is_relative:
            value = max(value, min(self._middle, top))
        if self._tail is not None:
            self._tail.add(canary=canary, weight=weight, bad=value > top)
        capped = min(value, top)
        self._harm.add(capped, canary=canary)
        self._safe.add(capped, canary=canary)
        self._block.add(capped, canary=canary)
        self._means.add(weight, capped, canary=canary)
        if not canary:
            self._total[0] += 1.0
            self._total[1] += capped
        if len(self._block) >= self._most:
            self._multiply()
            self._set_bets()
        return value > self._middle

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        harm, safe = self._harm.log_e, self._safe.log_e
        if self._tail is not None:
            harm = log_mean_exp((harm, self._tail.log_e), HARM_SHARES)
        return harm, safe

    def read(self) -> Reading:
        """Return capped means; the difference is relative for amounts."""
        means = self._means.means()
        baseline, canary = means or (None, None)
        difference = None
        if means is not None:
            shift = means[1] - means[0]
            relative = shift / means[0] if means[0] else None
            difference = relative if self._is_relative else shift
        interval = grid_interval(self._grid.log_e(self._pending()), is_relative=self._is_relative)
        log_harm, log_safe = self.levels()
        tasks = self._means.counts
        return Reading(
            baseline=baseline,
            canary=canary,
            difference=difference,
            interval=interval,
            log_harm=log_harm,
            log_safe=log_safe,
            tasks_baseline=tasks[0],
            tasks_canary=tasks[1],
            note=self._note(),
            beyond=self._beyond(),
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more units show it safe."""
        weight = self._block.weight
        means = self._means.means()
        if not weight:
            return None
        missing = log_threshold - self.levels()[1]
        if missing <= 0.0:
            return 0.0
        if means is None:
            return None
        baseline, count = means[0], self._means.counts[1]
        canary = (means[1] * count + baseline * CANARY_PRIOR) / (count + CANARY_PRIOR)
        if self._is_relative:
            margin = baseline - canary / (1.0 + self._tolerate)
        else:
            margin = baseline + self._tolerate - canary
        gain = growth(margin, self._means.spread(), weight) if margin > 0.0 else 0.0
        return OVER_GROWTH * missing / gain if gain > 0.0 else None

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "harm": self._harm.to_json(),
            "safe": self._safe.to_json(),
            "grid": self._grid.to_json(),
            "tail": None if self._tail is None else self._tail.to_json(),
            "sample": self._sample.to_json(),
            "block": self._block.to_json(),
            "means": self._means.to_json(),
            "most": self._most,
            "middle": self._middle,
            "prior": self._prior,
            "top": self._top,
            "total": list(self._total),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        self._harm.load(data["harm"])
        self._safe.load(data["safe"])
        self._grid.load(data["grid"])
        if self._tail is not None:
            self._tail.load(data["tail"])
        self._sample.load(data["sample"])
        self._block.load(data["block"])
        self._means.load(data["means"])
        self._most = data["most"]
        self._middle, self._prior, self._top = data["middle"], data["prior"], data["top"]
        self._total = list(data["total"])

    def _begin_weight(self, weight: float) -> None:
        """Close the block, and set the cap for the units to come, if there are enough values."""
        self._multiply()
        self._block.weight = weight
        if self._wants_cap and len(self._sample) >= LEAST_UNITS:
            self._top = A_HAIR_MORE * self._sample.quantile(CAP_QUANTILE)
            if not self._total[0]:
                self._prior = self._middle = self._sample.mean(self._top)
        if self._top:
            self._set_bets()

    def _multiply(self) -> None:
        """Multiply the block's factors in, and look at the baseline's mean for the next ones."""
        logs = self._pending()
        if logs is not None:
            self._grid.add_block(logs)
            self._block.clear()
            units = sum(self._means.counts)
            self._most = int(min(MOST_BLOCK, max(LEAST_BLOCK, BLOCK_GROWTH * units)))
            count, total = self._total
            self._middle = (total + PRIOR_UNITS * self._prior) / (count + PRIOR_UNITS)

    def _set_bets(self) -> None:
        middle = min(self._middle, self._top)
        for bet in (self._harm, self._safe):
            bet.set(weight=self._block.weight, middle=middle, top=self._top)

    def _pending(self) -> Numbers | None:
        if not len(self._block):
            return None
        values, canary = self._block.columns()
        return log_factors(
            self._grid.rows,
            values=values,
            canary=canary,
            weight=self._block.weight,
            middle=min(self._middle, self._top),
            top=self._top,
        )

    def _beyond(self) -> tuple[float, float, float] | None:
        """Return what the cap hides, where it tells more than the capped means do."""
        rates = None if self._tail is None else self._tail.bad_rates()
        if self._tail is None or rates is None or rates[1] <= rates[0]:
            return None
        if self._tail.log_e < max(0.0, self._harm.log_e):
            return None
        return self._top, rates[1], rates[0]

    def _note(self) -> str:
        if self._top:
            return ""
        if len(self._sample) >= LEAST_UNITS:
            return "nothing was spent by the baseline"
        return f"{LEAST_UNITS} tasks of the baseline set the cap, {len(self._sample)} are in"


def _bet(margin: float, *, is_relative: bool, harm: bool) -> MeanBet:
    if is_relative:
        return MeanBet(scale=1.0 / (1.0 + margin), harm=harm, restarts=harm)
    return MeanBet(shift=margin, harm=harm, restarts=harm)
