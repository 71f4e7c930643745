"""Floods, seen within seconds: far more messages on an edge than its past explains.

Like MIDAS, but on exact counts, and per task in flight instead of per second, so that more
traffic is no flood, and a canary whose weight rises is none either. It looks at no control group
and at no task's end: it is a brake (limit the rate, pause), not evidence that rolls back.

References:
    S. Bhatia, B. Hooi, M. Yoon, K. Shin, C. Faloutsos, "MIDAS: Microcluster-Based Detector of
    Anomalies in Edge Streams", AAAI 2020. https://doi.org/10.1609/aaai.v34i04.5724
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.columns import edge_in_words
from rolewise.graphs.patterns.report import PatternFinding

CHI_SQUARE: Final = 23.93
"""One degree of freedom, one in a million."""
LEAST_TIMES: Final = 5.0
TICKS_RUNNING: Final = 3
KNOWN_AFTER: Final = 10
"""Ticks with traffic on the edge before its past says anything."""

Edge = tuple[str, str, str]


class EdgeArm(NamedTuple):
    """One edge in one arm."""

    edge: Edge
    arm: Arm


@dataclass(slots=True)
class _Past:
    """What an edge did in all arms together: messages, task-ticks, ticks with traffic."""

    messages: float = 0.0
    exposure: float = 0.0
    ticks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """One flood.

    Attributes:
        messages: In the last tick.
        usual: What the past makes expect of a tick with so many tasks.
        ticks: How long it lasts.
    """

    edge: Edge
    arm: Arm
    messages: int
    usual: float
    ticks: int

    @property
    def sentence(self) -> str:
        """Who floods whom, in figures."""
        times = self.messages / self.usual if self.usual else float("inf")
        arm = "" if self.arm is Arm.NONE else f" of {self.arm.name.lower()} tasks"
        return (
            f"flood on {edge_in_words(self.edge)}{arm}: {self.messages} messages in a second, "
            f"{times:.0f} times what so many tasks usually send, for {self.ticks} s"
        )

    @property
    def finding(self) -> PatternFinding:
        """The flood as a finding: neutral, so it pauses."""
        return PatternFinding(
            family="flood",
            what=f"flood {edge_in_words(self.edge)}",
            direction="neutral",
            sentence=self.sentence,
            p=1e-6,
            alpha=1e-6,
            effect=self.messages / max(self.usual, 1e-9),
            baseline=self.usual,
            canary=float(self.messages),
            role=self.edge[0],
        )


class FloodGuard:
    """Watches all edges; give it the counts of each second."""

    def __init__(self) -> None:
        self._past: dict[Edge, _Past] = {}
        self._running: dict[EdgeArm, int] = {}

    def tick(self, sent: Mapping[EdgeArm, int], tasks: Mapping[Arm, float]) -> tuple[Flood, ...]:
        """Take the counts of one second; return the floods that go on.

        Args:
            sent: Messages of each edge and arm in this second.
            tasks: Tasks of each arm in flight in this second.
        """
        floods = tuple(self._floods(sent, tasks))
        suspects = {where.edge for where in self._running}
        for edge in {where.edge for where in sent} | self._past.keys():
            if edge in suspects:
                continue  # a flood must not become what is usual
            past = self._past.setdefault(edge, _Past())
            messages = sum(sent.get(EdgeArm(edge, arm), 0) for arm in tasks)
            past.messages += messages
            past.exposure += sum(tasks.values())
            past.ticks += messages > 0
        return floods

    def _floods(self, sent: Mapping[EdgeArm, int], tasks: Mapping[Arm, float]) -> Iterator[Flood]:
        running: dict[EdgeArm, int] = {}
        for where, messages in sorted(sent.items()):
            past = self._past.get(where.edge)
            exposure = tasks.get(where.arm, 0.0)
            if past is None or past.ticks < KNOWN_AFTER or past.exposure <= 0 or exposure <= 0:
                continue
            usual = past.messages / past.exposure * exposure
            if messages < LEAST_TIMES * usual or _surprise(messages, exposure, past) < CHI_SQUARE:
                continue
            running[where] = self._running.get(where, 0) + 1
            if running[where] >= TICKS_RUNNING:
                yield Flood(
                    edge=where.edge,
                    arm=where.arm,
                    messages=messages,
                    usual=usual,
                    ticks=running[where],
                )
        self._running = running


def _surprise(messages: int, exposure: float, past: _Past) -> float:
    """Return MIDAS's chi-square of this tick against all, with tasks in place of time."""
    total, whole = messages + past.messages, exposure + past.exposure
    if total == 0 or exposure >= whole:
        return 0.0
    excess = messages - total * exposure / whole
    return excess**2 * whole**2 / (total * exposure * (whole - exposure))
