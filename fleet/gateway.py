"""Where work enters the fleet, and where the account of every task is kept.

Each accepted task ends in exactly one of completed, failed and timed out. Its arm is drawn at the
moment of submission and never again, and tasks are given out to the judge in the order in which
they were submitted, also those that still run. (In order of arrival, slow failures would hide
behind fast ones.)
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, isnan
from typing import Any, Protocol

from rolewise.agents.errors import AgentError, LoopGuard, NoReplica, Overloaded
from rolewise.agents.message import OUTSIDE
from rolewise.fleet.limits import TASKS_IN_FLIGHT
from rolewise.fleet.messenger import Envelope, Messenger
from rolewise.fleet.routing.assign import assignments
from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest, task_key
from rolewise.graphs.interactions import Arm

TASKS_AT_ONCE = 5000
"""Accounts that are given out in one answer."""

TASKS_KEPT = 50_000
"""Ended tasks whose account can still be read; older ones stay in the counts only."""

BODIES_KEPT = 20_000
"""Tasks whose body is still there for a scorer; bodies may be large."""


GUARD_S = 1.0
"""How often tasks that work without end are looked for."""
GUARD_LINGERS_S = 30.0
"""How long after the last task's end: its events may go on."""


class TaskGuard(Protocol):
    """Finds and ends tasks that work without end."""

    async def find(self) -> Mapping[int, str]:
        """Return the tasks that broke a hard limit: key of the task -> which, in words."""
        ...

    async def end(self, task: str) -> None:
        """End a task's messages at every replica, and have further ones refused."""
        ...


@dataclass(slots=True)
class _Account:
    """One task's account while it is kept.

    Attributes:
        ended_at: The loop's time.
        breach: Which hard limit the task has broken; it is ended for it.
        carrying: What waits for the answer to its first message, while it does.
    """

    record: TaskRecord
    envelope: Envelope
    body: Any = None
    has_body: bool = True
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    ended_at: float = 0.0
    breach: str = ""
    carrying: asyncio.Task[None] | None = None

    def seen_at(self, settled: float) -> TaskRecord:
        """Return the record; if it ended later than that, as running, but with its latency."""
        if not self.ended.is_set() or self.ended_at <= settled:
            return self.record
        return replace(self.record, outcome=Outcome.RUNNING, result=None, error="")


class Gateway:
    """Submits tasks to the fleet's entry roles and keeps their accounts.

    Args:
        messenger: Sends the first message of each task.
        entry: Entry roles; the first is the default.
        tasks_in_flight: More are refused with `Overloaded`.
        settle_s: Seconds after a task's end until it counts as closed: by then the telemetry
            of its last messages has arrived.
        guard: What finds tasks that work without end, and ends their messages everywhere.
    """

    def __init__(
        self,
        *,
        messenger: Messenger,
        entry: tuple[str, ...],
        tasks_in_flight: int = TASKS_IN_FLIGHT,
        settle_s: float = 1.0,
        guard: TaskGuard | None = None,
    ) -> None:
        self._guard = guard
        self._guarding: asyncio.Task[None] | None = None
        self._messenger = messenger
        self._entry = entry
        self._limit = tasks_in_flight
        self._settle_s = settle_s
        self._accounts: OrderedDict[int, _Account] = OrderedDict()
        self._numbers: dict[str, int] = {}
        self._numbers_by_key: dict[int, int] = {}
        self._open: dict[int, _Account] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._submitted = 0
        self._ended = dict.fromkeys((Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT), 0)

    @property
    def counts(self) -> TaskCounts:
        """The account of all tasks ever submitted."""
        return TaskCounts(
            submitted=self._submitted,
            running=len(self._open),
            completed=self._ended[Outcome.COMPLETED],
            failed=self._ended[Outcome.FAILED],
            timed_out=self._ended[Outcome.TIMED_OUT],
        )

    def submit(self, request: TaskRequest) -> None:
        """Accept a task and start it; an id that is known already changes nothing.

        Raises:
            NoReplica: The role is no entry role.
            Overloaded: Too many tasks run.
        """
        if request.id in self._numbers:
            return
        role = request.role or self._entry[0]
        if role not in self._entry:
            raise NoReplica(f"role {role!r} is no entry role: want one of {list(self._entry)}")
        if len(self._open) >= self._limit:
            raise Overloaded(f"{len(self._open)} tasks are in flight; the limit is {self._limit}")
        loop = asyncio.get_running_loop()
        table = self._messenger.router.table
        self._submitted += 1
        number = self._submitted
        limit_s = _limit(request)
        envelope = Envelope(
            sender=OUTSIDE,
            task=request.id,
            task_key=task_key(request.id),
            conversation=request.conversation or request.id,
            attributes=request.attributes,
            table=table.number,
            deadline=None if limit_s is None else loop.time() + limit_s,
            traceparent=_traceparent(request.id),
            retry_of=self._first_attempt(request),
        )
        record = TaskRecord(
            task=request.id,
            number=number,
            table=table.number,
            assignments=assignments(table, envelope),
            started_s=loop.time(),
        )
        account = _Account(record, replace(envelope, arm=_arm(record)), request.body)
        self._accounts[number] = account
        self._numbers[request.id] = number
        self._numbers_by_key[task_key(request.id)] = number
        self._open[number] = account
        self._forget_body(number - BODIES_KEPT)
        handler = loop.create_task(self._carry(request, role, account))
        account.carrying = handler
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        if self._guard is not None and (self._guarding is None or self._guarding.done()):
            self._guarding = loop.create_task(self._keep_guard(self._guard))

    async def result(self, task: str, wait_s: float) -> TaskRecord | None:
        """Return a task's account, waiting up to `wait_s` for its end."""
        account = self._accounts.get(self._numbers.get(task, 0))
        if account is None:
            return None
        if wait_s > 0 and not account.ended.is_set():
            try:
                async with asyncio.timeout(wait_s):
                    await account.ended.wait()
            except TimeoutError:
                pass
        return replace(account.record, body=account.body, has_body=account.has_body)

    def score(self, task: str, name: str, value: float) -> bool:
        """Write a score into a task's account; see `Runtime.score`."""
        if not (isnan(value) or 0.0 <= value <= 1.0):
            raise ValueError(f"score {name!r} of task {task!r} = {value}: want 0 to 1, or NaN")
        account = self._accounts.get(self._numbers.get(task, 0))
        if account is None:
            return False
        record = account.record
        if name not in record.scores:
            account.record = replace(record, scores={**record.scores, name: value})
        return True

    def tasks_since(self, cursor: int) -> tuple[TaskRecord, ...]:
        """Return the tasks behind number `cursor`, without gaps, in order, `TASKS_AT_ONCE` at most.

        One that has ended but not settled is given as running still.
        """
        settled = asyncio.get_running_loop().time() - self._settle_s
        first = max(cursor + 1, next(iter(self._accounts), 1))
        last = min(self._submitted, first + TASKS_AT_ONCE - 1)
        return tuple(self._accounts[number].seen_at(settled) for number in range(first, last + 1))

    def in_need_of(self, role: str, version: str) -> int:
        """Return how many running tasks would meet this version of the role."""
        router = self._messenger.router
        return sum(
            1
            for account in self._open.values()
            if router.version_for(role, account.envelope, account.record.table) == version
        )

    async def _keep_guard(self, guard: TaskGuard) -> None:
        """Look for tasks that work without end: as long as any runs, and events may go on."""
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while self._open or loop.time() < idle_since + GUARD_LINGERS_S:
            await asyncio.sleep(GUARD_S)
            for key, breach in (await guard.find()).items():
                account = self._accounts.get(self._numbers_by_key.get(key, 0))
                if account is not None and not account.breach:
                    account.breach = breach
                    if account.carrying is not None:
                        account.carrying.cancel()
                    await guard.end(account.record.task)
            idle_since = loop.time() if self._open else idle_since

    async def _carry(self, request: TaskRequest, role: str, account: _Account) -> None:
        loop = asyncio.get_running_loop()
        record, began = account.record, self._messenger.now()
        outcome, result, error = Outcome.FAILED, None, "cancelled: the gateway stopped"
        try:
            result = await self._messenger.ask(
                account.envelope,
                role,
                request.body,
                kind=request.kind,
                timeout_s=_limit(request),
            )
            outcome, error = Outcome.COMPLETED, ""
        except AgentError as failure:
            late = failure.code == "ask_timed_out"
            outcome = Outcome.TIMED_OUT if late else Outcome.FAILED
            error = f"{failure.code}: {failure}"
        except asyncio.CancelledError:
            if not account.breach:
                raise
            error = f"{LoopGuard.code}: {account.breach}"
        except Exception as failure:  # noqa: BLE001 (no fault of ours may lose a task)
            error = f"internal: {type(failure).__name__}: {failure}"
        finally:
            account.record = replace(
                account.record,
                outcome=outcome,
                result=result,
                error=error,
                latency_s=self._messenger.now() - began,
            )
            account.carrying = None
            account.ended_at = loop.time()
            account.ended.set()
            del self._open[record.number]
            self._ended[outcome] += 1
            self._forget()

    def _forget_body(self, number: int) -> None:
        account = self._accounts.get(number)
        if account is not None:
            account.body, account.has_body = None, False

    def _first_attempt(self, request: TaskRequest) -> str:
        """Return the task that this one tries again: the first of the chain, as far as known."""
        if request.retry_of in {"", request.id}:
            return ""
        account = self._accounts.get(self._numbers.get(request.retry_of, 0))
        before = "" if account is None else account.envelope.retry_of
        return before or request.retry_of

    def _forget(self) -> None:
        while len(self._accounts) > TASKS_KEPT:
            number, account = next(iter(self._accounts.items()))
            if not account.ended.is_set():
                return
            del self._accounts[number]
            self._numbers.pop(account.record.task, None)
            self._numbers_by_key.pop(task_key(account.record.task), None)


def _limit(request: TaskRequest) -> float | None:
    """Return a task's time; infinity is none: what waits for ever must be seen to."""
    return request.timeout_s if isfinite(request.timeout_s) else None


def _arm(record: TaskRecord) -> Arm:
    """Return the arm that a task's records bear: it meets a canary in any role, or in none."""
    arms = {assignment.arm for assignment in record.assignments}
    return Arm.CANARY if Arm.CANARY in arms else Arm.BASELINE if arms else Arm.NONE


def _traceparent(task: str) -> str:
    digest = hashlib.blake2b(task.encode(), digest_size=24).hexdigest()
    return f"00-{digest[:32]}-{digest[32:]}-01"
