"""Carries what went wrong with a fleet's processes into the fleet's log, and tells it to people."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import datetime, timedelta

from rolewise.coordinator.fleet_log import FleetIncident, FleetState
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.events import MACHINE
from rolewise.fleet.runtime import Runtime

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
TOLD_FOR = timedelta(minutes=10)
TOLD_AT_MOST = 8


class IncidentWatch:
    """Reads a fleet's incidents beside the controller's passes: none of them waits for it.

    Args:
        fleet: The fleet's name.
        journal: The logs.
        runtime: The fleet.
    """

    def __init__(self, fleet: str, journal: Journal, runtime: Runtime) -> None:
        self._fleet = fleet
        self._journal = journal
        self._runtime = runtime
        self._noting: asyncio.Task[None] | None = None
        self._noted_at = float("-inf")

    def look(self) -> None:
        """Begin to carry over what is new, unless that was done just now or is under way."""
        loop = asyncio.get_running_loop()
        is_busy = self._noting is not None and not self._noting.done()
        if not is_busy and loop.time() - self._noted_at >= LOOK_EVERY_S:
            self._noted_at = loop.time()
            self._noting = loop.create_task(self._note())

    async def forget(self) -> None:
        """Stop."""
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.wait({self._noting})

    async def _note(self) -> None:
        # Whatever fails here (the store, the fleet's head) is tried again a second later.
        with suppress(Exception):
            state = await self._journal.fleet(self._fleet)
            incidents = await self._runtime.incidents(state.last_incident)
            for one in incidents:
                log.warning("fleet %s: %s %s: %s", self._fleet, one.what, one.kind, one.reason)
            entries = [
                FleetIncident(
                    at=self._journal.now,  # the fleet's clock need not be a time of day
                    by=MACHINE,
                    number=one.number,
                    kind=one.kind,
                    what=one.what,
                    reason=one.reason,
                )
                for one in incidents
            ]
            await self._journal.note_incidents(self._fleet, entries)


def tell_incidents(state: FleetState, now: datetime) -> tuple[str, ...]:
    """Return the fleet's recent incidents as people read them, oldest first."""
    recent = [one for one in state.incidents if now - one.at <= TOLD_FOR]
    told = [f"{one.at:%H:%M:%S} {one.what}: {one.reason}" for one in recent[-TOLD_AT_MOST:]]
    more = len(recent) - len(told)
    return (*((f"{more} earlier incidents in the last ten minutes",) if more else ()), *told)
