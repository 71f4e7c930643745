"""What ails replicas, how soon it is noticed, and what follows; in virtual time, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rolewise.agents.message import Address
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.ray.care import ALONE_S, HELD_UP_S, LOOP_DEATHS, Care
from rolewise.fleet.ray.inquest import Place, Standing
from rolewise.fleet.ray.registry import Entered, Registry
from rolewise.fleet.ray.replica import Vital
from rolewise.fleet.runtime import VersionDefinition

VERSION = VersionDefinition(
    role="worker", version="v1", content_hash="h", agent="tests.support.agents:Worker", config={}
)
FIRST, SECOND = (Address(role="worker", version="v1", replica=n) for n in (1, 2))
SILENT = TimeoutError("no answer")


class Method:
    """An actor's method: calling it gives what the call would answer."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.remote = answer


@dataclass
class Actor:
    """A replica as Ray would have it."""

    says: Any = field(default_factory=lambda: Vital(is_open=True, view=10**6))
    standing: Standing = field(default_factory=lambda: Standing(state="ALIVE", node="n1"))
    killed: list[bool] = field(default_factory=list)
    joined: int = 0

    @property
    def status(self) -> Method:
        return Method(lambda: self.says)

    @property
    def ready(self) -> Method:
        def join() -> str:
            self.joined += 1
            return ""

        return Method(join)


class Crew:
    """The head, and Ray behind it."""

    def __init__(self) -> None:
        entered = Entered(
            version=VERSION, is_listed=True, joins=1, place=Place(node="n1", worker="w1", pid=1)
        )
        self.registry = Registry(number=1, replicas={FIRST: entered, SECOND: entered})
        self.actors = {FIRST: Actor(), SECOND: Actor()}
        self.told = 0
        self.incidents: list[tuple[IncidentKind, str]] = []
        self.made_anew: list[Address] = []
        self.died_of = (IncidentKind.DIED, "its process 1 ended")
        self.short = ""

    def actor(self, address: Address) -> Any:
        return self.actors.get(address)

    def change(self, address: Address, **fields: Any) -> None:
        known = self.registry.replicas[address]
        self.registry = self.registry.with_replica(address, replace(known, **fields))

    def report(self, kind: IncidentKind, what: str, reason: str, address: Address | None) -> None:
        assert what == str(address)
        self.incidents.append((kind, reason))

    async def call(self, answer: Any, *, limit_s: float = 1.0) -> Any:
        if answer is SILENT:
            await asyncio.sleep(limit_s)
        return answer

    async def tell(self, actor: Any) -> None:
        actor.says = replace(actor.says, view=self.told)

    async def tell_all(self) -> Any:
        self.told = self.registry.number

    async def make_anew(self, address: Address) -> None:
        self.made_anew.append(address)
        self.restart(address)

    async def standing(self, actor: Actor) -> Standing:
        return actor.standing

    async def cause(self, place: Place | None) -> tuple[IncidentKind, str]:
        assert place is not None
        return self.died_of

    async def shortage(self, version: VersionDefinition) -> str:
        assert version is VERSION
        return self.short

    def kill(self, actor: Actor, *, for_good: bool) -> None:
        actor.killed.append(for_good)
        actor.says = SILENT
        actor.standing = replace(actor.standing, state="DEAD" if for_good else "RESTARTING")

    # What happens to it.

    def die(self, address: Address, state: str = "RESTARTING") -> None:
        actor = self.actors[address]
        actor.says = SILENT
        restarts = actor.standing.restarts + 1
        actor.standing = Standing(state=state, restarts=restarts, node="n1")

    def restart(self, address: Address) -> None:
        actor = self.actors[address]
        actor.standing = replace(actor.standing, state="ALIVE")
        actor.says = Vital(is_open=True, view=10**6)
        self.change(address, joins=self.registry.replicas[address].joins + 1)

    def is_listed(self, address: Address) -> bool:
        return self.registry.replicas[address].is_listed

    def kinds(self) -> list[IncidentKind]:
        return [kind for kind, _ in self.incidents]


def looked_after(story: Callable[[Crew, Care], Awaitable[None]]) -> None:
    async def main() -> None:
        crew = Crew()
        care = Care(crew, crew)
        looking = asyncio.create_task(care.look_for_ever())
        await story(crew, care)
        looking.cancel()
        care.stop()

    run_virtual(main())


def test_a_dead_replica_is_off_the_list_in_seconds_and_on_it_again_when_it_is_back() -> None:
    async def story(crew: Crew, care: Care) -> None:
        crew.die(FIRST)
        await asyncio.sleep(3.0)
        assert not crew.is_listed(FIRST)
        assert crew.registry.replicas[FIRST].is_lost
        assert crew.told == crew.registry.number, "everybody has been told"
        assert crew.is_listed(SECOND)
        assert crew.incidents == [(IncidentKind.DIED, "its process 1 ended")]
        crew.restart(FIRST)
        await asyncio.sleep(3.0)
        entered = crew.registry.replicas[FIRST]
        assert (entered.is_listed, entered.is_lost, entered.trouble) == (True, False, "")
        assert entered.life == 1, "links to its former life are not used again"
        assert care.crashes(FIRST) == 1
        assert len(crew.incidents) == 1

    looked_after(story)


def test_a_lost_node_is_no_crash_and_want_of_room_is_said() -> None:
    async def story(crew: Crew, care: Care) -> None:
        crew.died_of = (IncidentKind.NODE_LOST, "its node n1 left the cluster")
        crew.short = "1 more replicas want 4 gpu, 0 is free"
        crew.die(FIRST)
        await asyncio.sleep(30.0)
        assert crew.kinds() == [IncidentKind.NODE_LOST]
        assert care.crashes(FIRST) == 0
        assert crew.registry.replicas[FIRST].trouble == f"no room to restart it: {crew.short}"

    looked_after(story)


def test_an_actor_that_ray_has_given_up_is_made_anew_unless_it_is_being_drained() -> None:
    async def story(crew: Crew, _care: Care) -> None:
        crew.change(SECOND, is_draining=True)
        for address in (FIRST, SECOND):
            crew.die(address, "DEAD")
        await asyncio.sleep(5.0)
        assert crew.made_anew == [FIRST]
        assert crew.is_listed(FIRST)
        assert crew.kinds() == [IncidentKind.DIED], "of one that we have ended nothing is told"

    looked_after(story)


def test_one_that_is_silent_though_it_lives_gets_nothing_until_it_answers() -> None:
    async def story(crew: Crew, care: Care) -> None:
        crew.actors[FIRST].says = SILENT
        await asyncio.sleep(3.0)
        assert crew.is_listed(FIRST), "a slow answer is no reason"
        await asyncio.sleep(5.0)
        assert not crew.is_listed(FIRST)
        assert crew.kinds() == [IncidentKind.OUT_OF_REACH]
        crew.actors[FIRST].says = Vital(is_open=True, view=10**6)
        await asyncio.sleep(3.0)
        assert crew.is_listed(FIRST)
        assert care.crashes(FIRST) == 0

    looked_after(story)


def test_where_a_loop_stands_still_others_are_preferred_and_the_last_one_is_not_taken_off() -> None:
    async def story(crew: Crew, _care: Care) -> None:
        for address in (FIRST, SECOND):
            crew.actors[address].says = Vital(is_open=True, view=10**6, lag_s=10.0)
        await asyncio.sleep(3.0)
        assert [crew.is_listed(FIRST), crew.is_listed(SECOND)].count(True) == 1
        assert not any(one.is_lost for one in crew.registry.replicas.values())
        for address in (FIRST, SECOND):
            crew.actors[address].says = Vital(is_open=True, view=10**6)
        await asyncio.sleep(3.0)
        assert crew.is_listed(FIRST)
        assert crew.is_listed(SECOND)
        assert crew.incidents == []

    looked_after(story)


def test_a_loop_that_stands_still_for_too_long_is_restarted_for_that_reason() -> None:
    async def story(crew: Crew, care: Care) -> None:
        crew.actors[FIRST].says = Vital(is_open=True, view=10**6, lag_s=HELD_UP_S + 1)
        await asyncio.sleep(4.0)
        assert crew.actors[FIRST].killed == [False]
        assert crew.kinds() == [IncidentKind.HELD_UP]
        assert "stood still for 61 s" in crew.incidents[0][1]
        assert care.crashes(FIRST) == 1

    looked_after(story)


def test_one_that_dies_again_and_again_is_left_alone_longer_each_time() -> None:
    async def story(crew: Crew, care: Care) -> None:
        async def die_until_left_alone() -> None:
            for _ in range(100):
                if care.is_left_alone(FIRST):
                    return
                if crew.actors[FIRST].standing.state == "ALIVE":
                    crew.die(FIRST)
                    await asyncio.sleep(2.5)
                    if not care.is_left_alone(FIRST):
                        crew.restart(FIRST)
                await asyncio.sleep(2.5)
            raise AssertionError("never left alone")

        await die_until_left_alone()
        assert crew.kinds() == [*[IncidentKind.DIED] * LOOP_DEATHS, IncidentKind.CRASH_LOOP]
        assert crew.actors[FIRST].killed[-1:] == [True], "Ray must not restart it either"
        assert crew.registry.replicas[FIRST].trouble.startswith("crash loop")
        await asyncio.sleep(ALONE_S - 5.0)
        assert crew.made_anew == []
        await asyncio.sleep(10.0)
        assert crew.made_anew == [FIRST]
        assert not care.is_left_alone(FIRST)

    looked_after(story)


def test_deaths_before_it_was_ready_count_though_only_ray_has_seen_them() -> None:
    async def story(crew: Crew, care: Care) -> None:
        crew.die(FIRST)
        await asyncio.sleep(3.0)
        for _ in range(4):
            crew.die(FIRST)
            await asyncio.sleep(2.0)
        assert care.is_left_alone(FIRST)
        assert IncidentKind.CRASH_LOOP in crew.kinds()

    looked_after(story)


def test_one_that_has_missed_a_table_is_told_again() -> None:
    async def story(crew: Crew, _care: Care) -> None:
        crew.told = 7
        crew.actors[FIRST].says = Vital(is_open=True, view=3)
        await asyncio.sleep(2.0)
        assert crew.actors[FIRST].says.view == 7

    looked_after(story)


def test_a_new_life_is_asked_to_join() -> None:
    async def story(crew: Crew, _care: Care) -> None:
        crew.actors[FIRST].says = Vital()
        await asyncio.sleep(2.0)
        assert crew.actors[FIRST].joined >= 1

    looked_after(story)
