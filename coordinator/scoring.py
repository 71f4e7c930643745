"""Has the tasks of a trial scored: those that have ended, by the scorers that its signals name.

It runs beside the controller and holds no message up. What it found is written into the fleet's
accounts, where the judge reads it like every other outcome; so it survives this process, and the
next controller scores only what has no score yet. A task that cannot be scored gets NaN: the judge
then waits for it no longer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.outcomes import is_sampled
from rolewise.fleet.runtime import Runtime
from rolewise.fleet.scoring import (
    Aside,
    InThreads,
    Scored,
    Scorer,
    ScorerError,
    load_scorer,
    score_task,
)
from rolewise.fleet.task import Outcome, TaskRecord

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
AT_ONCE = 8
WAITING_MAX = 1000
"""Tasks that wait for a scorer; what does not fit is offered again by the next pass."""

TAKEN_KEPT = 20_000


@dataclass(slots=True)
class _Examiner:
    """One scorer of the trial; `fault` says why it cannot be asked."""

    signal: Signal
    scorer: Scorer | None
    fault: str = ""
    is_told: bool = False
    """Its first failure has been logged; the others would all look like it."""


class Scoring:
    """Scores the tasks of one trial at a time. All calls come from one event loop.

    Args:
        runtime: The fleet.
        aside: How scorers that are not async are called; `at_once` in virtual time.
        timeout_s: For one task; later it counts as not scored.
        tasks_at_once: Calls of scorers under way at a time.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        aside: Aside | None = None,
        timeout_s: float = TIMEOUT_S,
        tasks_at_once: int = AT_ONCE,
    ) -> None:
        self._runtime = runtime
        self._aside = aside or InThreads()
        self._timeout_s = timeout_s
        self._at_once = tasks_at_once
        self._trial: tuple[tuple[Signal, ...], str] = ((), "")
        self._examiners: tuple[_Examiner, ...] = ()
        self._waiting: deque[tuple[str, _Examiner]] = deque()
        self._taken: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()
        self._is_away = False

    def begin(self, signals: Sequence[Signal], *, salt: str) -> None:
        """Score the tasks of this trial from now on, and those of no other.

        Doing it again for the same trial changes nothing.

        Args:
            signals: Of its analysis; those without a scorer do not count.
            salt: Its cohort.
        """
        wanted = tuple(signal for signal in signals if signal.scorer)
        if self._trial == (wanted, salt):
            return
        self._let_go()
        self._trial = (wanted, salt)
        self._examiners = tuple(_examiner(signal) for signal in wanted)

    def offer(self, records: Sequence[TaskRecord]) -> None:
        """Take tasks in that ended and are to be scored; returns at once.

        Offering a task again is harmless, and needed: what does not fit is not remembered.
        """
        salt = self._trial[1]
        for examiner in self._examiners:
            signal = examiner.signal
            for record in records:
                if len(self._waiting) >= WAITING_MAX:
                    break
                key = (record.task, signal.score)
                if (
                    record.outcome is Outcome.COMPLETED
                    and signal.score not in record.scores
                    and key not in self._taken
                    and any(one.salt == salt for one in record.assignments)
                    and is_sampled(signal, record.task)
                ):
                    self._taken[key] = None
                    self._waiting.append((record.task, examiner))
        while len(self._taken) > TAKEN_KEPT:
            self._taken.popitem(last=False)
        self._go_on()

    async def end(self) -> None:
        """Score nothing more; returns when nothing runs. What is not scored yet stays so."""
        running = self._let_go()
        self._trial, self._examiners = ((), ""), ()
        await asyncio.gather(*running, return_exceptions=True)

    def _let_go(self) -> Sequence[asyncio.Task[None]]:
        running, self._running = list(self._running), set()
        self._waiting.clear()
        self._taken.clear()
        for task in running:
            task.cancel()
        return running

    def _go_on(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            task = asyncio.get_running_loop().create_task(self._score(*self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task in self._running:
            self._running.discard(task)
            self._go_on()

    async def _score(self, task: str, examiner: _Examiner) -> None:
        name = examiner.signal.score
        try:
            scored = await self._ask(task, examiner)
            await self._runtime.score(task, name, scored.value)
        except Exception as error:  # noqa: BLE001 (the fleet is away: the next offer tries again)
            if not self._is_away:
                log.warning("task %s could not be given its score %s: %s", task, name, error)
            self._is_away = True
            self._taken.pop((task, name), None)
            return
        self._is_away = False
        if isnan(scored.value) and not examiner.is_told:
            examiner.is_told = True
            log.warning(
                "scorer %s: task %s could not be scored: %s",
                examiner.signal.scorer,
                task,
                scored.problem,
            )

    async def _ask(self, task: str, examiner: _Examiner) -> Scored:
        if examiner.scorer is None:
            return Scored(problem=examiner.fault)
        record = await self._runtime.result(task)
        if record is None or not record.has_body:
            return Scored(problem="what the task was is not kept any more")
        return await score_task(
            examiner.scorer, record, timeout_s=self._timeout_s, aside=self._aside
        )


def scorer_problem(path: str) -> str | None:
    """Return why a scorer cannot be used here, or None."""
    try:
        load_scorer(path)
    except ScorerError as error:
        return str(error)
    return None


def _examiner(signal: Signal) -> _Examiner:
    try:
        return _Examiner(signal, load_scorer(signal.scorer))
    except ScorerError as error:
        log.warning("signal %s: %s: no task can be scored", signal.name, error)
        return _Examiner(signal, None, str(error), is_told=True)
