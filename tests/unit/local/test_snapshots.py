"""What a replica says of its waits: epochs, where messages went, locks, capacity, what it ended."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.task import TaskRequest
from rolewise.graphs.deadlock import analyse_waits
from rolewise.graphs.snapshot_columns import read_snapshots
from rolewise.graphs.snapshots import Ending, ReplicaSnapshot

DOES: dict[str, dict[str, Any]] = {
    "a": {
        "all": [{"all": ["b.one", "b.two", "b.three"], "timeout": 30.0}],
        "any": [{"any": ["b.one", "b.three"]}],
        "back": [{"ask": "b.back"}],
        "quick": [],
    },
    "b": {
        "one": [{"sleep": 1.0}],
        "two": [{"sleep": 2.0}],
        "three": [{"sleep": 3.0}],
        "back": [{"ask": "a.quick"}],
        "locks": [{"lock": "till", "then": [{"sleep": 5.0}]}],
    },
}


class Fleet:
    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self._given = 0

    async def give(self, role: str, kind: str) -> None:
        self._given += 1
        task = TaskRequest(id=f"t-{self._given}", role=role, kind=kind, timeout_s=math.inf)
        await self.runtime.submit(task)

    async def see(self, role: str, **more: Any) -> ReplicaSnapshot:
        found = read_snapshots(await self.runtime.waits(**more))
        return next(one for one in found if one.role == role)


def with_fleet(story: Callable[[Fleet], Awaitable[None]], **slots: int) -> None:
    async def main() -> None:
        runtime = LocalRuntime(entry=tuple(DOES), seed=1)
        for role, does in DOES.items():
            definition = VersionDefinition(
                role=role,
                version="v1",
                content_hash=role,
                agent="tests.support.players:Player",
                config={"does": does},
                slots=slots.get(role, 8),
            )
            await runtime.scale(definition, 1, fencing=1)
        routes = tuple(RoleRoute(role=role, stable="v1", idempotent=True) for role in DOES)
        await runtime.install(RoutingTable(number=3, routes=routes), fencing=1)
        await story(Fleet(runtime))

    run_virtual(main())


def test_the_epoch_goes_up_with_every_reply_and_says_where_the_others_are():
    async def story(fleet: Fleet) -> None:
        await fleet.give("a", "all")
        seen = []
        for _ in range(3):
            await asyncio.sleep(1.0)
            seen.append((await fleet.see("a")).running[0])
        assert [len(one.waits) for one in seen] == [3, 2, 1]
        assert [one.need for one in seen] == [3, 2, 1]
        assert len({one.epoch for one in seen}) == 3
        assert [one.epoch for one in seen] == sorted(one.epoch for one in seen)
        assert all(set(one.sent_to) == {"b@v1#2"} for one in seen)
        assert (seen[0].kind, seen[0].deadline and round(seen[0].deadline)) == ("all", 29)
        ids = {one.id: one.kind for one in (await fleet.see("b")).running}
        assert [ids[wait] for wait in seen[2].waits] == ["three"]

    with_fleet(story)


def test_one_of_several_needs_one():
    async def story(fleet: Fleet) -> None:
        await fleet.give("a", "any")
        await asyncio.sleep(0.5)
        (one,) = (await fleet.see("a")).running
        assert (len(one.waits), one.need, one.deadline) == (2, 1, None)
        await asyncio.sleep(1.0)
        snapshot = await fleet.see("a", recent=True)
        assert snapshot.running == ()
        assert snapshot.recent == ((one.id, Ending.REPLIED),)

    with_fleet(story)


def test_what_was_finished_is_told_when_it_is_asked_for():
    async def story(fleet: Fleet) -> None:
        await fleet.give("b", "one")
        await asyncio.sleep(0.5)
        (one,) = (await fleet.see("b")).running
        await asyncio.sleep(1.0)
        assert (await fleet.see("b")).recent == ()
        assert (await fleet.see("b", recent=True)).recent == ((one.id, Ending.REPLIED),)

    with_fleet(story)


def test_a_life_has_a_name_a_table_and_an_age():
    async def story(fleet: Fleet) -> None:
        await asyncio.sleep(5.0)
        first = await fleet.see("b")
        assert (first.table, round(first.up_s)) == (3, 5)
        fleet.runtime.kill("b", "v1")
        second = await fleet.see("b")
        assert second.replica == first.replica
        assert second.incarnation != first.incarnation
        assert second.up_s == 0

    with_fleet(story)


def test_a_request_that_is_sent_again_is_another_wait():
    async def story(fleet: Fleet) -> None:
        await fleet.give("a", "any")
        await asyncio.sleep(0.2)
        (before,) = (await fleet.see("a")).running
        fleet.runtime.kill("b", "v1")
        await asyncio.sleep(0.2)
        (after,) = (await fleet.see("a")).running
        assert before.id == after.id
        assert not set(before.waits) & set(after.waits)
        assert after.epoch > before.epoch
        assert {one.id for one in (await fleet.see("b")).running} == set(after.waits)

    with_fleet(story)


def test_locks_show_who_holds_and_who_waits():
    async def story(fleet: Fleet) -> None:
        for _ in range(2):
            await fleet.give("b", "locks")
        await asyncio.sleep(1.0)
        snapshot = await fleet.see("b")
        holder, waiter = snapshot.running
        (held,) = snapshot.locks
        assert (held.name, held.holders) == ("till", (holder.id,))
        assert (holder.state, waiter.state) == ("active", "wait")
        assert (waiter.locks, waiter.need) == ((held.id,), 1)
        await asyncio.sleep(5.0)
        snapshot = await fleet.see("b")
        assert [one.id for one in snapshot.running] == [waiter.id]
        assert snapshot.running[0].state == "active"
        assert snapshot.locks[0].holders == (waiter.id,)
        assert snapshot.locks[0].epoch > held.epoch
        await asyncio.sleep(5.0)
        assert (await fleet.see("b")).locks == ()

    with_fleet(story)


def test_more_slots_end_a_deadlock_and_unconfirm_it():
    async def story(fleet: Fleet) -> None:
        await fleet.give("a", "back")
        await asyncio.sleep(1.0)
        first = await fleet.runtime.waits()
        second = await fleet.runtime.waits()
        assert analyse_waits(first, second).hard.ids
        before = await fleet.see("a")
        fleet.runtime.resize("a", "v1", 2)
        third = await fleet.runtime.waits()
        assert analyse_waits(second, third).soft.ids == ()
        after = await fleet.see("a")
        assert (after.slots, after.capacity_epoch) == (2, before.capacity_epoch + 1)
        await asyncio.sleep(1.0)
        assert (await fleet.runtime.observe()).counts.completed == 1

    with_fleet(story, a=1)


def test_fewer_slots_are_in_force_once_enough_have_ended():
    async def story(fleet: Fleet) -> None:
        for _ in range(4):
            await fleet.give("b", "one")
        await asyncio.sleep(0.5)
        fleet.runtime.resize("b", "v1", 1)
        for _ in range(3):
            await fleet.give("b", "two")
        await asyncio.sleep(1.0)
        snapshot = await fleet.see("b")
        assert (len(snapshot.running), len(snapshot.queue)) == (1, 2)
        await asyncio.sleep(7.0)
        assert (await fleet.runtime.observe()).counts.completed == 7

    with_fleet(story)
