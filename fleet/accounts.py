"""The accounts of a fleet's tasks: who has which number, who still runs, whose result waits.

Plain bookkeeping of one process. Numbers rise without gaps, in the order in which tasks were
accepted, because the judge reads them in that order.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from rolewise.fleet.limits import RESULTS_KEPT_S, TASKS_KEPT
from rolewise.fleet.messenger import Envelope
from rolewise.fleet.runtime import TaskCounts, TaskExpired
from rolewise.fleet.task import Outcome, TaskRecord, task_key

TASKS_AT_ONCE = 5000
"""Accounts that are given out in one answer."""

BODIES_KEPT = 20_000
"""Tasks whose body is still there for a scorer; bodies may be large."""

ENDS = (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)


@dataclass(slots=True)
class Account:
    """One task's account while it is kept. Of those that have ended there are many.

    Attributes:
        retry_of: The task that it tries again; empty for a first attempt.
        ended_at: The fleet's clock.
        breach: Which hard limit the task has broken; it is ended for it, its events too.
        live: What it has until it ends; None from then on.
    """

    record: TaskRecord
    live: Live | None
    retry_of: str = ""
    body: Any = None
    has_body: bool = True
    ended_at: float = 0.0
    breach: str = ""

    def seen_at(self, settled: float) -> TaskRecord:
        """Return the record; if it ended later than that, as running, but with its latency."""
        if self.live is not None or self.ended_at <= settled:
            return self.record
        return replace(self.record, outcome=Outcome.RUNNING, result=None, error="")


@dataclass(slots=True)
class Live:
    """What a task has until it ends.

    Attributes:
        envelope: What its first message has in common with all others.
        began_s: Moment of its submission on the clock that its latency is measured with.
        accepted: Set when the task is; None when there is nothing to wait for.
        ended: Set when it has.
        carrying: What waits for the answer to its first message, while it does.
    """

    envelope: Envelope
    began_s: float
    accepted: asyncio.Event | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    carrying: asyncio.Task[None] | None = None


class Accounts:
    """All accounts of one gateway.

    Args:
        results_kept_s: How long after its end a task's result can be read.
        tasks_kept: Of how many tasks there is an account; older ones that have ended stay in the
            counts only.
    """

    def __init__(
        self, *, results_kept_s: float = RESULTS_KEPT_S, tasks_kept: int = TASKS_KEPT
    ) -> None:
        self._results_kept_s = results_kept_s
        self._tasks_kept = tasks_kept
        self._by_number: OrderedDict[int, Account] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._numbers_by_key: dict[int, int] = {}
        self._running: dict[int, Live] = {}
        self._given = 0
        self._shown = 0
        self._swept = 0
        self._ended = dict.fromkeys(ENDS, 0)

    @property
    def counts(self) -> TaskCounts:
        """The account of all tasks ever accepted."""
        return TaskCounts(
            submitted=self._shown,
            running=len(self._running),
            completed=self._ended[Outcome.COMPLETED],
            failed=self._ended[Outcome.FAILED],
            timed_out=self._ended[Outcome.TIMED_OUT],
        )

    @property
    def in_flight(self) -> int:
        """Tasks that run or are just being accepted."""
        return len(self._running) + self._given - self._shown

    @property
    def running(self) -> Iterator[tuple[Account, Live]]:
        """The accounts of tasks that run."""
        return ((self._by_number[number], live) for number, live in self._running.items())

    def next_number(self) -> int:
        """Return the number for the next task."""
        self._given += 1
        return self._given

    def enter(self, account: Account) -> None:
        """Note a task that is being accepted; nobody is shown it yet."""
        record = account.record
        self._by_number[record.number] = account
        self._numbers[record.task] = record.number
        self._numbers_by_key[task_key(record.task)] = record.number

    def begin(self, account: Account) -> None:
        """Show a task that was accepted, as running. In the order of their numbers."""
        number, live = account.record.number, account.live
        if live is None:
            raise ValueError(f"task {account.record.task!r} has ended already")
        self._running[number] = live
        self._shown = max(self._shown, number)
        if live.accepted is not None:
            live.accepted.set()
            live.accepted = None
        self._forget_body(number - BODIES_KEPT)

    def end(self, account: Account, record: TaskRecord, at_s: float) -> tuple[int, ...]:
        """Note how a task ended; return the numbers of those that are forgotten for it."""
        account.record = record
        account.ended_at = at_s
        account.live = None
        self._running.pop(record.number).ended.set()
        self._ended[record.outcome] += 1
        self._sweep(at_s)
        return tuple(self._forget())

    def restore(self, account: Account) -> None:
        """Enter a task that a former life of the gateway has ended."""
        self.enter(account)
        account.live = None
        self._forget_body(account.record.number - BODIES_KEPT)

    def go_on_from(self, number: int, ended: dict[Outcome, int]) -> None:
        """Continue the counts of a former life: tasks accepted, and how those that ended did."""
        self._given = self._shown = max(self._given, number)
        self._ended |= ended

    def find(self, task: str) -> Account | None:
        """Return the account of a task by its id."""
        return self._by_number.get(self._numbers.get(task, 0))

    def find_key(self, key: int) -> Account | None:
        """Return the account of a task by the number that stands for its id in records."""
        return self._by_number.get(self._numbers_by_key.get(key, 0))

    def check_waiting(self, account: Account, now_s: float) -> None:
        """Refuse to give out a result that has waited for too long.

        Raises:
            TaskExpired: It has.
        """
        if account.live is None and now_s - account.ended_at > self._results_kept_s:
            outcome, kept_s = account.record.outcome, self._results_kept_s
            raise TaskExpired(
                f"task {account.record.task!r} has {outcome.value.replace('_', ' ')}; "
                f"its result was kept for {kept_s:g} s and has expired"
            )

    def since(self, cursor: int, settled: float) -> tuple[TaskRecord, ...]:
        """Return the tasks behind a number, without gaps, `TASKS_AT_ONCE` at most."""
        first = max(cursor + 1, next(iter(self._by_number), 1))
        last = min(self._shown, first + TASKS_AT_ONCE - 1)
        return tuple(self._by_number[number].seen_at(settled) for number in range(first, last + 1))

    def _forget_body(self, number: int) -> None:
        account = self._by_number.get(number)
        if account is not None:
            account.body, account.has_body = None, False

    def _sweep(self, now_s: float) -> None:
        """Let go of results that nobody may read any more."""
        at = max(self._swept + 1, next(iter(self._by_number), 1))
        while (account := self._by_number.get(at)) is not None:
            if account.live is not None or now_s - account.ended_at <= self._results_kept_s:
                break
            account.record = replace(account.record, result=None)
            self._swept = at
            at += 1

    def _forget(self) -> Iterator[int]:
        while len(self._by_number) > self._tasks_kept:
            number, account = next(iter(self._by_number.items()))
            if account.live is not None:
                return
            del self._by_number[number]
            self._numbers.pop(account.record.task, None)
            self._numbers_by_key.pop(task_key(account.record.task), None)
            yield number
