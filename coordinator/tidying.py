"""What old rollouts leave in the store is kept, but packed: a tenth of the room.

Done by the server now and then. It may die meanwhile, and two may do it at once.
"""

from __future__ import annotations

from rolewise.coordinator.journal import Journal, fleet_stream, rollout_stream
from rolewise.coordinator.store.packed import PackedLogs

ROLLOUTS_UNPACKED = 20
"""Newest rollouts of a fleet whose logs are left as they are."""

ENTRIES_UNPACKED = 50
"""Entries that a fleet's own log may have before it is packed."""


async def tidy(journal: Journal) -> int:
    """Pack the logs of rollouts that are long over; return how many were packed now.

    Nothing of a log is lost, and its readers see no difference. What status pages were shown
    beside it, while it ran, is dropped.

    Raises:
        StoreUnavailable: The store is away; what is done is done.
    """
    logs, packed = PackedLogs(journal.store), 0
    for name in await journal.fleets():
        old = (await journal.fleet(name)).rollouts[:-ROLLOUTS_UNPACKED]
        done_key = f"tidied/{name}"
        done = int(await journal.store.get(done_key) or 0)
        for created in old[done:]:
            packed += await logs.pack(rollout_stream(created.rollout))
            await journal.drop_verdict(created.rollout)
            for kept in await journal.store.keys(f"judge/{created.rollout}/"):
                await journal.store.remove(kept)
        if len(old) > done:
            await journal.store.put(done_key, b"%d" % len(old))
        await logs.pack(fleet_stream(name), at_least=ENTRIES_UNPACKED)
    return packed
