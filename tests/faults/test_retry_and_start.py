"""Retry and start at the same moment: one of them is taken, whoever dies between two writes."""

from __future__ import annotations

import asyncio
import random

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.rollout.events import RetryRequested
from rolewise.coordinator.rollout.requests import Abort, Retry
from rolewise.coordinator.rollout.state import Phase
from rolewise.coordinator.store.memory import MemoryStore
from tests.scenario.stage import Stage, given
from tests.scenario.test_operators import PAIR

WAYS = 60
"""Each is another order of the two askers' reads and writes."""


class Crossing(MemoryStore):
    """A store whose askers overtake each other, as they do over a network."""

    ways = random.Random(0)
    writes_left = 10**9

    async def read(self, stream, *, after=0, limit=1000):
        await self._cross()
        return await super().read(stream, after=after, limit=limit)

    async def append(self, stream, entries, *, after, lease=None):
        await self._cross()
        if self.writes_left == 0:
            raise asyncio.CancelledError
        self.writes_left -= 1
        return await super().append(stream, entries, after=after, lease=lease)

    async def _cross(self):
        for _ in range(self.ways.randrange(4)):
            await asyncio.sleep(0)


async def after_a_rollback(stage: Stage) -> str:
    """Have a rollout that ended rolled back, and no controller."""
    rollout = await stage.start("v2")
    await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
    await stage.journal.request(rollout, Abort(at=stage.journal.now, by="ana", reason="why not"))
    await stage.ends(rollout)
    await stage.stop()
    return rollout


def journal_of(stage: Stage, store: MemoryStore) -> Journal:
    """Return the journal of another process."""
    return Journal(store, lambda: stage.journal.now)


async def last(stage: Stage) -> tuple[int, str, Phase]:
    """Return how many rollouts the fleet has had, and which one is its running one."""
    fleet = await stage.journal.fleet("pair")
    state = await stage.journal.last_rollout(fleet)
    return len(fleet.rollouts), state.id, state.phase


def test_of_a_retry_and_a_start_at_the_same_moment_one_is_taken() -> None:
    taken = set()

    async def story(stage: Stage) -> None:
        old = await after_a_rollback(stage)
        plan = (await stage.fleets.plan("pair", "v2")).plan
        ended = {name: dict(entries) for name, entries in stage.store._streams.items()}
        for way in range(WAYS):
            store = Crossing(stage.clock)
            store.ways = random.Random(way)
            store._streams.update({name: dict(entries) for name, entries in ended.items()})
            askers = (journal_of(stage, store), journal_of(stage, store))
            answers = await asyncio.gather(
                askers[0].request(old, Retry(at=stage.journal.now, by="ana")),
                askers[1].start("pair", plan, by="bo", salt="s"),
                return_exceptions=True,
            )
            (refused,) = [a for a in answers if isinstance(a, RolewiseError)]
            assert refused.kind.code in {"verb_refused", "rollout_in_progress"}
            reader = journal_of(stage, store)
            state = await reader.last_rollout(await reader.fleet("pair"))
            events = [event for _, event in await reader.events(old)]
            retried = any(isinstance(event, RetryRequested) for event in events)
            assert state.phase is Phase.PENDING
            assert (state.id == old) == retried
            taken.add("retry" if retried else "start")

    given(PAIR, story, traffic=False)
    assert taken == {"retry", "start"}


def test_two_retries_at_the_same_moment_are_one() -> None:
    async def story(stage: Stage) -> None:
        old = await after_a_rollback(stage)
        crossing = Crossing(stage.clock)
        crossing._streams.update(stage.store._streams)
        answers = await asyncio.gather(
            *(
                journal_of(stage, crossing).request(old, Retry(at=stage.journal.now, by=who))
                for who in ("ana", "bo")
            ),
            return_exceptions=True,
        )
        assert [type(a).__name__ for a in answers if isinstance(a, Exception)] == ["RolewiseError"]
        events = await stage.events(old)
        assert sum(isinstance(event, RetryRequested) for event in events) == 1

    given(PAIR, story, traffic=False)


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_who_asks_for_a_retry_may_die_between_its_two_writes(writes: int) -> None:
    async def story(stage: Stage) -> None:
        old = await after_a_rollback(stage)
        dying = Crossing(stage.clock)
        dying._streams = stage.store._streams
        dying.writes_left = writes
        asked = asyncio.gather(
            journal_of(stage, dying).request(old, Retry(at=stage.journal.now, by="ana")),
            return_exceptions=True,
        )
        await asked
        is_taken = writes > 0
        assert await last(stage) == (1, old, Phase.PENDING if is_taken else Phase.ROLLED_BACK)
        if is_taken:
            with pytest.raises(RolewiseError, match="is pending"):
                await stage.start("v2")
        else:
            assert (await stage.start("v2")) == "pair-2"

    given(PAIR, story, traffic=False)
