"""Watches, second by second, what is sent on each edge while a trial runs: floods and retries.

A comparison of arms needs tasks that have ended; a flood can take the fleet down before. So this
looks at what is sent, as it is sent. It keeps nothing that it could not read again: the fleet
remembers its last two minutes, so a controller that comes after a crash knows what is usual.

Of the seconds before the trial's version got tasks only that is learnt. What they say of a canary
was another one's: a flood that ended the trial before may have stopped a moment ago.
"""

from __future__ import annotations

import logging

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.patterns import flood_facts
from rolewise.fleet.runtime import Runtime
from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.flood import Flood, FloodGuard
from rolewise.graphs.patterns.retries import RetryStorm, RetryWatch

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Time between two readings; a second is read once it has closed."""


class FloodWatch:
    """The flood guard of one fleet.

    Args:
        fleet: Its name, for the log.
        runtime: The fleet.

    Attributes:
        floods: Those that go on in the last second that was read.
        storms: Retry storms, likewise; they are told, and nothing else follows.
        facts: What follows from them.
    """

    def __init__(self, fleet: str, runtime: Runtime) -> None:
        self._fleet = fleet
        self._runtime = runtime
        self._guard = FloodGuard()
        self._after = -1
        self._has_canary = False
        self._looked_at = float("-inf")
        self._told: set[str] = set()
        self._retries = RetryWatch()
        self.floods: tuple[Flood, ...] = ()
        self.storms: tuple[RetryStorm, ...] = ()
        self.facts: tuple[HardFact, ...] = ()

    @property
    def alerts(self) -> tuple[str, ...]:
        """Floods and retry storms, one sentence each, for status pages."""
        floods = (flood.sentence for flood in self.floods)
        return (*floods, *(storm.sentence for storm in self.storms))

    def forget(self) -> None:
        """Begin anew: another trial, or none."""
        self._guard, self._retries, self._after = FloodGuard(), RetryWatch(), -1
        self._has_canary = False
        self._told.clear()
        self.floods, self.storms, self.facts = (), (), ()

    async def look(self, now_s: float, analysis: Analysis, *, weight: float) -> None:
        """Read the seconds that have closed since the last look, if it is time to.

        Args:
            now_s: The fleet's time.
            analysis: What follows from a flood.
            weight: Percent of new tasks that the version on trial gets.
        """
        if now_s - self._looked_at < LOOK_S:
            return
        self._looked_at = now_s
        read = await self._runtime.pulse(self._after)
        if read.until <= self._after + 1:
            return
        self._after = read.until - 1
        self.floods, self.storms = (), ()
        for beat in read.beats:
            seen = beat if self._has_canary else beat.without(Arm.CANARY)
            floods, storms = self._guard.tick(seen), self._retries.tick(beat)
            # What was long ago, and is read after a restart, is not now.
            if beat.at == self._after:
                self.floods, self.storms = floods, storms
        self._has_canary = weight > 0
        self.facts = flood_facts(self.floods, reaction=analysis.on_flood)
        self._tell()

    def _tell(self) -> None:
        for flood in self.floods:
            if flood.finding.what not in self._told:
                log.warning(
                    "fleet %s: %s", self._fleet, "; ".join((flood.sentence, *flood.details))
                )
        for storm in self.storms:
            if str(storm.edge) not in self._told:
                log.warning("fleet %s: %s", self._fleet, storm.sentence)
        self._told |= {flood.finding.what for flood in self.floods}
        self._told |= {str(storm.edge) for storm in self.storms}
