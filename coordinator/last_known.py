"""Where fleets and rollouts stand, also while the store is away: then as it was last read.

A fleet works on without the store, so it can be looked at and be given tasks. Whatever is shown
from memory says so, and since when. Nothing is decided by it: verbs need the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from rolewise.coordinator.fleet_log import FleetState
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.state import NOT_STARTED, Rollout
from rolewise.coordinator.store.port import StoreUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Where a fleet stands.

    Attributes:
        last: Its newest rollout; `NOT_STARTED` when it has had none.
        alerts: That the store is away, and what does not move in the fleet.
    """

    fleet: FleetState
    last: Rollout
    alerts: tuple[str, ...]


async def read_fleet_state(journal: Journal, name: str) -> FleetState:
    """Return a fleet's log, folded: from memory when the store is away.

    Raises:
        RolewiseError: `unknown_fleet`.
        StoreUnavailable: It was never read before.
    """
    try:
        return await journal.fleet(name)
    except StoreUnavailable:
        state = journal.remembered_fleet(name)
        if state is None or state.registered is None:
            raise
        return state


async def read_known(journal: Journal, name: str) -> Known:
    """Return where a fleet and its newest rollout stand, and raise as `read_fleet_state` does."""
    try:
        state = await journal.fleet(name)
        last = await journal.last_rollout(state)
        alerts = await journal.newest_alerts(name)
    except StoreUnavailable:
        state = await read_fleet_state(journal, name)
        rollout = state.rollouts[-1].rollout if state.rollouts else ""
        last, alerts = journal.remembered_rollout(rollout) or NOT_STARTED, ()
    # A store that can be read may still be one that cannot be written.
    return Known(fleet=state, last=last, alerts=(*away_alerts(journal), *alerts))


async def read_known_rollout(journal: Journal, rollout: str) -> tuple[Rollout, tuple[str, ...]]:
    """Return where a rollout stands, and that the store is away if it is.

    Raises:
        RolewiseError: `unknown_rollout`.
        StoreUnavailable: It was never read before.
    """
    try:
        state = await journal.rollout(rollout)
    except StoreUnavailable:
        remembered = journal.remembered_rollout(rollout)
        if remembered is None:
            raise
        state = remembered
    return state, away_alerts(journal)


async def look(journal: Journal) -> None:
    """Try the store and read on, so that what is remembered is what was last there.

    Raises:
        StoreUnavailable: The store is away.
    """
    await journal.store.look()
    for name in await journal.fleets():
        await journal.last_rollout(await journal.fleet(name))


def away_alerts(journal: Journal) -> tuple[str, ...]:
    """Return that the store is away, in words; nothing while it is there."""
    away = journal.store.away
    return () if away is None else (away.sentence(journal.now),)
