"""What a signal can measure: the metrics, and how each kind of them is compared.

Four kinds. A *share* asks of each task whether it went wrong. A *latency* orders tasks and may be
endless. An *amount* has a mean and a heavy tail. A *score* lies between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

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


class Kind(Enum):
    """How a metric is compared; see the module."""

    SHARE = auto()
    LATENCY = auto()
    AMOUNT = auto()
    SCORE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is known of a metric.

    Attributes:
        kind: How it is compared.
        share: Its part of the chance of a false rollback, before the parts are scaled to sum to 1.
        unit: Of one value: a share of tasks, seconds, a count, US dollars, bytes.
        noun: What a value is, for sentences: `1 830 tokens`.
    """

    kind: Kind
    share: float
    unit: Literal["share", "s", "count", "usd", "bytes"] = "share"
    noun: str = ""


MEASURES: Mapping[Metric, Measure] = {
    "task.completed": Measure(kind=Kind.SHARE, share=0.40),
    "tool.error": Measure(kind=Kind.SHARE, share=0.15),
    "task.looping": Measure(kind=Kind.SHARE, share=0.10),
    "task.orphaned": Measure(kind=Kind.SHARE, share=0.10),
    "task.late": Measure(kind=Kind.SHARE, share=0.05),
    "task.latency": Measure(kind=Kind.LATENCY, share=0.15, unit="s"),
    "message.latency": Measure(kind=Kind.LATENCY, share=0.10, unit="s"),
    "gen_ai.tokens": Measure(kind=Kind.AMOUNT, share=0.10, unit="count", noun="tokens"),
    "task.cost": Measure(kind=Kind.AMOUNT, share=0.10, unit="usd"),
    "task.cpu": Measure(kind=Kind.AMOUNT, share=0.05, unit="s", noun="of CPU"),
    "task.memory": Measure(kind=Kind.AMOUNT, share=0.05, unit="bytes"),
    "score": Measure(kind=Kind.SCORE, share=0.10),
}
