"""Locks of a replica: first come, first served; holders in the open; no epoch twice."""

from __future__ import annotations

import asyncio

import pytest

from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.locks import ReplicaLocks


def with_locks(story):
    async def main():
        await story(ReplicaLocks("a@v1#1.0"))

    run_virtual(main())


def test_the_next_in_line_gets_it():
    async def story(locks):
        first, second, third = (locks.ask("till", holder) for holder in (1, 2, 3))
        assert [turn.done() for turn in (first, second, third)] == [True, False, False]
        (held,) = locks.snapshot()
        assert (held.name, held.holders, held.mode) == ("till", (1,), "exclusive")
        assert held.id == locks.id_of("till")
        locks.let_go("till", 2, second)  # it gave up waiting
        locks.let_go("till", 1, first)
        assert third.done()
        assert locks.snapshot()[0].holders == (3,)
        locks.let_go("till", 3, third)
        assert locks.snapshot() == ()

    with_locks(story)


def test_readers_share_it_and_a_writer_gets_its_turn():
    async def story(locks):
        readers = [locks.ask("map", holder, shared=True) for holder in (1, 2)]
        writer = locks.ask("map", 3)
        late = locks.ask("map", 4, shared=True)
        assert [turn.done() for turn in (*readers, writer, late)] == [True, True, False, False]
        assert (locks.snapshot()[0].mode, locks.snapshot()[0].holders) == ("shared", (1, 2))
        for holder, turn in zip((1, 2), readers, strict=True):
            assert not writer.done()
            locks.let_go("map", holder, turn)
        assert writer.done()
        assert not late.done()
        locks.let_go("map", 3, writer)
        assert late.done()

    with_locks(story)


def test_permits_let_so_many_in():
    async def story(locks):
        turns = [locks.ask("arm", holder, permits=2) for holder in (1, 2, 3)]
        assert [turn.done() for turn in turns] == [True, True, False]
        held = locks.snapshot()[0]
        assert (held.mode, held.permits, held.holders) == ("semaphore", 2, (1, 2))
        for permits in (1, 3, 0):
            with pytest.raises(ValueError, match="permits = "):
                locks.ask("arm", 4, permits=permits)

    with_locks(story)


def test_a_lock_that_comes_again_repeats_no_epoch():
    async def story(locks):
        seen = set()
        for holder in (1, 2, 1):
            turn = locks.ask("till", holder)
            held = locks.snapshot()[0]
            assert (held.id, held.epoch) not in seen
            seen.add((held.id, held.epoch))
            locks.let_go("till", holder, turn)

    with_locks(story)


def test_one_that_was_cancelled_at_its_turn_is_passed_by():
    async def story(locks):
        first, second, third = (locks.ask("till", holder) for holder in (1, 2, 3))
        second.cancel()
        locks.let_go("till", 1, first)
        await asyncio.sleep(0)
        assert third.done()
        locks.let_go("till", 2, second)
        assert locks.snapshot()[0].holders == (3,)

    with_locks(story)
