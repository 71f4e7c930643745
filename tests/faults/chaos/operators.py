"""People at the API: they press what they like when they like, and note what they are told."""

from __future__ import annotations

from dataclasses import dataclass

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.decide import allowed_verbs
from rolewise.coordinator.rollout.events import CommandAcknowledged
from rolewise.coordinator.rollout.requests import Verb
from rolewise.coordinator.rollout.state import Rollout
from rolewise.coordinator.store.port import StoreUnavailable
from tests.faults.chaos.fleets import FLEET, plan
from tests.faults.chaos.world import World

RELEASES = ("v1", "v2", "v3")
SENSIBLE = 0.8
"""Chance that what is pressed is allowed."""

LIKED = {
    Verb.START: 5.0,
    Verb.PAUSE: 0.15,
    Verb.RESUME: 5.0,
    Verb.PROMOTE: 5.0,
    Verb.PROMOTE_FULL: 0.1,
    Verb.ABORT: 0.1,
    Verb.RETRY: 5.0,
    Verb.UNDO: 3.0,
}
"""How often each is pressed where it may be; else hardly a rollout would get far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asked for. The log has its `mark` as the reason.

    Attributes:
        answer: `taken`, `refused`, or `unknown` when the answer was lost.
        rollout: Of a verb: which rollout. Of a start: the one begun, as far as known.
    """

    verb: Verb
    mark: str
    answer: str
    rollout: str = ""


class Operators:
    """See the module.

    Args:
        world: Where they are.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = world.weather.draw
        self.asked: list[Asked] = []

    async def press(self) -> None:
        """Press something: mostly what is allowed, sometimes anything."""
        world = self._world
        try:
            state = await world.api.last_rollout(await world.api.fleet(FLEET))
            verbs = allowed_verbs(state) if self._draw.random() < SENSIBLE else ()
            verbs = verbs or tuple(Verb)
            if state.phase.is_final:
                verbs += (Verb.START,)
            wishes = [LIKED[verb] for verb in verbs]
            if self._draw.random() > sum(wishes):
                return  # it goes well: people mostly let it
            (verb,) = self._draw.choices(verbs, wishes)
            await self.ask(verb, state)
        except StoreUnavailable:
            world.weather.counts["an operator met a store that was away"] += 1

    async def ask(self, verb: Verb, state: Rollout) -> Asked:
        """Ask for one verb of the rollout in this state; a start needs none."""
        mark = f"mark {len(self.asked) + 1}"
        rollout = state.id
        try:
            if verb is Verb.START or not state.sequence:
                verb = Verb.START
                rollout = await self._start(mark)
            elif verb is Verb.UNDO:
                await self._world.api.request(state.id, requests.Undo(at=self._now, by="ana"))
            else:
                await self._world.api.request(state.id, self._request(verb, mark))
            answer = "taken"
        except RolewiseError:
            answer = "refused"
        except StoreUnavailable:
            answer = "unknown"
        asked = Asked(verb=verb, mark=mark, answer=answer, rollout=rollout)
        self.asked.append(asked)
        self._world.weather.counts[f"verb {verb}: {answer}"] += 1
        return asked

    async def acknowledge_again(self) -> None:
        """Let an acknowledgement of a command of long ago come once more, or come otherwise."""
        world = self._world
        try:
            state = await world.api.last_rollout(await world.api.fleet(FLEET))
            if not state.sequence:
                return
            known = [
                event.command
                for _, event in await world.api.events(state.id)
                if isinstance(event, CommandAcknowledged) and event.ok
            ]
            if known:
                await world.api.request(
                    state.id,
                    requests.Acknowledge(
                        at=self._now, command=self._draw.choice(known), ok=self._draw.random() < 0.5
                    ),
                )
                world.weather.counts["acknowledgement: doubled or late"] += 1
        except StoreUnavailable:
            return

    async def _start(self, mark: str) -> str:
        """Start a rollout as a client does: with a key, again and again until it is answered."""
        api: Journal = self._world.api
        lost: StoreUnavailable | None = None
        for _ in range(4):
            try:
                fleet = await api.fleet(FLEET)
                last = await api.last_rollout(fleet)
                assert fleet.registered is not None
                running = dict(last.release) if last.sequence else dict(fleet.registered.release)
                wanted = self._draw.choice([r for r in RELEASES if r != running["worker"]])
                started = await api.start(
                    FLEET,
                    plan(self._world.shape, running, wanted),
                    by="ana",
                    reason=mark,
                    salt=mark,
                    key=mark,
                    wanted="anything newer",
                )
            except StoreUnavailable as error:
                lost = error
                await self._world.clock.sleep(0.2)
            else:
                return started.rollout
        assert lost is not None
        raise lost

    @property
    def _now(self):
        return self._world.now()

    def _request(self, verb: Verb, mark: str) -> requests.Request:
        at = self._now
        match verb:
            case Verb.PAUSE:
                return requests.Pause(at=at, by="ana", reason=mark)
            case Verb.RESUME:
                return requests.Resume(at=at, by="ana", reason=mark)
            case Verb.PROMOTE:
                return requests.Promote(at=at, by="ana", reason=mark)
            case Verb.PROMOTE_FULL:
                return requests.Promote(at=at, by="ana", full=True, reason=mark)
            case Verb.ABORT:
                return requests.Abort(at=at, by="ana", reason=mark)
            case Verb.RETRY:
                return requests.Retry(at=at, by="ana", reason=mark)
            case _:
                raise AssertionError(verb)
