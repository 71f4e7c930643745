"""What the judge says: a verdict, and for each signal the figures that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Ruling(StrEnum):
    """The judge's word.

    `SAFE` every required signal is shown to be no worse than it may be; `HARM` one is shown to
    be worse, or a hard limit is broken; `CONTINUE` more tasks will tell; `UNSURE` the budget is
    spent; `NO_DATA` no task of one arm has closed.
    """

    SAFE = "safe"
    HARM = "harm"
    CONTINUE = "continue"
    UNSURE = "unsure"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalEvidence:
    """One signal's figures, as people read them: completion as the share of completed tasks.

    Shares and scores are between 0 and 1 and their difference too; a latency is in seconds, an
    amount in its unit, and their difference relative, as in `Signal.tolerate`. With
    `compare: absolute` the difference is to the limit.

    Attributes:
        metric: What is measured.
        baseline: Estimate for the baseline arm, standardised over weights; None without a closed
            task, and for a latency that never ends.
        canary: Estimate for the canary arm.
        difference: Canary minus baseline.
        interval: Anytime-valid interval of the difference; None until there is one. An end
            without a bound is -1 or infinite.
        limit: The difference (or absolute value) that is tolerated; below 0 for completion.
        e_harm: Evidence of harm, 1e12 at most; the threshold is `harm_at`.
        e_safe: Evidence of non-inferiority; the threshold is `safe_at`.
        tasks_needed: Of both arms, until it is safe, as it looks now; None if that cannot be said.
        left_out: Why and how many tasks of the trial did not count here.
        examples_baseline: Ids of the newest bad tasks; likewise `examples_canary`.
        sentence: All of it in one sentence for people.
    """

    name: str
    ruling: Ruling
    baseline: float | None
    canary: float | None
    difference: float | None
    interval: tuple[float, float] | None
    limit: float
    e_harm: float
    e_safe: float
    harm_at: float
    safe_at: float
    tasks_baseline: int
    tasks_canary: int
    required: bool = True
    sentence: str = ""
    metric: str = ""
    tasks_needed: int | None = None
    left_out: tuple[tuple[str, int], ...] = ()
    examples_baseline: tuple[str, ...] = ()
    examples_canary: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HardFact:
    """Something that was seen beside the signals: a confirmed deadlock, a crash loop, a flood.

    Attributes:
        kind: `deadlock`, `crash_loop`, `flood`, `pattern`, `interference`.
        sentence: What happened, with roles, versions and tasks in words.
        details: Lines that show it, such as the cycle, one wait a line.
        reaction: What follows: `rollback` at once, or `pause` until a person has looked.
        key: The same for the same fact at another time, so that it pauses once only.
    """

    kind: str
    sentence: str
    details: tuple[str, ...] = ()
    reaction: Literal["rollback", "pause"] = "rollback"
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judge's word with its reason.

    Attributes:
        reason: One sentence: which signal or fact decided, with its figures.
        tasks_baseline: Closed tasks counted in the baseline arm.
        tasks_canary: Closed tasks counted in the canary arm.
        examples: A few task ids that show it, canary first.
        named: Where a signal is harm: all signals that are shown to be worse, so that with a chance
            of alpha at most an innocent one is among them.
        watermark: Number of the last task up to which all have ended and were looked at.
        left_out: Why and how many tasks did not count at all.
        is_overdue: It is `NO_DATA`, and has been for longer than the analysis allows.
    """

    ruling: Ruling
    reason: str
    signals: tuple[SignalEvidence, ...] = ()
    facts: tuple[HardFact, ...] = ()
    tasks_baseline: int = 0
    tasks_canary: int = 0
    examples: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    watermark: int = 0
    left_out: tuple[tuple[str, int], ...] = ()
    is_overdue: bool = False
