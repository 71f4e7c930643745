"""Reads and writes the logs of fleets and rollouts: the one way in and out of the store.

Verbs and the controller's ticks go the same way: read the log, fold it, let `decide` say what
follows, append behind the last entry that was read. When somebody else was faster, read on and
decide again. So a verb that is accepted is in the log, whoever wrote it and whoever dies next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from rolewise.coordinator.asking import ask_machine, check_readable
from rolewise.coordinator.bulletin import Bulletin
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
from rolewise.coordinator.plan.plan import Plan
from rolewise.coordinator.rollout.codec import decode_event, encode_event, readable
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.leftovers import left_behind
from rolewise.coordinator.rollout.requests import Request, Retry, Start, Tick
from rolewise.coordinator.rollout.state import NOT_STARTED, Rollout
from rolewise.coordinator.store.packed import PackedLogs
from rolewise.coordinator.store.port import Conflict, Lease, Store
from rolewise.coordinator.store.watched import WatchedStore

READ_AT_ONCE = 1000
ROLLOUTS_REMEMBERED = 200
"""Rollouts that are kept folded in this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A rollout that was asked for; `is_new` is false when its key had been used before."""

    rollout: str
    is_new: bool


class Journal(Bulletin):
    """The logs, decoded; and the newest words beside them.

    Args:
        store: Where they are kept.
        now: The time to write into them, aware UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._watched = WatchedStore(store, now)
        super().__init__(self._watched, now)
        self._logs = PackedLogs(self._watched)
        self._folded: dict[str, Rollout] = {}
        self._fleets: dict[str, FleetState] = {}

    @property
    def now(self) -> datetime:
        """The journal's time."""
        return self._now()

    @property
    def store(self) -> WatchedStore:
        """The store, which knows since when it has been away."""
        return self._watched

    def remembered_fleet(self, name: str) -> FleetState | None:
        """Return where a fleet stood when its log was last read; None if that never happened."""
        return self._fleets.get(name)

    def remembered_rollout(self, rollout: str) -> Rollout | None:
        """Return where a rollout stood when its log was last read; None if it never was."""
        return self._folded.get(rollout)

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
            RolewiseError: `rollout_in_progress`: a rollout of it is under way.
        """
        await self._store.put(f"fleet/{entry.fleet}", b"1")
        while True:
            state = await self._read_fleet(entry.fleet)
            last = await self.last_rollout(state)
            if state.holds_back(last):
                raise RolewiseError(
                    "rollout_in_progress",
                    f"rollout {last.id} of fleet {entry.fleet!r} is {last.phase}: "
                    "its fleet cannot be registered anew until it has ended",
                    hint="start it with the file that it was last started with, unchanged",
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
            leftovers = () if state.is_fresh else left_behind(last)
            request = Start(
                at=self._now(),
                rollout=f"{fleet}-{len(state.rollouts) + 1}",
                plan=plan,
                table=table,
                salt=salt,
                by=by,
                reason=reason,
                left_by=last.id if leftovers else "",
                leftovers=leftovers,
            )
            events = ask_machine(NOT_STARTED, request)
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
            entries = await self._logs.read(
                rollout_stream(rollout), after=state.sequence, limit=READ_AT_ONCE
            )
            events, unread = readable(entries, decode_event)
            state = replay(events, state)
            if unread or len(entries) < READ_AT_ONCE:
                break
        if not state.sequence:
            check_readable(unread)
            raise RolewiseError("unknown_rollout", f"there is no rollout {rollout!r}")
        self._folded.pop(rollout, None)
        self._folded[rollout] = state  # behind all that were asked for earlier
        if len(self._folded) > ROLLOUTS_REMEMBERED:
            del self._folded[next(iter(self._folded))]
        return replace(state, unread=unread) if unread else state

    async def events(
        self, rollout: str, *, after: int = 0, limit: int = READ_AT_ONCE
    ) -> list[tuple[int, Event]]:
        """Return a rollout's events behind number `after`, as far as they can be read."""
        entries = await self._logs.read(rollout_stream(rollout), after=after, limit=limit)
        events, _ = readable(entries, decode_event)
        return list(zip((number for number, _ in entries), events, strict=False))

    async def wait(self, rollout: str, *, after: int, timeout_s: float) -> bool:
        """Wait for an event behind number `after`; false after the timeout."""
        return await self._store.wait(rollout_stream(rollout), after=after, timeout_s=timeout_s)

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
            RolewiseError: `verb_refused`, `stale_sequence`, `unknown_rollout`, `log_unreadable`.
            LeaseLost: The lease is not the newest.
        """
        state = await self.rollout(rollout)
        if isinstance(request, Retry):
            return await self._retry(state, request, expected)
        while True:
            events = ask_machine(state, request, expected)
            if not events:
                return state
            try:
                await self._store.append(
                    rollout_stream(rollout),
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

    async def _retry(self, state: Rollout, request: Retry, expected: int | None) -> Rollout:
        """Make an ended rollout the fleet's running one again, if nothing came after it.

        It begins in the fleet's log, as a start does, so that of the two only one is taken. From
        then on nobody else can write to the rollout's own log: no other verb is allowed there.
        """
        while True:
            fleet = await self.fleet(state.fleet)
            if fleet.is_fresh or fleet.rollouts[-1].rollout != state.id:
                after = fleet.rollouts[-1].rollout
                what = "its fleet was restarted" if fleet.is_fresh else f"{after} came after it"
                message = f"cannot retry {state.id}: {what}; start a new rollout"
                raise RolewiseError("verb_refused", message)
            state = await self._opened(fleet)
            events = ask_machine(state, request, expected)
            entry = RolloutReopened(
                at=request.at,
                by=request.by,
                rollout=state.id,
                after=state.sequence,
                events=tuple(encode_event(event).decode() for event in events),
            )
            if await self._append_fleet(fleet, entry):
                return await self._opened(await self._read_fleet(state.fleet))

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
        """Return the fleet's last rollout; write what its log lacks because an author died."""
        created, reopened = fleet.rollouts[-1], fleet.reopened
        try:
            state = await self.rollout(created.rollout)
        except RolewiseError:
            state = await self._complete(created.rollout, created.start, after=0)
        if reopened is not None and state.sequence == reopened.after:
            state = await self._complete(created.rollout, reopened.events, after=reopened.after)
        return state

    async def _complete(self, rollout: str, events: Sequence[str], *, after: int) -> Rollout:
        entries = [event.encode() for event in events]
        with suppress(Conflict):  # somebody else wrote the same events
            await self._store.append(rollout_stream(rollout), entries, after=after)
        return await self.rollout(rollout)

    async def _read_fleet(self, name: str) -> FleetState:
        state = self._fleets.get(name) or FleetState(name=name)
        while True:
            entries = await self._logs.read(
                fleet_stream(name), after=state.sequence, limit=READ_AT_ONCE
            )
            known, unread = readable(entries, decode_entry)
            state = fold_fleet(state, known)
            if unread or len(entries) < READ_AT_ONCE:
                self._fleets[name] = state
                return replace(state, unread=unread) if unread else state

    async def _append_fleet(self, state: FleetState, *entries: FleetEntry) -> bool:
        check_readable(state.unread)
        encoded = [encode_entry(entry) for entry in entries]
        try:
            await self._store.append(fleet_stream(state.name), encoded, after=state.sequence)
        except Conflict:
            return False
        return True


def fleet_stream(fleet: str) -> str:
    """Return the name of a fleet's own log."""
    return f"fleet/{fleet}"


def rollout_stream(rollout: str) -> str:
    """Return the name of a rollout's log."""
    return f"rollout/{rollout}"
