"""While the store is away a fleet works on, nothing moves, and afterwards all goes on by itself.

In virtual time, with the store away from any moment of a rollout on.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.last_known import look, read_known
from rolewise.coordinator.rehearse import EPOCH
from rolewise.coordinator.rollout.events import StepStarted
from rolewise.coordinator.rollout.requests import Abort, Pause, Promote
from rolewise.coordinator.rollout.state import Phase
from rolewise.coordinator.store.port import StoreUnavailable
from rolewise.fleet.task import Outcome, TaskRequest
from tests.scenario.stage import Stage, given
from tests.scenario.test_operators import PAIR, TIMED
from tests.support.away_store import AwayStore

AWAY_S = 120.0
STEPS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


def play(story, text: str = TIMED) -> None:
    given(text, story, traffic=False, store=AwayStore)


def away(stage: Stage) -> AwayStore:
    assert isinstance(stage.store, AwayStore)
    return stage.store


async def all_complete(stage: Stage, name: str) -> None:
    """Give the fleet tasks and see them completed."""
    for number in range(5):
        await stage.runtime.submit(TaskRequest(id=f"{name}-{number}"))
    for number in range(5):
        record = await stage.runtime.result(f"{name}-{number}", wait_s=10.0)
        assert record is not None
        assert record.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("loses_answer", [False, True], ids=["away", "answer lost"])
@pytest.mark.parametrize("moment_s", [0.1, 0.4, 1.0, 31.0, 31.5, 40.0])
def test_from_any_moment_on_the_fleet_works_nothing_moves_and_then_all_goes_on(
    moment_s: float, loses_answer: bool
) -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.clock.sleep(moment_s)
        if loses_answer:
            away(stage).loses_next_answer = True
            while not away(stage).is_away:
                await stage.clock.sleep(0.05)
        away(stage).is_away = True
        await stage.clock.sleep(5.0)  # what was under way may end
        left = EPOCH + timedelta(seconds=stage.clock.now())
        table = (await stage.runtime.observe()).replicas
        await all_complete(stage, "meanwhile")
        await stage.clock.sleep(AWAY_S)
        assert [(r.replica, r.table) for r in (await stage.runtime.observe()).replicas] == [
            (r.replica, r.table) for r in table
        ]
        back = EPOCH + timedelta(seconds=stage.clock.now())
        away(stage).is_away = False
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED
        events = await stage.events(rollout)
        assert not [event for event in events if left <= event.at < back]
        assert [(e.stage, e.step) for e in events if isinstance(e, StepStarted)] == STEPS
        await all_complete(stage, "afterwards")

    play(story)


def test_verbs_are_refused_meanwhile_and_taken_afterwards() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
        away(stage).is_away = True
        at = stage.journal.now
        for verb in (Promote(at=at, by="ana"), Abort(at=at, by="ana", reason="x")):
            with pytest.raises(StoreUnavailable):
                await stage.journal.request(rollout, verb)
        with pytest.raises(StoreUnavailable):
            await stage.start("v2")
        away(stage).is_away = False
        await stage.journal.request(rollout, Promote(at=stage.journal.now, by="ana", full=True))
        assert (await stage.ends(rollout)).phase is Phase.COMPLETED

    play(story, PAIR)


def test_a_verb_whose_answer_was_lost_is_in_the_log_once() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.timer_ends is not None)
        away(stage).loses_next_answer = True
        with pytest.raises(StoreUnavailable):
            await stage.journal.request(rollout, Pause(at=stage.journal.now, by="ana"))
        away(stage).is_away = False
        with pytest.raises(RolewiseError) as refused:
            await stage.journal.request(rollout, Pause(at=stage.journal.now, by="ana"))
        assert refused.value.kind.code == "verb_refused"
        told = [type(event).__name__ for event in await stage.events(rollout)]
        assert told.count("Paused") == 1

    play(story)


def test_status_says_since_when_and_why_from_what_was_last_read() -> None:
    async def story(stage: Stage) -> None:
        rollout = await stage.start("v2")
        await stage.until(rollout, lambda state: state.phase is Phase.PAUSED)
        await look(stage.journal)
        assert stage.journal.store.away is None
        store = away(stage)
        left = stage.journal.now
        store.is_away = True
        for _ in range(3):
            await stage.clock.sleep(20.0)
            with pytest.raises(StoreUnavailable):
                await look(stage.journal)
        known = await read_known(stage.journal, "pair")
        assert known.last.phase is Phase.PAUSED
        (alert,) = known.alerts
        assert stage.journal.store.away is not None
        assert timedelta(0) <= stage.journal.store.away.since - left <= timedelta(seconds=20)
        assert f"away since {stage.journal.store.away.since:%Y-%m-%d %H:%M:%S} UTC (40 s)" in alert
        assert "no answer" in alert
        store.is_away, store.is_full = False, True
        with pytest.raises(StoreUnavailable):
            await look(stage.journal)
        await stage.journal.rollout(rollout)
        assert stage.journal.store.away is not None, "a store that can be read only is not back"
        store.is_full = False
        await look(stage.journal)
        assert stage.journal.store.away is None
        assert (await read_known(stage.journal, "pair")).alerts == ()

    play(story, PAIR)


def test_the_log_says_once_that_the_store_is_away_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.clock.sleep(1.0)
        away(stage).is_away = True
        await stage.clock.sleep(600.0)
        away(stage).is_away = False
        await stage.clock.sleep(1.0)

    play(story)
    words = [record.getMessage() for record in caplog.records]
    assert [word for word in words if "the store fails: no answer" in word] == [
        "writing the store fails: no answer"
    ]
    assert len([word for word in words if "the store works again, after 600" in word]) == 1
