"""Reads and writes the logs of fleets and rollouts: the one way in and out of the store.

Verbs and the controller's ticks go the same way: read the log, fold it, let `decide` say what
follows, append behind the last entry that was read. When somebody else was faster, read on and
decide again. So a verb that is accepted is in the log, whoever wrote it and whoever dies next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleet_log import (
    FleetEntry,
    FleetIncident,
    FleetRegistered,
    FleetState,
    RolloutCreated,
    RolloutReopened,
    decode_entry,
    encode_entry,
    fold_fleet,
)
from rolewise.coordinator.judge.verdict import Verdict
from rolewise.coordinator.plan.plan import Plan
from rolewise.coordinator.rollout.codec import decode_event, encode_event
from rolewise.coordinator.rollout.decide import Refusal, decide
from rolewise.coordinator.rollout.events import JUDGE, Event, VerdictGiven
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.requests import Request, Retry, Start, Tick
from rolewise.coordinator.rollout.state import NOT_STARTED, Rollout
from rolewise.coordinator.store.port import Conflict, Lease, Store

READ_AT_ONCE = 1000
ALERTS_HOLD = timedelta(seconds=10)
"""A controller that tells nothing new for so long does not look any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A rollout that was asked for; `is_new` is false when its key had been used before."""

    rollout: str
    is_new: bool


class Journal:
    """The logs, decoded.

    Args:
        store: Where they are kept.
        now: The time to write into them, aware UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._folded: dict[str, Rollout] = {}
        self._fleets: dict[str, FleetState] = {}

    @property
    def now(self) -> datetime:
        """The journal's time."""
        return self._now()

    async def fleets(self) -> list[str]:
        """Return the names of all fleets ever registered."""
        return [key.removeprefix("fleet/") for key in await self._store.keys("fleet/")]

    async def fleet(self, name: str) -> FleetState:
        """Return where a fleet stands.

        Raises:
            RolewiseError: `unknown_fleet`.
        """
        state = await self._read_fleet(name)
        if state.registered is None:
            known = ", ".join(await self.fleets()) or "none"
            raise RolewiseError("unknown_fleet", f"fleet {name!r} is not here; known: {known}")
        return state

    async def last_rollout(self, fleet: FleetState) -> Rollout:
        """Return the fleet's newest rollout; `NOT_STARTED` when it has had none."""
        if not fleet.rollouts:
            return NOT_STARTED
        return await self._opened(fleet)

    async def register(self, entry: FleetRegistered) -> FleetState:
        """Note that a fleet starts with this file, release and table.

        Raises:
            RolewiseError: `rollout_in_progress`: a rollout of it is running by another file.
        """
        await self._store.put(f"fleet/{entry.fleet}", b"1")
        while True:
            state = await self._read_fleet(entry.fleet)
            last = await self.last_rollout(state)
            if last.sequence and not last.phase.is_final and not state.is_fresh:
                raise RolewiseError(
                    "rollout_in_progress",
                    f"rollout {last.id} of fleet {entry.fleet!r} is {last.phase}: "
                    "its fleet cannot be registered anew until it has ended",
                )
            if await self._append_fleet(state, entry):
                return await self._read_fleet(entry.fleet)

    async def started_by_key(self, fleet: str, key: str, wanted: str) -> Started | None:
        """Return the rollout that a key has started before; None when it has not.

        Ask before planning: the plan of a repeated request would begin at a newer release.

        Args:
            fleet: The fleet's name.
            key: Idempotency key; an empty one never started anything.
            wanted: What is asked for, as in `start`.

        Raises:
            RolewiseError: `key_reused`: for something else; `unknown_fleet`.
        """
        state = await self.fleet(fleet)
        return await self._repeated(state, key, wanted)

    async def start(
        self,
        fleet: str,
        plan: Plan,
        *,
        by: str,
        reason: str = "",
        salt: str,
        key: str = "",
        wanted: str = "",
    ) -> Started:
        """Begin a rollout; it is in the log when this returns.

        Args:
            fleet: The fleet's name.
            plan: What to do.
            by: Who asks.
            reason: Why, for the log.
            salt: Random text that seeds its cohorts.
            key: Idempotency key: the same key with the same `wanted` gives the same rollout.
            wanted: What was asked for, in a form that only an equal request shares.

        Raises:
            RolewiseError: `rollout_in_progress`, `key_reused`, `unknown_fleet`.
        """
        while True:
            state = await self.fleet(fleet)
            assert state.registered is not None  # noqa: S101
            if repeated := await self._repeated(state, key, wanted):
                return repeated
            last = await self.last_rollout(state)
            if last.sequence and not last.phase.is_final:
                raise RolewiseError(
                    "rollout_in_progress",
                    f"rollout {last.id} of fleet {fleet!r} is {last.phase}",
                    hint=f"rolewise rollout watch {last.id}",
                )
            table = state.registered.table if state.is_fresh else last.table
            request = Start(
                at=self._now(),
                rollout=f"{fleet}-{len(state.rollouts) + 1}",
                plan=plan,
                table=table,
                salt=salt,
                by=by,
                reason=reason,
            )
            events = decide(NOT_STARTED, request)
            if isinstance(events, Refusal):
                raise refused(events)
            entry = RolloutCreated(
                at=request.at,
                by=by,
                rollout=request.rollout,
                start=tuple(encode_event(event).decode() for event in events),
                key=key,
                fingerprint=wanted,
            )
            if await self._append_fleet(state, entry):
                await self._opened(await self._read_fleet(fleet))
                return Started(rollout=request.rollout, is_new=True)

    async def rollout(self, rollout: str) -> Rollout:
        """Return where a rollout stands.

        Raises:
            RolewiseError: `unknown_rollout`.
        """
        state = self._folded.get(rollout, NOT_STARTED)
        while True:
            entries = await self._store.read(
                _rollout_stream(rollout), after=state.sequence, limit=READ_AT_ONCE
            )
            state = replay((decode_event(data) for _, data in entries), state)
            if len(entries) < READ_AT_ONCE:
                break
        if not state.sequence:
            raise RolewiseError("unknown_rollout", f"there is no rollout {rollout!r}")
        self._folded[rollout] = state
        return state

    async def events(
        self, rollout: str, *, after: int = 0, limit: int = READ_AT_ONCE
    ) -> list[tuple[int, Event]]:
        """Return a rollout's events behind number `after`, with their numbers."""
        entries = await self._store.read(_rollout_stream(rollout), after=after, limit=limit)
        return [(number, decode_event(data)) for number, data in entries]

    async def wait(self, rollout: str, *, after: int, timeout_s: float) -> bool:
        """Wait for an event behind number `after`; false after the timeout."""
        return await self._store.wait(_rollout_stream(rollout), after=after, timeout_s=timeout_s)

    async def publish_verdict(self, rollout: str, verdict: Verdict) -> None:
        """Let status pages show the judge's newest word; the log has only what was news."""
        event = VerdictGiven(at=self._now(), by=JUDGE, reason=verdict.reason, verdict=verdict)
        await self._store.put(f"verdict/{rollout}", encode_event(event))

    async def newest_verdict(self, rollout: str) -> VerdictGiven | None:
        """Return the judge's newest word on a rollout, with its time; None before the first."""
        data = await self._store.get(f"verdict/{rollout}")
        event = None if data is None else decode_event(data)
        return event if isinstance(event, VerdictGiven) else None

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

    async def note_incidents(self, fleet: str, incidents: Sequence[FleetIncident]) -> None:
        """Write incidents into the fleet's log, those that are not there yet, in their order."""
        while True:
            state = await self.fleet(fleet)
            fresh = [one for one in incidents if one.number > state.last_incident]
            if not fresh or await self._append_fleet(state, *fresh):
                return

    async def request(
        self,
        rollout: str,
        request: Request,
        *,
        expected: int | None = None,
        lease: Lease | None = None,
    ) -> Rollout:
        """Put a verb, a tick or an acknowledgement to a rollout; return where it then stands.

        Args:
            rollout: Its id.
            request: What is asked. A tick is not repeated after a conflict: its verdict was
                given for an older state, so it is dropped and the newer state returned.
            expected: Refuse if the log has moved on from this number of events.
            lease: The controller's; a verb needs none.

        Raises:
            RolewiseError: `verb_refused`, `stale_sequence`, `unknown_rollout`,
                `rollout_in_progress` (retry of one that is not the fleet's last).
            LeaseLost: The lease is not the newest.
        """
        state = await self.rollout(rollout)
        if isinstance(request, Retry):
            await self._reopen(state, request)
        while True:
            if expected is not None and state.sequence != expected:
                raise RolewiseError(
                    "stale_sequence",
                    f"rollout {rollout} has moved on: event {state.sequence}, not {expected}",
                )
            events = decide(state, request)
            if isinstance(events, Refusal):
                raise refused(events)
            if not events:
                return state
            try:
                await self._store.append(
                    _rollout_stream(rollout),
                    [encode_event(event) for event in events],
                    after=state.sequence,
                    lease=lease,
                )
            except Conflict:
                moved = await self.rollout(rollout)
                if expected is None and isinstance(request, Tick):
                    return moved
                state = moved
                continue
            return await self.rollout(rollout)

    async def _reopen(self, state: Rollout, request: Retry) -> None:
        """Make the rollout the fleet's running one again, if nothing came after it."""
        if isinstance(events := decide(state, request), Refusal):
            raise refused(events)
        fleet = await self.fleet(state.fleet)
        while fleet.rollouts[-1].rollout == state.id and not fleet.is_fresh:
            entry = RolloutReopened(at=request.at, by=request.by, rollout=state.id)
            if await self._append_fleet(fleet, entry):
                return
            fleet = await self.fleet(state.fleet)
        after = fleet.rollouts[-1].rollout
        what = f"rollout {after} came after it" if after != state.id else "its fleet was restarted"
        raise RolewiseError("verb_refused", f"cannot retry {state.id}: {what}; start a new rollout")

    async def _repeated(self, state: FleetState, key: str, wanted: str) -> Started | None:
        if not key or key not in state.keys:
            return None
        used_for, rollout = state.keys[key]
        if used_for != wanted:
            raise RolewiseError(
                "key_reused", f"key {key!r} has started rollout {rollout} for another request"
            )
        await self._opened(state)
        return Started(rollout=rollout, is_new=False)

    async def _opened(self, fleet: FleetState) -> Rollout:
        """Return the fleet's last rollout; write its first events if their author died."""
        created = fleet.rollouts[-1]
        try:
            return await self.rollout(created.rollout)
        except RolewiseError:
            entries = [event.encode() for event in created.start]
            with suppress(Conflict):  # somebody else wrote the same events
                await self._store.append(_rollout_stream(created.rollout), entries, after=0)
            return await self.rollout(created.rollout)

    async def _read_fleet(self, name: str) -> FleetState:
        state = self._fleets.get(name) or FleetState(name=name)
        while True:
            entries = await self._store.read(
                _fleet_stream(name), after=state.sequence, limit=READ_AT_ONCE
            )
            state = fold_fleet(state, (decode_entry(data) for _, data in entries))
            if len(entries) < READ_AT_ONCE:
                self._fleets[name] = state
                return state

    async def _append_fleet(self, state: FleetState, *entries: FleetEntry) -> bool:
        encoded = [encode_entry(entry) for entry in entries]
        try:
            await self._store.append(_fleet_stream(state.name), encoded, after=state.sequence)
        except Conflict:
            return False
        return True


def refused(refusal: Refusal) -> RolewiseError:
    """Return the error for a verb that the machine refuses."""
    return RolewiseError(
        "verb_refused", refusal.message, details=tuple(verb.value for verb in refusal.allowed)
    )


def _fleet_stream(fleet: str) -> str:
    return f"fleet/{fleet}"


def _rollout_stream(rollout: str) -> str:
    return f"rollout/{rollout}"
