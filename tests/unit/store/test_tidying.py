"""Hundreds of rollouts later: all can be looked at as before, and the store has hardly grown."""

from __future__ import annotations

from typing import Any

from rolewise.coordinator.journal import ROLLOUTS_REMEMBERED, Journal, rollout_stream
from rolewise.coordinator.rollout.requests import Abort
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.coordinator.tidying import ROLLOUTS_UNPACKED, tidy
from tests.scenario.stage import Stage, given
from tests.scenario.test_operators import PAIR

ROLLOUTS = 40


def size_of(store: MemoryStore) -> int:
    streams = sum(len(entry) for log in store._streams.values() for entry in log.values())
    return streams + sum(len(value) for value in store._values.values())


def test_old_rollouts_are_packed_and_read_as_before() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(ROLLOUTS):
            rollout = await stage.start("v2")
            await stage.until(rollout, lambda state: state.pause is not None)
            await stage.journal.request(
                rollout, Abort(at=stage.journal.now, by="ana", reason="wrong prices")
            )
            await stage.ends(rollout)
        ids = [f"pair-{number}" for number in range(1, ROLLOUTS + 1)]
        before: dict[str, Any] = {
            one: (await stage.journal.rollout(one), await stage.journal.events(one)) for one in ids
        }
        size = size_of(stage.store)

        assert await tidy(stage.journal) == ROLLOUTS - ROLLOUTS_UNPACKED
        assert await tidy(stage.journal) == 0

        grown = size_of(stage.store) - size * ROLLOUTS_UNPACKED / ROLLOUTS
        assert grown < size / 4, "the old ones take a fraction of the room that they took"
        fresh = Journal(stage.store, lambda: stage.journal.now)
        for one in ids:
            state, events = before[one]
            assert await fresh.rollout(one) == state
            assert await fresh.events(one) == events
            assert await fresh.events(one, after=3, limit=2) == events[3:5]
            assert await stage.journal.rollout(one) == state
        assert (await fresh.fleet("pair")) == (await stage.journal.fleet("pair"))
        left = [len(await stage.store.read(rollout_stream(one))) for one in ids]
        assert left[:-ROLLOUTS_UNPACKED] == [1] * (ROLLOUTS - ROLLOUTS_UNPACKED)
        assert min(left[-ROLLOUTS_UNPACKED:]) > 10

        rollout = await stage.start("v2")
        assert rollout == f"pair-{ROLLOUTS + 1}"
        await stage.until(rollout, lambda state: state.pause is not None)

    given(PAIR, story, traffic=False)


def test_a_process_remembers_so_many_rollouts_and_no_more() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.pause is not None)
        first = await stage.store.read(rollout_stream(rollout))
        copies = [f"copy-{number}" for number in range(ROLLOUTS_REMEMBERED + 10)]
        for copy in copies:
            await stage.store.append(rollout_stream(copy), [entry for _, entry in first], after=0)
            await stage.journal.rollout(copy)
            await stage.journal.rollout(rollout)
        assert stage.journal.remembered_rollout(rollout) is not None, "it is asked for all the time"
        assert stage.journal.remembered_rollout(copies[-1]) is not None
        assert stage.journal.remembered_rollout(copies[0]) is None
        assert (await stage.journal.rollout(copies[0])).sequence == len(first)

    given(PAIR, story, traffic=False)
