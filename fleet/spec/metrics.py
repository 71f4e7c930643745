"""What a signal can measure, and how values of each metric are written in the fleet's file.

What the judge makes of a metric is its own business (`coordinator/judge/metrics.py`); a test holds
both lists equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from rolewise.fleet.spec.values import (
    COUNT_WORDS,
    DURATION_WORDS,
    MEMORY_WORDS,
    SHARE_WORDS,
    USD_WORDS,
    parse_count,
    parse_duration,
    parse_memory,
    parse_share,
    parse_usd,
)

Metric = Literal[
    "task.completed",
    "tool.error",
    "task.looping",
    "task.orphaned",
    "task.late",
    "task.latency",
    "message.latency",
    "gen_ai.tokens",
    "task.cost",
    "task.cpu",
    "task.memory",
    "score",
]
METRICS: tuple[str, ...] = get_args(Metric)

Direction = Literal["higher_is_better", "lower_is_better"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How one metric's values are written.

    Attributes:
        kind: As people call it in a message: a share of tasks, a latency, an amount, a score.
        parse: Reads a `limit` or a `cap`.
        words: What `parse` takes.
        tolerate: What is tolerated where the file does not say; see `is_relative`.
        direction: Which way is better; None where the signal has to say.
    """

    kind: Literal["share", "latency", "amount", "score"]
    parse: Callable[[object], float]
    words: str
    tolerate: float
    direction: Direction | None = "lower_is_better"

    @property
    def is_relative(self) -> bool:
        """A tolerance is a share of the baseline's value, so that it may be above 100 %."""
        return self.kind in {"latency", "amount"}


_SHARE = Writing(kind="share", parse=parse_share, words=SHARE_WORDS, tolerate=0.05)
_LATENCY = Writing(kind="latency", parse=parse_duration, words=DURATION_WORDS, tolerate=0.25)

WRITINGS: Mapping[str, Writing] = {
    "task.completed": Writing(
        kind="share",
        parse=parse_share,
        words=SHARE_WORDS,
        tolerate=0.05,
        direction="higher_is_better",
    ),
    "tool.error": _SHARE,
    "task.looping": _SHARE,
    "task.orphaned": _SHARE,
    "task.late": _SHARE,
    "task.latency": _LATENCY,
    "message.latency": _LATENCY,
    "gen_ai.tokens": Writing(kind="amount", parse=parse_count, words=COUNT_WORDS, tolerate=0.25),
    "task.cost": Writing(kind="amount", parse=parse_usd, words=USD_WORDS, tolerate=0.25),
    "task.cpu": Writing(kind="amount", parse=parse_duration, words=DURATION_WORDS, tolerate=0.25),
    "task.memory": Writing(kind="amount", parse=parse_memory, words=MEMORY_WORDS, tolerate=0.25),
    "score": Writing(
        kind="score", parse=parse_share, words=SHARE_WORDS, tolerate=0.04, direction=None
    ),
}
