"""A message for a role whose only replica has just died waits for the next, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rolewise.agents.errors import AgentError, AskTimedOut, Failure, NoReplica, ReplicaLost
from rolewise.agents.message import OUTSIDE, Address, Message, Reply
from rolewise.fleet.ids import IdSource
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.messenger import Envelope, Messenger
from rolewise.fleet.patience import PATIENCE_S
from rolewise.fleet.recording.recorder import Recorder
from rolewise.fleet.routing.router import Router
from rolewise.fleet.routing.table import RoleRoute, RoutingTable

FIRST = Address(role="supplier", version="v1", replica=1)
SECOND = Address(role="supplier", version="v1", replica=2)


class Link:
    """Answers with its replica's number, or fails with a code."""

    def __init__(self, fleet: Fleet, address: Address) -> None:
        self._fleet = fleet
        self._address = address

    async def ask(self, message: Message) -> Reply:
        self._fleet.sent.append((message.id, self._address.replica))
        code = self._fleet.fails.get(self._address)
        failure = None if code is None else Failure(code=code, message=f"{self._address} failed")
        body = self._address.replica
        return Reply(to=message.id, sender=self._address, body=body, failure=failure)

    async def tell(self, message: Message) -> Reply | None:
        reply = await self.ask(message)
        return None if reply.failure is None else reply

    def close(self) -> None:
        pass


class Fleet:
    """A messenger and what its links do."""

    def __init__(self) -> None:
        self.router = Router()
        self.sent: list[tuple[int, int]] = []
        self.fails: dict[Address, str] = {}
        loop = asyncio.get_running_loop()
        self.messenger = Messenger(
            router=self.router,
            link_to=lambda address: Link(self, address),
            recorder=Recorder("planner@v1#1.0", "planner@v1"),
            ids=IdSource(1, 0),
            now=loop.time,
        )
        routes = (RoleRoute(role="supplier", stable="v1"),)
        self.router.install(RoutingTable(number=1, routes=routes))

    def later(self, at_s: float, *replicas: Address) -> None:
        asyncio.get_running_loop().call_later(at_s, self.router.set_replicas, replicas)

    async def ask(self, role: str = "supplier", timeout_s: float | None = None) -> Any:
        return await self.messenger.ask(envelope(), role, None, kind="rfq", timeout_s=timeout_s)

    async def tell(self) -> Any:
        return await self.messenger.tell(envelope(), "supplier", None, kind="news")


def envelope() -> Envelope:
    return Envelope(sender=OUTSIDE, task="t", task_key=1, conversation="t", table=1, attributes={})


def played(scene: Callable[[Fleet], Awaitable[Any]]) -> tuple[Any, float]:
    """Return what a scene returns, or the failure that it ends with, and how long it took."""

    async def main() -> tuple[Any, float]:
        fleet = Fleet()
        try:
            result = await scene(fleet)
        except AgentError as error:
            result = error
        return result, asyncio.get_running_loop().time()

    return run_virtual(main())


@pytest.mark.parametrize("how", ["ask", "tell"])
def test_it_waits_for_the_next_replica(how: str) -> None:
    async def scene(fleet: Fleet) -> Any:
        fleet.later(1.0)  # news of others change nothing
        fleet.later(3.0, FIRST)
        await getattr(fleet, how)()
        return [replica for _, replica in fleet.sent]

    assert played(scene) == ([1], pytest.approx(3.0))


@pytest.mark.parametrize("how", ["ask", "tell"])
def test_it_gives_up_after_some_seconds_and_says_why(how: str) -> None:
    error, took_s = played(lambda fleet: getattr(fleet, how)())
    assert type(error) is NoReplica
    assert str(error) == "no live replica of supplier@v1, and none came in 10 s"
    assert took_s == pytest.approx(PATIENCE_S)


def test_it_gives_up_when_its_own_time_is_over() -> None:
    error, took_s = played(lambda fleet: fleet.ask(timeout_s=4.0))
    assert type(error) is AskTimedOut
    assert str(error) == "no live replica of supplier@v1, and no time is left to wait for one"
    assert took_s == pytest.approx(4.0)


def test_nobody_waits_for_a_role_that_there_is_not() -> None:
    error, took_s = played(lambda fleet: fleet.ask("auditor"))
    assert (type(error), str(error)) == (NoReplica, "the fleet has no role 'auditor'")
    assert took_s == 0.0


async def test_nor_does_its_failure_speak_of_waiting_on_a_real_clock() -> None:
    with pytest.raises(NoReplica) as raised:
        await Fleet().ask("auditor")
    assert str(raised.value) == "the fleet has no role 'auditor'"


def test_what_was_not_handed_over_goes_to_another_though_the_role_is_not_idempotent() -> None:
    async def scene(fleet: Fleet) -> Any:
        fleet.router.set_replicas([FIRST])
        fleet.fails[FIRST] = "no_replica"
        fleet.later(2.0, SECOND)
        answer = await fleet.ask()
        (first_id, _), (second_id, _) = fleet.sent
        return answer, first_id != second_id

    assert played(scene) == ((2, True), pytest.approx(2.0))


def test_what_was_handed_over_to_one_that_died_fails_at_once() -> None:
    async def scene(fleet: Fleet) -> Any:
        fleet.router.set_replicas([FIRST])
        fleet.fails[FIRST] = "replica_lost"
        fleet.later(2.0, SECOND)
        await fleet.ask()

    error, took_s = played(scene)
    assert (type(error), took_s) == (ReplicaLost, 0.0)


def test_waiting_is_within_the_time_of_the_ask_and_not_added_to_it() -> None:
    async def scene(fleet: Fleet) -> Any:
        timeouts: list[float | None] = []
        fleet.later(3.0, FIRST)

        async def ask(self: Link, message: Message) -> Reply:
            timeouts.append(message.timeout_s)
            return Reply(to=message.id, sender=FIRST)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Link, "ask", ask)
            await fleet.ask(timeout_s=8.0)
        return timeouts

    (timeouts, _) = played(scene)
    assert timeouts == [pytest.approx(5.0)]
