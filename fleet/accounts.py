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

from rolewise.fleet.limits import RESULTS_KEPT_S
from rolewise.fleet.messenger import Envelope
from rolewise.fleet.runtime import TaskCounts, TaskExpired
from rolewise.fleet.task import Outcome, TaskRecord, task_key

TASKS_AT_ONCE = 5000
"""Accounts that are given out in one answer."""

TASKS_KEPT = 50_000
"""Ended tasks whose account can still be read; older ones stay in the counts only."""

BODIES_KEPT = 20_000
"""Tasks whose body is still there for a scorer; bodies may be large."""

ENDS = (Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT)


@dataclass(slots=True)
class Account:
    """One task's account while it is kept.

    Attributes:
        began_s: Moment of its submission on the clock that its latency is measured with.
        accepted: Set when the task is; None when there is nothing to wait for.
        ended_at: The fleet's clock.
        breach: Which hard limit the task has broken; it is ended for it.
        carrying: What waits for the answer to its first message, while it does.
    """

    record: TaskRecord
    envelope: Envelope
    began_s: float
    body: Any = None
    has_body: bool = True
    accepted: asyncio.Event | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0
    breach: str = ""
    carrying: asyncio.Task[None] | None = None

    def seen_at(self, settled: float) -> TaskRecord:
        """Return the record; if it ended later than that, as running, but with its latency."""
        if not self.ended.is_set() or self.ended_at <= settled:
            return self.record
        return replace(self.record, outcome=Outcome.RUNNING, result=None, error="")


class Accounts:
    """All accounts of one gateway.

    Args:
        results_kept_s: How long after its end a task's result can be read.
    """

    def __init__(self, *, results_kept_s: float = RESULTS_KEPT_S) -> None:
        self._results_kept_s = results_kept_s
        self._by_number: OrderedDict[int, Account] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._numbers_by_key: dict[int, int] = {}
        self._running: dict[int, Account] = {}
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
    def running(self) -> Iterator[Account]:
        """The accounts of tasks that run."""
        return iter(self._running.values())

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
        number = account.record.number
        self._running[number] = account
        self._shown = max(self._shown, number)
        if account.accepted is not None:
            account.accepted.set()
            account.accepted = None
        self._forget_body(number - BODIES_KEPT)

    def end(self, account: Account, record: TaskRecord, at_s: float) -> tuple[int, ...]:
        """Note how a task ended; return the numbers of those that are forgotten for it."""
        account.record = record
        account.carrying = None
        account.ended_at = at_s
        account.ended.set()
        del self._running[record.number]
        self._ended[record.outcome] += 1
        self._sweep(at_s)
        return tuple(self._forget())

    def restore(self, account: Account) -> None:
        """Enter a task that a former life of the gateway has ended."""
        self.enter(account)
        account.ended.set()
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
        if account.ended.is_set() and now_s - account.ended_at > self._results_kept_s:
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
            if not account.ended.is_set() or now_s - account.ended_at <= self._results_kept_s:
                break
            account.record = replace(account.record, result=None)
            self._swept = at
            at += 1

    def _forget(self) -> Iterator[int]:
        while len(self._by_number) > TASKS_KEPT:
            number, account = next(iter(self._by_number.items()))
            if not account.ended.is_set():
                return
            del self._by_number[number]
            self._numbers.pop(account.record.task, None)
            self._numbers_by_key.pop(task_key(account.record.task), None)
            yield number
