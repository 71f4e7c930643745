"""What goes wrong, and how often: drawn from a history's seed, and counted."""

from __future__ import annotations

import random
from collections import Counter

from rolewise.agents.message import Message

CHANCES: dict[str, tuple[float, float]] = {
    "controller killed at a crash point": (0.01, 0.1),
    "controller stopped at a crash point": (0.01, 0.05),
    "store: request lost": (0.005, 0.05),
    "store: reply lost": (0.005, 0.05),
    "store: slow answer": (0.02, 0.2),
    "command: lost on its way": (0.05, 0.3),
    "command: reply lost": (0.05, 0.3),
    "command: late": (0.1, 0.7),
    "command: carried out twice": (0.1, 0.7),
    "command: failed": (0.05, 0.3),
    "command: hopeless": (0.02, 0.2),
    "observation: lost": (0.01, 0.05),
    "message between agents: lost": (0.005, 0.05),
    "message between agents: late": (0.01, 0.1),
}
"""Fault -> the range that its chance, where it happens at all in a history, is drawn from."""

IS_ON = 0.4
"""Chance that a fault happens at all in a history: some need others to be away to do harm."""

LATE_S = 6.0


class Weather:
    """The faults of one history.

    Args:
        draw: All of the history's randomness.
        only: Faults to choose from; all when left out.
    """

    def __init__(self, draw: random.Random, only: tuple[str, ...] | None = None) -> None:
        self.draw = draw
        self.counts: Counter[str] = Counter()
        self.is_calm = False
        self._chances = {
            fault: draw.uniform(low, high)
            for fault, (low, high) in CHANCES.items()
            if draw.random() < IS_ON and (only is None or fault in only)
        }

    def strikes(self, fault: str) -> bool:
        """Say whether this fault happens here and now."""
        chance = self._chances.get(fault, 0.0)
        if self.is_calm or not chance or self.draw.random() >= chance:
            return False
        self.counts[fault] += 1
        return True

    def late_s(self) -> float:
        """Return for how long what is late is late: mostly short, sometimes very long."""
        return float(min(self.draw.expovariate(2.0), LATE_S))

    def delay_s(self, message: Message, *, is_reply: bool) -> float | None:
        """See `rolewise.fleet.local.network.Faults`."""
        if self.strikes("message between agents: lost"):
            return None
        return self.late_s() if self.strikes("message between agents: late") else 0.0
