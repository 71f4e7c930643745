"""Retry storms: on one edge, for ten seconds, more than a fifth of all messages are retries.

A task that retries four times on one edge raises a flag of its own (`rolewise.graphs.loops`). This
sees what no single task shows: many that retry once or twice each. A tool that is out makes both
arms retry, and that is nobody's fault; so the canary's share is held against the baseline's. No
test stands behind it, and messages of one task are no independent evidence: it is for people.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.columns import edge_in_words
from rolewise.graphs.pulse import Beat, Edge, EdgeArm

WINDOW_S: Final = 10
STORM_SHARE: Final = 0.2
STORM_TIMES: Final = 2.0
"""The canary's share must be so many times the baseline's."""
LEAST_MESSAGES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStorm:
    """One edge on which canary tasks send the same again and again.

    Attributes:
        canary: Share of retries among the messages of canary tasks.
        baseline: The same of baseline tasks; 0 without messages.
        messages: Of canary tasks, in the window.
    """

    edge: Edge
    canary: float
    baseline: float
    messages: int

    @property
    def sentence(self) -> str:
        """Where, and the shares of both arms."""
        return (
            f"retry storm on {edge_in_words(self.edge)}: {self.canary:.0%} of {self.messages} "
            f"messages of canary tasks in {WINDOW_S} s are retries, {self.baseline:.0%} of "
            "baseline tasks'"
        )


class RetryWatch:
    """The last seconds, for retries alone."""

    def __init__(self) -> None:
        self._beats: deque[Beat] = deque()

    def tick(self, beat: Beat) -> tuple[RetryStorm, ...]:
        """Take one second; return the storms of the window that ends with it."""
        self._beats.append(beat)
        while self._beats[0].at <= beat.at - WINDOW_S:
            self._beats.popleft()
        return tuple(self._storms())

    def _storms(self) -> Iterator[RetryStorm]:
        edges = {
            where.edge
            for beat in self._beats
            for where, sent in beat.sent.items()
            if sent.again and where.arm is Arm.CANARY
        }
        for edge in sorted(edges):
            messages, canary = self._share(EdgeArm(edge, Arm.CANARY))
            _, baseline = self._share(EdgeArm(edge, Arm.BASELINE))
            is_storm = canary > max(STORM_SHARE, STORM_TIMES * baseline)
            if messages >= LEAST_MESSAGES and is_storm:
                yield RetryStorm(edge=edge, canary=canary, baseline=baseline, messages=messages)

    def _share(self, where: EdgeArm) -> tuple[int, float]:
        seen = [beat.sent[where] for beat in self._beats if where in beat.sent]
        messages = sum(sent.messages for sent in seen)
        again = sum(sent.again for sent in seen)
        return messages, again / messages if messages else 0.0
