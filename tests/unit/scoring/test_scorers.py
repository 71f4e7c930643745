"""Loading and asking a scorer: whatever it does, there is a score or a reason."""

import asyncio
import math
import threading

import pytest

from rolewise.fleet import scoring
from rolewise.fleet.scoring import InThreads, ScorerError, at_once, load_scorer, score_task
from rolewise.fleet.task import Outcome, TaskRecord

SCORERS = "tests.support.scorers"
RECORD = TaskRecord(
    task="t", number=1, table=1, outcome=Outcome.COMPLETED, result=7, body={"a": 3}, has_body=True
)


async def ask(name: str, timeout_s: float = 5.0) -> scoring.Scored:
    scorer = load_scorer(f"{SCORERS}:{name}")
    return await score_task(scorer, RECORD, timeout_s=timeout_s, aside=at_once)


@pytest.mark.parametrize(
    ("name", "value"), [("length", 0.7), ("careful", 0.25), ("noting", 1.0), ("patient", 0.3)]
)
async def test_a_scorer_may_be_a_function_async_or_an_object(name: str, value: float) -> None:
    assert (await ask(name)).value == value


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("raising", "ValueError: I cannot judge odd ones"),
        ("nonsense", "answered 'about 7': want a number from 0 to 1"),
        ("too_good", "answered 1.5: want a number from 0 to 1"),
        ("hanging", "no answer within 0.05 s"),
    ],
)
async def test_a_scorer_that_fails_gives_a_reason_and_no_score(name: str, problem: str) -> None:
    scored = await ask(name, timeout_s=0.05)
    assert math.isnan(scored.value)
    assert scored.problem == problem


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (f"{SCORERS}:missing", "does not import: AttributeError"),
        ("tests.nowhere:x", "does not import: ModuleNotFoundError"),
        (f"{SCORERS}:a_number", "is a int: want a function of a task's record"),
        (f"{SCORERS}:Careful", "is a type: want a function of a task's record"),
        ("tests.unit.scoring.test_scorers:ask_two", "does not take one argument"),
    ],
)
def test_what_is_no_scorer_is_refused_in_words(path: str, problem: str) -> None:
    with pytest.raises(ScorerError, match=problem):
        load_scorer(path)


def ask_two(task: TaskRecord, other: TaskRecord) -> float:
    return 1.0


async def test_a_scorer_in_a_thread_leaves_the_loop_free_and_what_it_raises_comes_back() -> None:
    aside = InThreads()
    scored = await score_task(
        load_scorer(f"{SCORERS}:threaded"), RECORD, timeout_s=30.0, aside=aside
    )
    assert scored.value == 1.0
    failed = await score_task(
        load_scorer(f"{SCORERS}:raising"), RECORD, timeout_s=30.0, aside=aside
    )
    assert "odd ones" in failed.problem


async def test_threads_that_never_return_are_counted_and_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "HANGING_MAX", 2)
    aside, gate = InThreads(), threading.Event()

    def waits(task: TaskRecord) -> float:
        gate.wait()
        return 1.0

    for _ in range(2):
        late = await score_task(waits, RECORD, timeout_s=0.05, aside=aside)
        assert late.problem == "no answer within 0.05 s"
    refused = await score_task(waits, RECORD, timeout_s=0.05, aside=aside)
    assert "2 earlier calls never returned" in refused.problem
    gate.set()
    async with asyncio.timeout(30.0):
        while (await score_task(waits, RECORD, timeout_s=5.0, aside=aside)).problem:
            await asyncio.sleep(0)
