"""The tasks of a trial are scored beside the controller, each once, and only those."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from rolewise.coordinator import scoring
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.outcomes import is_sampled
from rolewise.coordinator.scoring import Scoring, scorer_problem
from rolewise.fleet.local.clock import run_virtual
from rolewise.fleet.local.runtime import LocalRuntime
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.scoring import at_once
from rolewise.fleet.task import TaskRecord, TaskRequest
from tests.support import scorers

TRIAL = "salt"


def signal(scorer: str, name: str = "quality", **more: object) -> Signal:
    return Signal(
        name=name, metric="score", score=name, scorer=f"tests.support.scorers:{scorer}", **more
    )


class Fleet:
    """A local fleet with the adder on trial, and its scoring."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime = runtime
        self.scoring = Scoring(runtime, aside=at_once, timeout_s=5.0)

    async def table(self, number: int, **trial: object) -> None:
        routes = (
            RoleRoute(role="entry", stable="v1"),
            RoleRoute(role="adder", stable="v1", **trial),
        )
        await self.runtime.install(RoutingTable(number=number, routes=routes), fencing=1)

    async def submit(self, first: int, last: int) -> None:
        for n in range(first, last):
            body = {"do": "add", "a": n, "b": 0} if n % 7 else {"do": "wrong"}
            await self.runtime.submit(TaskRequest(id=f"t{n}", body=body))

    async def closed(self, passes: int = 40) -> tuple[TaskRecord, ...]:
        """Look as a controller does, some times, and offer what it sees."""
        for _ in range(passes):
            closed = (await self.runtime.observe()).closed
            self.scoring.offer(closed)
            await asyncio.sleep(0.25)
        return (await self.runtime.observe()).closed


def play(story: Callable[[Fleet], Awaitable[None]]) -> None:
    async def main() -> None:
        runtime = LocalRuntime(entry=("entry",), seed=1)
        fleet = Fleet(runtime)
        for role, version in (("entry", "v1"), ("adder", "v1"), ("adder", "v2")):
            agent = f"tests.support.agents:{role.capitalize()}"
            definition = VersionDefinition(
                role=role, version=version, content_hash="", agent=agent, config={}, slots=64
            )
            await runtime.scale(definition, 1, fencing=1)
        await fleet.table(1)
        await fleet.submit(1, 5)
        await asyncio.sleep(1.0)
        await fleet.table(2, canary="v2", weight=50.0, salt=TRIAL)
        await story(fleet)
        await fleet.scoring.end()

    run_virtual(main())


def scores_of(records: tuple[TaskRecord, ...]) -> dict[str, float]:
    return {r.task: r.scores["quality"] for r in records if "quality" in r.scores}


def test_completed_tasks_of_the_trial_are_scored_each_once() -> None:
    scorers.asked.clear()

    async def story(fleet: Fleet) -> None:
        fleet.scoring.begin([signal("noting")], salt=TRIAL)
        await fleet.submit(5, 40)
        closed = await fleet.closed()
        wanted = {f"t{n}" for n in range(5, 40) if n % 7}
        assert scores_of(closed) == dict.fromkeys(wanted, 1.0)
        assert sorted(scorers.asked) == sorted(wanted)

    play(story)


def test_only_the_sample_is_scored_and_the_judge_waits_for_no_more() -> None:
    async def story(fleet: Fleet) -> None:
        half = signal("patient", sample=0.5)
        fleet.scoring.begin([half], salt=TRIAL)
        await fleet.submit(5, 10)
        closed = await fleet.closed()
        wanted = {f"t{n}": n / 10 for n in range(5, 10) if n % 7 and is_sampled(half, f"t{n}")}
        assert scores_of(closed) == wanted
        assert 0 < len(wanted) < 4
        judge = Judge(Analysis(signals=(half,)), role="adder", salt=TRIAL)
        judge.feed(closed)
        assert judge.last_number == len(closed)

    play(story)


def test_what_cannot_be_scored_is_nan_in_the_account() -> None:
    async def story(fleet: Fleet) -> None:
        fleet.scoring.begin([signal("raising"), signal("hanging", "late")], salt=TRIAL)
        await fleet.submit(5, 13)
        closed = await fleet.closed(80)
        scores = scores_of(closed)
        assert {task: s for task, s in scores.items() if not math.isnan(s)} == dict.fromkeys(
            ("t6", "t8", "t10", "t12"), 0.5
        )
        assert {task for task, s in scores.items() if math.isnan(s)} == {"t5", "t9", "t11"}
        late = [r.scores["late"] for r in closed if "late" in r.scores]
        assert len(late) == 7
        assert all(math.isnan(s) for s in late)

    play(story)


def test_a_scorer_that_does_not_load_holds_nothing_back() -> None:
    async def story(fleet: Fleet) -> None:
        fleet.scoring.begin([signal("gone")], salt=TRIAL)
        await fleet.submit(5, 7)
        scores = scores_of(await fleet.closed(12))
        assert set(scores) == {"t5", "t6"}
        assert all(math.isnan(s) for s in scores.values())

    play(story)


def test_a_fleet_that_is_away_for_a_while_loses_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(fleet: Fleet) -> None:
        answers = iter([OSError("the gateway restarts")] * 3)
        write = fleet.runtime.score

        async def away(task: str, name: str, value: float) -> bool:
            if (error := next(answers, None)) is not None:
                raise error
            return await write(task, name, value)

        monkeypatch.setattr(fleet.runtime, "score", away)
        fleet.scoring.begin([signal("length")], salt=TRIAL)
        await fleet.submit(5, 7)
        assert scores_of(await fleet.closed(12)) == {"t5": 0.5, "t6": 0.6}

    play(story)


def test_no_more_run_or_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "WAITING_MAX", 3)

    async def story(fleet: Fleet) -> None:
        began = asyncio.get_running_loop().time()
        fleet.scoring = Scoring(fleet.runtime, aside=at_once, tasks_at_once=2)
        fleet.scoring.begin([signal("patient")], salt=TRIAL)
        await fleet.submit(1, 1)
        for n in range(1, 10):
            await fleet.runtime.submit(TaskRequest(id=f"u{n}", body={"do": "add", "a": n, "b": 0}))
        while len(scores_of(await fleet.closed(1))) < 9:
            assert len(fleet.scoring._running) <= 2
            assert len(fleet.scoring._waiting) <= 3
        # Nine calls of a second each, two at a time.
        assert asyncio.get_running_loop().time() - began >= 4.5

    play(story)


def test_another_trial_and_the_end_let_go_of_what_is_not_scored_yet() -> None:
    async def story(fleet: Fleet) -> None:
        fleet.scoring.begin([signal("hanging")], salt=TRIAL)
        await fleet.submit(5, 7)
        await fleet.closed(8)
        fleet.scoring.begin([signal("length")], salt="another")
        assert scores_of(await fleet.closed(40)) == {}
        fleet.scoring.begin([signal("length")], salt=TRIAL)
        fleet.scoring.begin([signal("length")], salt=TRIAL)  # the same again changes nothing
        assert scores_of(await fleet.closed(8)) == {"t5": 0.5, "t6": 0.6}
        await fleet.scoring.end()
        assert not [one for one in asyncio.all_tasks() if "_score" in str(one.get_coro())]
        await fleet.submit(8, 10)
        assert set(scores_of(await fleet.closed(8))) == {"t5", "t6"}

    play(story)


def test_a_scorer_is_tried_before_a_plan() -> None:
    assert scorer_problem("tests.support.scorers:length") is None
    assert "does not import" in (scorer_problem("tests.support.scorers:gone") or "")
