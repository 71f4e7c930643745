"""What every engine of the judge is: a series of outcomes that can be added to, read and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One signal's figures, before the judge has ruled on them.

    Attributes:
        baseline: Estimate for the baseline, in the signal's own unit; None without one.
        canary: Estimate for the canary.
        difference: Canary against baseline or limit, in the unit of the signal's limit.
        interval: Anytime-valid interval of the difference.
        log_harm: Logarithm of the evidence of harm.
        log_safe: Logarithm of the evidence of non-inferiority.
        note: Half a sentence that the figures cannot say, such as what is still missing.
        beyond: A cap, and the shares of the canary's and of the baseline's tasks above it; None
            unless that is what speaks for harm.
    """

    baseline: float | None
    canary: float | None
    difference: float | None
    interval: tuple[float, float] | None
    log_harm: float
    log_safe: float
    tasks_baseline: int
    tasks_canary: int
    note: str = ""
    beyond: tuple[float, float, float] | None = None


Value = float | tuple[float, ...]
"""What a task is worth to a signal, oriented so that large is bad; messages give several."""


class Series(Protocol):
    """One engine with its running state. `add` is cheap; `read` works when it is asked."""

    compares: bool
    """It holds the canary against the baseline, so that it needs tasks of both."""

    def add(self, *, canary: bool, weight: float, value: Value, failed: bool = False) -> bool:
        """Count a task, in start order, and tell whether its outcome is a bad one.

        Args:
            canary: Its arm.
            weight: Probability of the canary arm at its draw; 0 and 1 teach a comparison nothing.
            value: Its outcome.
            failed: It did not complete, so that an amount may be less than the task would have
                taken.
        """
        ...

    def levels(self) -> tuple[float, float]:
        """Return the logarithms of the evidence of harm and of safety; cheaper than `read`."""
        ...

    def read(self) -> Reading:
        """Return the figures as they stand; changes nothing."""
        ...

    def tasks_to_safe(self, log_threshold: float) -> float | None:
        """Guess how many more tasks of both arms show it safe; None if none would, as it looks."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return all that is needed to go on exactly here, as plain JSON values."""
        ...

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned, in a series that is new."""
        ...


@runtime_checkable
class EarlySeries(Series, Protocol):
    """An engine that need not wait for the end of a task which is late beyond doubt."""

    def settled_after(self, weight: float) -> float:
        """Return the age in seconds beyond which it makes no difference when, or if, a task ends.

        It is asked for the task that is next in order, drawn with this weight: a new weight may
        bring new marks, and that task is the first to be held against them.
        """
        ...

    def add_running(self, *, canary: bool, weight: float) -> bool:
        """Count a task of that age which still runs, as `add` will not be called for it."""
        ...

    def learn(self, value: float, *, canary: bool, bad: bool) -> None:
        """Take note of how such a task ended: for marks and pages, not for the evidence.

        Args:
            value: Its outcome.
            canary: Its arm.
            bad: What `add_running` said of it.
        """
        ...
