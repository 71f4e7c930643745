"""Latencies against the baseline: one quantile of them, or the whole distribution.

The whole distribution: harm is the average of the evidence at the 50th, 95th and 99th percentile
and of the rank bet (all see the same tasks in the same order, so the average is evidence too);
safe needs the 50th and the 95th percentile.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from rolewise.coordinator.judge.exceedance import Exceedance
from rolewise.coordinator.judge.mixture import log_mean_exp
from rolewise.coordinator.judge.planning import tasks_to_compare
from rolewise.coordinator.judge.rank_bet import RankBet
from rolewise.coordinator.judge.reference import Sample, least_units
from rolewise.coordinator.judge.series import Reading, Value

WHOLE = (0.5, 0.95, 0.99)
GATES = 2  # of them: the 50th and the 95th have to be shown safe
SHOWN = 1  # of them: the 95th is what people read
A_HAIR_MORE = 1.0 + 1e-6  # values are rounded to single precision, and could fall back on a mark
PARTS = (0.25, 0.25, 0.25, 0.25)


class LatencySeries:
    """The canary's latency against the baseline's.

    Args:
        quantile: Which quantile; None for the whole distribution.
        tolerate: Relative excess of the canary's quantile that is still safe.
        harm_margin: Relative excess that it must have, beyond doubt, to be harm.
    """

    __slots__ = (
        "_parts",
        "_ranks",
        "_room",
        "_running",
        "_samples",
        "_slack",
        "_tasks",
        "_weight",
        "compares",
    )

    def __init__(
        self, *, quantile: float | None, tolerate: float, harm_margin: float = 0.0
    ) -> None:
        self.compares = True
        self._room, self._slack = 1.0 + tolerate, 1.0 + harm_margin
        shown = WHOLE[SHOWN] if quantile is None else quantile
        self._parts = tuple(
            Exceedance(
                quantile=one,
                tolerate=tolerate,
                harm_margin=harm_margin,
                has_interval=one == shown,
            )
            for one in (WHOLE if quantile is None else (quantile,))
        )
        self._ranks = RankBet() if quantile is None else None
        self._samples = (Sample(), Sample())
        self._running = [0, 0]  # tasks that are late and not in the samples yet
        self._weight = 0.0
        self._tasks = [0, 0]

    def settled_after(self, weight: float) -> float:
        """See `EarlySeries`."""
        if not 0.0 < weight < 1.0:
            return inf
        self._begin(weight)
        settled = max(part.settled_after for part in self._parts)
        if self._ranks is not None:
            settled = max(settled, self._slack * self._ranks.top)
        return A_HAIR_MORE * settled

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a task's seconds; infinite when it never ended."""
        del failed
        assert not isinstance(value, tuple)  # noqa: S101 (only message latencies are)
        if not 0.0 < weight < 1.0:
            return False
        self._begin(weight)
        value = self._samples[canary].add(value)
        return self._count(value, canary=canary, weight=weight)

    def add_running(self, *, canary: bool, weight: float) -> bool:
        """See `EarlySeries`."""
        is_late = self._count(inf, canary=canary, weight=weight)
        self._running[canary] += is_late
        return is_late

    def learn(self, value: float, *, canary: bool, bad: bool) -> None:
        """See `EarlySeries`."""
        self._running[canary] -= bad
        self._samples[canary].add(value)

    def _count(self, value: float, *, canary: bool, weight: float) -> bool:
        self._tasks[canary] += 1
        is_late = False
        for part in self._parts:
            late = part.add(value, canary=canary, weight=weight)
            is_late = is_late or (late and part is self._shown)
        if self._ranks is not None:
            self._ranks.add(value / self._slack if canary else value, canary=canary)
        return is_late

    def levels(self) -> tuple[float, float]:
        """See `Series`."""
        if self._ranks is None:
            return self._shown.log_harm, self._shown.log_safe
        harm = [part.log_harm for part in self._parts]
        safe = min(part.log_safe for part in self._parts[:GATES])
        return log_mean_exp([*harm, self._ranks.log_e], PARTS), safe

    def read(self) -> Reading:
        """Return quantiles in seconds; the difference is the canary's relative excess."""
        shown = self._shown
        baseline, canary = (
            self._quantile(shown.quantile, canary=arm) if self._tasks[arm] else None
            for arm in (False, True)
        )
        known = baseline and canary and isfinite(baseline) and isfinite(canary)
        log_harm, log_safe = self.levels()
        return Reading(
            baseline=_finite(baseline),
            canary=_finite(canary),
            difference=canary / baseline - 1.0 if baseline and canary and known else None,
            interval=shown.interval(),
            log_harm=log_harm,
            log_safe=log_safe,
            tasks_baseline=self._tasks[0],
            tasks_canary=self._tasks[1],
            note=self._note(),
        )

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks show it safe, the sample that is still missing included."""
        most = 0.0
        for part in self._parts[:GATES]:
            if part.mark == inf or not self._weight:
                return None
            if part.mark is not None and part.tasks:
                more = part.tasks_to_safe(log_threshold)
            else:
                missing = least_units(part.quantile) - len(self._samples[False])
                more = tasks_to_compare(part.quantile, self._room, self._weight, log_threshold)
                if more is not None:
                    more += max(0.0, missing / (1.0 - self._weight))
            if more is None:
                return None
            most = max(most, more)
        return most

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "parts": [part.to_json() for part in self._parts],
            "ranks": None if self._ranks is None else self._ranks.to_json(),
            "samples": [sample.to_json() for sample in self._samples],
            "running": list(self._running),
            "weight": self._weight,
            "tasks": list(self._tasks),
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over the state."""
        for part, stored in zip(self._parts, data["parts"], strict=True):
            part.load(stored)
        for sample, stored in zip(self._samples, data["samples"], strict=True):
            sample.load(stored)
        if self._ranks is not None:
            self._ranks.load(data["ranks"])
        self._running = list(data["running"])
        self._weight = data["weight"]
        self._tasks = list(data["tasks"])

    @property
    def _shown(self) -> Exceedance:
        return self._parts[SHOWN if len(self._parts) > 1 else 0]

    def _quantile(self, quantile: float, *, canary: bool) -> float:
        return self._samples[canary].quantile(quantile, endless=self._running[canary])

    def _begin(self, weight: float) -> None:
        """Set the marks for the tasks to come: at a new weight, or when there are enough values."""
        changed = weight != self._weight
        if not changed and self._shown.mark is not None:
            return
        sample = self._samples[False]
        self._weight = weight
        for part in self._parts:
            if (changed or part.mark is None) and len(sample) >= least_units(part.quantile):
                part.set_mark(self._quantile(part.quantile, canary=False))
                if self._ranks is not None and part is self._shown:
                    self._ranks.freeze(sample.ordered(), weight)

    def _note(self) -> str:
        present = len(self._samples[False])
        shown = self._shown
        note = shown.note(least=least_units(shown.quantile), present=present)
        if note or len(self._parts) == 1 or not (present and len(self._samples[True])):
            return note
        ours, theirs = (self._quantile(WHOLE[0], canary=arm) for arm in (True, False))
        return f"p50 {_seconds(ours)} against {_seconds(theirs)}"


def _finite(value: float | None) -> float | None:
    return None if value is None or value == inf else value


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if isfinite(value) else "never ended"
