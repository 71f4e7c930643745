"""Scorers: functions of a user that say how good a task's result is, from 0 to 1.

    def faithfulness(task: TaskRecord) -> float:
        return share_of_claims_that_are_in(task.body["document"], task.result["summary"])

A scorer gets the task's record with its body and result, and may be async (to ask a model). It is
not told the task's arm, so that it cannot favour one. It may fail, hang, or answer nonsense: then
the task could not be scored, which is no bad score. Who is scored is `coordinator/scoring.py`.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from math import nan
from typing import Any

from rolewise.fleet.task import TaskRecord

Scorer = Callable[[TaskRecord], Any]
"""Returns a number from 0 to 1, or something to await that gives one."""

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""How a scorer that is not async is called."""

HANGING_MAX = 16
"""Threads that scorers may hang in; from then on they are not called any more."""


class ScorerError(Exception):
    """An import path in a fleet's file does not lead to a scorer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A task's score.

    Attributes:
        value: 0 to 1; NaN when the task could not be scored.
        problem: Why not.
    """

    value: float = nan
    problem: str = ""


def load_scorer(path: str) -> Scorer:
    """Return the function that `path` ("package.module:name") names.

    Raises:
        ScorerError: It does not import, or cannot be called with a task's record.
    """
    module_name, _, attribute = path.partition(":")
    try:
        scorer: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            scorer = getattr(scorer, part)
    except Exception as error:
        # A module may raise anything when it is imported.
        raise ScorerError(
            f"scorer {path!r} does not import: {type(error).__name__}: {error}"
        ) from error
    if not callable(scorer) or inspect.isclass(scorer):
        raise ScorerError(
            f"scorer {path!r} is a {type(scorer).__name__}: want a function of a task's record"
        )
    with suppress(ValueError):  # some built-in functions do not tell what they take
        try:
            inspect.signature(scorer).bind(None)
        except TypeError as error:
            raise ScorerError(
                f"scorer {path!r} does not take one argument, a task's record: {error}"
            ) from error
    return scorer  # type: ignore[no-any-return]


async def score_task(
    scorer: Scorer, record: TaskRecord, *, timeout_s: float, aside: Aside
) -> Scored:
    """Ask a scorer about one task; whatever it does, the answer is a score or why there is none."""
    blind = replace(record, assignments=())
    try:
        async with asyncio.timeout(timeout_s):
            value = await _called(scorer, blind, aside)
    except TimeoutError:
        return Scored(problem=f"no answer within {timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 (a scorer may raise anything)
        return Scored(problem=f"{type(error).__name__}: {error}")
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = nan
    if not 0.0 <= score <= 1.0:
        return Scored(problem=f"answered {value!r}: want a number from 0 to 1")
    return Scored(value=score)


async def _called(scorer: Scorer, record: TaskRecord, aside: Aside) -> Any:
    is_async = any(inspect.iscoroutinefunction(one) for one in (scorer, type(scorer).__call__))
    answer = scorer(record) if is_async else await aside(lambda: scorer(record))
    return await answer if inspect.isawaitable(answer) else answer


async def at_once(call: Callable[[], Any]) -> Any:
    """Call it here and now: in virtual time, where a thread would come at any moment."""
    return call()


class InThreads:
    """Calls each in a thread of its own, which the process does not wait for when it ends.

    A thread cannot be stopped: one whose call never returns is left alone, and counted.
    """

    def __init__(self) -> None:
        self._hanging = 0

    async def __call__(self, call: Callable[[], Any]) -> Any:
        """Return what the call returns.

        Raises:
            RuntimeError: Too many calls have not returned in their time.
        """
        if self._hanging >= HANGING_MAX:
            raise RuntimeError(f"{self._hanging} earlier calls never returned")
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def run() -> None:
            answer, error = None, None
            try:
                answer = call()
            except BaseException as raised:  # noqa: BLE001 (it is raised where it is awaited)
                error = raised
            with suppress(RuntimeError):  # nobody waits any more: the loop has ended
                loop.call_soon_threadsafe(self._settle, ended, answer, error)

        threading.Thread(target=run, name="scorer", daemon=True).start()
        try:
            answer, error = await ended
        except asyncio.CancelledError:
            self._hanging += 1
            raise
        if error is not None:
            raise error
        return answer

    def _settle(
        self,
        ended: asyncio.Future[tuple[Any, BaseException | None]],
        answer: Any,
        error: BaseException | None,
    ) -> None:
        if ended.cancelled():
            self._hanging -= 1
        else:
            ended.set_result((answer, error))
