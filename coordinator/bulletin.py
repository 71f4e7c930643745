"""What status pages are shown beside the logs: the judge's newest word, and what does not move.

None of it is decided by, so none of it is in a log: a new word takes the place of the last one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from rolewise.coordinator.judge.verdict import Verdict
from rolewise.coordinator.rollout.codec import decode_event, encode_event
from rolewise.coordinator.rollout.events import JUDGE, VerdictGiven
from rolewise.coordinator.store.port import Store

ALERTS_HOLD = timedelta(seconds=10)
"""A controller that tells nothing new for so long does not look any more."""


class Bulletin:
    """The newest words, decoded.

    Args:
        store: Where they are kept.
        now: The time to write into them, aware UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store: Store = store
        self._now = now

    async def publish_verdict(self, rollout: str, verdict: Verdict) -> None:
        """Let status pages show the judge's newest word; the log has only what was news."""
        event = VerdictGiven(at=self._now(), by=JUDGE, reason=verdict.reason, verdict=verdict)
        await self._store.put(_verdict_key(rollout), encode_event(event))

    async def newest_verdict(self, rollout: str) -> VerdictGiven | None:
        """Return the judge's newest word on a rollout, with its time; None before the first."""
        data = await self._store.get(_verdict_key(rollout))
        event = None if data is None else decode_event(data)
        return event if isinstance(event, VerdictGiven) else None

    async def drop_verdict(self, rollout: str) -> None:
        """Forget the judge's newest word: the rollout is long over, and its log has what counts."""
        await self._store.remove(_verdict_key(rollout))

    async def publish_alerts(self, fleet: str, alerts: Sequence[str]) -> None:
        """Let status pages show what does not move in a fleet; it holds for a few seconds."""
        told = {"until": (self._now() + ALERTS_HOLD).isoformat(), "alerts": list(alerts)}
        await self._store.put(f"alerts/{fleet}", json.dumps(told).encode())

    async def newest_alerts(self, fleet: str) -> tuple[str, ...]:
        """Return what does not move in a fleet, as its controller saw it just now."""
        data = await self._store.get(f"alerts/{fleet}")
        told = {} if data is None else json.loads(data)
        if not told or datetime.fromisoformat(told["until"]) < self._now():
            return ()
        return tuple(told["alerts"])


def _verdict_key(rollout: str) -> str:
    return f"verdict/{rollout}"
