"""What went wrong with a fleet's own processes: one fact each, with its reason in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rolewise.agents.message import Address

INCIDENTS_KEPT = 200


class IncidentKind(StrEnum):
    """What happened.

    `DIED` a replica's process ended by itself or was killed; `OUT_OF_MEMORY` it was killed because
    its node ran out of memory; `HELD_UP` its event loop stood still for so long that it was
    restarted; `CRASH_LOOP` it died again and again and is left alone for a while; `NODE_LOST` its
    machine left the cluster; `OUT_OF_REACH` it does not answer, though nobody knows it to be dead;
    `GATEWAY_LOST` and `COLLECTOR_LOST`: that process died and was replaced.
    """

    DIED = "died"
    OUT_OF_MEMORY = "out_of_memory"
    HELD_UP = "held_up"
    CRASH_LOOP = "crash_loop"
    NODE_LOST = "node_lost"
    OUT_OF_REACH = "out_of_reach"
    GATEWAY_LOST = "gateway_lost"
    COLLECTOR_LOST = "collector_lost"


OWN_DEATHS: Final = frozenset({IncidentKind.DIED, IncidentKind.OUT_OF_MEMORY, IncidentKind.HELD_UP})
"""Deaths that may be the version's own doing."""

OUTSIDE_DEATHS: Final = frozenset({IncidentKind.NODE_LOST})
"""Deaths that are no version's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One fact.

    Attributes:
        number: Rises with each incident of a fleet, also over its restarts; not without gaps.
        at_s: Time of day.
        what: Address of the replica in words, or `gateway`, `collector 0`.
        role: Of the replica; empty for other processes.
        version: Likewise.
        reason: What happened, in words.
    """

    number: int
    at_s: float
    kind: IncidentKind
    what: str
    reason: str
    role: str = ""
    version: str = ""


class IncidentBook:
    """The last incidents of one fleet.

    Args:
        time_of_day: Numbers are made from it, so that a later book's are higher.
    """

    def __init__(self, time_of_day: Callable[[], float]) -> None:
        self._time_of_day = time_of_day
        self._incidents: deque[Incident] = deque(maxlen=INCIDENTS_KEPT)

    def report(
        self, kind: IncidentKind, what: str, reason: str, address: Address | None = None
    ) -> None:
        """Note an incident."""
        last = self._incidents[-1].number if self._incidents else 0
        now = self._time_of_day()
        self._incidents.append(
            Incident(
                number=max(last + 1, int(now * 1000)),
                at_s=now,
                kind=kind,
                what=what,
                reason=reason,
                role=address.role if address else "",
                version=address.version if address else "",
            )
        )

    def since(self, number: int) -> tuple[Incident, ...]:
        """Return the incidents behind this number, as far as they are kept."""
        return tuple(one for one in self._incidents if one.number > number)
