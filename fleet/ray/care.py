"""Looks after the replicas of a fleet: notices what ails one, says so, and does what helps.

Every second it asks each replica how it is. What it finds, and what follows:

- It does not answer and Ray knows why (its process died, its node was lost): messages to it fail at
  once, new ones go to others, and what Ray does not restart is made anew.
- It does not answer for `OUT_OF_REACH_S` and nobody knows why: the same, until it answers again.
- It answers, but the event loop of its handlers stands still: new messages go to others while there
  are any, and after `HELD_UP_S` its process is restarted.
- It dies again and again: after `LOOP_DEATHS` deaths within a minute it is left alone for a while,
  longer each time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import Any, Protocol

from rolewise.agents.message import Address
from rolewise.fleet.incident import OWN_DEATHS, IncidentKind
from rolewise.fleet.ray.inquest import Place, Standing
from rolewise.fleet.ray.registry import Registry
from rolewise.fleet.ray.replica import Vital
from rolewise.fleet.runtime import VersionDefinition

LOOK_EVERY_S = 1.0
OUT_OF_REACH_S = 4.0
"""Silence after which a replica gets no more messages, though it may live."""
SUSPECT_S = 5.0
"""Stillness of an event loop after which others are preferred."""
HELD_UP_S = 60.0
"""Stillness of an event loop after which the process is restarted."""
LOOP_DEATHS = 5
LOOP_WITHIN_S = 60.0
WHY_ALONE = f"crash loop: it died {LOOP_DEATHS} times within {LOOP_WITHIN_S:g} s"
ALONE_S = 30.0
"""How long a replica is left alone that dies again and again; doubles up to `ALONE_MAX_S`."""
ALONE_MAX_S = 300.0
CRASHES_WITHIN_S = 600.0
"""Deaths that a crash loop of a version is told by; see `ReplicaStatus.crashes`."""
ROOM_S = 5.0
"""How long a replica has not been placed until want of room is looked for as the reason."""


class Crew(Protocol):
    """What the fleet's head lets this module do."""

    @property
    def registry(self) -> Registry:
        """The replicas that should run."""
        ...

    @property
    def told(self) -> int:
        """Number of the newest view that everybody was told."""
        ...

    def actor(self, address: Address) -> Any:
        """Return a replica's handle; None when there is none."""
        ...

    def change(self, address: Address, **fields: Any) -> None:
        """Change a replica's entry; nothing happens when it was taken away."""
        ...

    def report(self, kind: IncidentKind, what: str, reason: str, address: Address | None) -> None:
        """Note an incident."""
        ...

    async def call(self, answer: Any, *, limit_s: float = ...) -> Any:
        """Return an actor's answer, or the error in its place."""
        ...

    async def tell(self, actor: Any) -> None:
        """Tell one replica the newest view."""
        ...

    async def tell_all(self) -> Any:
        """Tell everybody the newest view."""
        ...

    async def make_anew(self, address: Address) -> None:
        """Make a new actor for a replica whose actor Ray has given up."""
        ...


class RayKnows(Protocol):
    """What Ray is asked of actors, and told to do with them."""

    async def standing(self, actor: Any) -> Standing:
        """Return how an actor is."""
        ...

    async def cause(self, place: Place | None) -> tuple[IncidentKind, str]:
        """Return what a life of an actor ended of, and in words."""
        ...

    async def shortage(self, version: VersionDefinition) -> str:
        """Return in words why there is no room for one more replica; empty if there is."""
        ...

    def kill(self, actor: Any, *, for_good: bool) -> None:
        """End an actor's process; Ray restarts it unless it is for good."""
        ...


class Care:
    """See the module. All calls come from the head's event loop.

    Args:
        crew: The head.
        ray_knows: The cluster.
    """

    def __init__(self, crew: Crew, ray_knows: RayKnows) -> None:
        self._crew = crew
        self._ray = ray_knows
        self._looks: dict[Address, asyncio.Task[None]] = {}
        self._silent_since: dict[Address, float] = {}
        self._mourned: dict[Address, int] = {}
        self._restarts: dict[Address, int] = {}
        self._sentenced: dict[Address, str] = {}
        self._deaths: defaultdict[Address, deque[float]] = defaultdict(lambda: deque(maxlen=100))
        self._crashes: defaultdict[Address, deque[float]] = defaultdict(lambda: deque(maxlen=100))
        self._alone_until: dict[Address, float] = {}
        self._alone_times: defaultdict[Address, int] = defaultdict(int)

    async def look_for_ever(self) -> None:
        """Look at every replica once a second; one that keeps us waiting holds up no other."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            for address, entered in self._crew.registry.replicas.items():
                look = self._looks.get(address)
                if (entered.is_listed or entered.trouble) and (look is None or look.done()):
                    self._looks[address] = loop.create_task(self._look_at(address))
            for gone in self._looks.keys() - self._crew.registry.replicas.keys():
                self._forget(gone)

    def stop(self) -> None:
        """Look no more."""
        for look in self._looks.values():
            look.cancel()

    def is_left_alone(self, address: Address) -> bool:
        """Whether a replica has died so often that it is not started for a while."""
        return address in self._alone_until

    def crashes(self, address: Address) -> int:
        """Return how often a replica died lately of what may be its version's doing."""
        now = asyncio.get_running_loop().time()
        return sum(now - at <= CRASHES_WITHIN_S for at in self._crashes.get(address, ()))

    def note_failed_start(self, address: Address, reason: str) -> None:
        """Note that a replica made anew did not get ready."""
        self._note_death(address, IncidentKind.DIED, reason)

    async def mourn(self, address: Address) -> None:
        """Note that the life of a replica which joined last has ended, unless that is known."""
        entered = self._crew.registry.replicas.get(address)
        if entered is None or self._mourned.get(address, 0) >= entered.joins:
            return
        self._mourned[address] = entered.joins
        self._restarts.pop(address, None)  # this death is one of those that Ray has counted
        if entered.is_draining:
            return  # it was to end anyway, and most likely we have ended it
        kind, reason = await self._ray.cause(entered.place)
        if sentence := self._sentenced.pop(address, ""):
            kind, reason = IncidentKind.HELD_UP, sentence
        self._note_death(address, kind, reason)

    async def _look_at(self, address: Address) -> None:
        crew, now = self._crew, asyncio.get_running_loop().time()
        entered, actor = crew.registry.replicas.get(address), crew.actor(address)
        if entered is None:
            return
        if actor is None or now < self._alone_until.get(address, 0.0):
            return
        self._alone_until.pop(address, None)
        if entered.is_lost:
            # Calls to an actor that waits to be restarted would pile up.
            standing = await self._ray.standing(actor)
            if not standing.is_up:
                await self._is_silent(address, actor, standing)
                return
        answer = await crew.call(actor.status.remote())
        if isinstance(answer, Vital):
            self._silent_since.pop(address, None)
            await self._answered(address, actor, answer)
        else:
            await self._is_silent(address, actor, await self._ray.standing(actor))

    async def _answered(self, address: Address, actor: Any, vital: Vital) -> None:
        crew = self._crew
        entered = crew.registry.replicas.get(address)
        if entered is None:
            return
        if not vital.is_open:
            await crew.call(actor.ready.remote())  # it is a new life, which must join
            return
        if vital.lag_s >= HELD_UP_S:
            reason = f"its event loop stood still for {vital.lag_s:.0f} s, so it was restarted"
            self._sentenced[address] = reason
            self._ray.kill(actor, for_good=False)
            await self._suspend(address, reason, is_lost=True)
        elif vital.lag_s >= SUSPECT_S:
            if not entered.trouble and self._has_others(address):
                await self._suspend(address, "its event loop stands still", is_lost=False)
        elif entered.trouble:
            self._alone_times.pop(address, None)
            life = entered.life + entered.is_lost
            crew.change(
                address, is_listed=True, trouble="", is_lost=False, is_silent=False, life=life
            )
            await crew.tell_all()
        elif vital.view < crew.told or vital.table < crew.registry.table.number:
            await crew.tell(actor)

    async def _is_silent(self, address: Address, actor: Any, standing: Standing) -> None:
        crew, now = self._crew, asyncio.get_running_loop().time()
        since = self._silent_since.setdefault(address, now)
        entered = crew.registry.replicas.get(address)
        if entered is None:
            return
        if not standing.is_up:
            await self.mourn(address)
            self._note_early_deaths(address, standing)
            if address in self._alone_until:
                self._ray.kill(actor, for_good=True)
                await self._suspend(address, WHY_ALONE, is_lost=True)
                return
            await self._suspend(address, await self._why_not_placed(address, since), is_lost=True)
            if standing.is_dead and not entered.is_draining:
                self._restarts.pop(address, None)
                await crew.make_anew(address)
        elif now - since >= OUT_OF_REACH_S and not entered.is_lost:
            reason = f"it has not answered for {now - since:.0f} s"
            crew.report(IncidentKind.OUT_OF_REACH, str(address), reason, address)
            await self._suspend(address, reason, is_lost=True, is_silent=True)

    async def _suspend(
        self, address: Address, reason: str, *, is_lost: bool, is_silent: bool = False
    ) -> None:
        """Let a replica get no more messages; if it is lost, let those that it had fail."""
        entered = self._crew.registry.replicas.get(address)
        if entered is None or (entered.trouble, entered.is_lost) == (reason, is_lost):
            return
        is_news = not entered.trouble or entered.is_lost != is_lost
        fields = {"trouble": reason, "is_lost": is_lost, "is_silent": is_silent}
        self._crew.change(address, is_listed=False, **fields)
        if is_news:
            await self._crew.tell_all()

    def _note_early_deaths(self, address: Address, standing: Standing) -> None:
        """Note deaths of lives that ended before they had joined: only Ray has counted those."""
        known = self._restarts.get(address)
        self._restarts[address] = standing.restarts
        more = 0 if known is None else standing.restarts - known
        for _ in range(more):
            self._note_death(address, IncidentKind.DIED, "its process died before it was ready")

    def _note_death(self, address: Address, kind: IncidentKind, reason: str) -> None:
        now = asyncio.get_running_loop().time()
        deaths = self._deaths[address]
        deaths.append(now)
        if kind in OWN_DEATHS:
            self._crashes[address].append(now)
        if len(deaths) <= LOOP_DEATHS or now - deaths[-LOOP_DEATHS] > LOOP_WITHIN_S:
            self._crew.report(kind, str(address), reason, address)
        if sum(now - at <= LOOP_WITHIN_S for at in deaths) >= LOOP_DEATHS:
            deaths.clear()
            wait_s = min(ALONE_S * 2 ** self._alone_times[address], ALONE_MAX_S)
            self._alone_times[address] += 1
            self._alone_until[address] = now + wait_s
            why = f"it died {LOOP_DEATHS} times within {LOOP_WITHIN_S:g} s, the last time: {reason}"
            why += f"; it is tried again in {wait_s:g} s"
            self._crew.report(IncidentKind.CRASH_LOOP, str(address), why, address)

    async def _why_not_placed(self, address: Address, since: float) -> str:
        entered = self._crew.registry.replicas[address]
        if asyncio.get_running_loop().time() - since < ROOM_S:
            return entered.trouble or "it died and is being restarted"
        if entered.trouble.startswith("no room"):
            return entered.trouble
        shortage = await self._ray.shortage(entered.version)
        return f"no room to restart it: {shortage}" if shortage else "it is being restarted"

    def _has_others(self, address: Address) -> bool:
        registry = self._crew.registry
        same = registry.of(address.role, address.version)
        return any(registry.replicas[one].is_listed for one in same if one != address)

    def _forget(self, address: Address) -> None:
        look = self._looks.pop(address)
        look.cancel()
        for known in (
            self._silent_since,
            self._mourned,
            self._restarts,
            self._sentenced,
            self._deaths,
            self._crashes,
            self._alone_until,
            self._alone_times,
        ):
            known.pop(address, None)
