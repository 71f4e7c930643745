"""Where work enters the fleet, and where the account of every task is kept.

Each accepted task ends in exactly one of completed, failed and timed out. Its arm is drawn at the
moment of submission and never again, and tasks are given out to the judge in the order in which
they were submitted, also those that still run. (In order of arrival, slow failures would hide
behind fast ones.)

With a ledger, that a task was accepted is written down before its submitter is told, and how it
ended before anybody is; so a gateway that dies is followed by one that knows. It begins again what
may safely be begun again, and ends the rest as failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from math import isfinite, isnan
from typing import Any, Final, Protocol

from rolewise.agents.errors import AgentError, LoopGuard, NoReplica, Overloaded
from rolewise.agents.message import OUTSIDE
from rolewise.fleet.accounts import ENDS, Account, Accounts, Live
from rolewise.fleet.ledger import KeptTask, Ledger
from rolewise.fleet.limits import RESULTS_KEPT_S, TASKS_IN_FLIGHT, TASKS_KEPT
from rolewise.fleet.messenger import Envelope, Messenger
from rolewise.fleet.routing.assign import assignments
from rolewise.fleet.runtime import TaskCounts
from rolewise.fleet.task import Outcome, TaskRecord, TaskRequest, task_key
from rolewise.graphs.interactions import Arm

GUARD_S = 1.0
"""How often tasks that work without end are looked for."""
GUARD_LINGERS_S = 30.0
"""How long after the last task's end: its events may go on."""
GATEWAY_LOST: Final = "gateway_lost"
"""Code of a task that died with the gateway which carried it, and its outside cause."""


class TaskGuard(Protocol):
    """Finds and ends tasks that work without end."""

    async def find(self) -> Mapping[int, str]:
        """Return the tasks that broke a hard limit: key of the task -> which, in words."""
        ...

    async def end(self, task: str) -> None:
        """End a task's messages at every replica, and have further ones refused."""
        ...


class Gateway:
    """Submits tasks to the fleet's entry roles and keeps their accounts.

    Args:
        messenger: Sends the first message of each task.
        entry: Entry roles; the first is the default.
        tasks_in_flight: More are refused with `Overloaded`.
        settle_s: Seconds after a task's end until it counts as closed: by then the telemetry
            of its last messages has arrived.
        guard: What finds tasks that work without end, and ends their messages everywhere.
        ledger: What outlives this process; None: nothing does. Call `recover` first.
        results_kept_s: How long after its end a task's result can be read.
        tasks_kept: Of how many tasks there is an account.
        clock: The fleet's clock; it goes on from one life of the gateway to the next.
        time_of_day: For what is written down.
    """

    def __init__(
        self,
        *,
        messenger: Messenger,
        entry: tuple[str, ...],
        tasks_in_flight: int = TASKS_IN_FLIGHT,
        settle_s: float = 1.0,
        guard: TaskGuard | None = None,
        ledger: Ledger | None = None,
        results_kept_s: float = RESULTS_KEPT_S,
        tasks_kept: int = TASKS_KEPT,
        clock: Callable[[], float],
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        self._guard = guard
        self._guarding: asyncio.Task[None] | None = None
        self._messenger = messenger
        self._entry = entry
        self._limit = tasks_in_flight
        self._settle_s = settle_s
        self._ledger = ledger
        self._clock = clock
        self._time_of_day = time_of_day
        self._accounts = Accounts(results_kept_s=results_kept_s, tasks_kept=tasks_kept)
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def counts(self) -> TaskCounts:
        """The account of all tasks ever submitted."""
        return self._accounts.counts

    @property
    def now_s(self) -> float:
        """The fleet's clock."""
        return self._clock()

    async def recover(self) -> None:
        """Take over the tasks of a former life; call it once, before anything else.

        What had not ended is begun again where its role is idempotent, its body was kept and it
        has time left. All else fails as `gateway_lost`.
        """
        if self._ledger is None:
            return
        kept = await self._ledger.recover()
        ended = {outcome: getattr(kept.counts, outcome.value) for outcome in ENDS}
        self._accounts.go_on_from(max(kept.tasks, default=0), ended)
        offset = self._clock() - self._time_of_day()
        ends = []
        for number in sorted(kept.tasks):
            task = kept.tasks[number]
            started_s = task.record.started_s + offset
            record = replace(task.record, started_s=started_s)
            began_s = self._messenger.now() - (self._clock() - started_s)
            live = Live(self._envelope(task.request, record), began_s)
            account = Account(record, live, task.request.retry_of)
            if record.outcome is Outcome.RUNNING:
                ends += self._take_over(task, account, live)
            else:
                account.ended_at = task.ended_at + offset
                self._accounts.restore(account)
        await asyncio.gather(*ends)

    def stop(self) -> None:
        """Die, as a process does: nothing that was under way goes on."""
        for task in (*self._handlers, *((self._guarding,) if self._guarding else ())):
            task.cancel()
        if self._ledger is not None:
            self._ledger.stop()

    async def submit(self, request: TaskRequest) -> None:
        """Accept a task and start it; an id that is known already changes nothing.

        Raises:
            NoReplica: The role is no entry role.
            Overloaded: Too many tasks run.
        """
        if (known := self._accounts.find(request.id)) is not None:
            if known.live is not None and known.live.accepted is not None:
                await known.live.accepted.wait()
            return
        role = request.role or self._entry[0]
        if role not in self._entry:
            raise NoReplica(f"role {role!r} is no entry role: want one of {list(self._entry)}")
        if (many := self._accounts.in_flight) >= self._limit:
            raise Overloaded(f"{many} tasks are in flight; the limit is {self._limit}")
        request = replace(request, role=role, retry_of=self._first_attempt(request))
        record = self._first_record(request)
        live = Live(self._envelope(request, record), self._messenger.now())
        account = Account(record, live, request.retry_of, request.body)
        self._accounts.enter(account)
        if self._ledger is not None:
            live.accepted = asyncio.Event()
            is_repeatable = self._messenger.router.is_idempotent(role)
            at = self._time_of_day()
            await self._ledger.opened(request, record, at=at, with_body=is_repeatable)
        self._accounts.begin(account)
        self._start(request, account, live)

    async def result(self, task: str, wait_s: float) -> TaskRecord | None:
        """Return a task's account, waiting up to `wait_s` for its end.

        Raises:
            TaskExpired: It has ended, but its result is not kept any more.
        """
        account = self._accounts.find(task)
        if account is None:
            return None
        if wait_s > 0 and account.live is not None:
            try:
                async with asyncio.timeout(wait_s):
                    await account.live.ended.wait()
            except TimeoutError:
                pass
        self._accounts.check_waiting(account, self._clock())
        return replace(account.record, body=account.body, has_body=account.has_body)

    async def score(self, task: str, name: str, value: float) -> bool:
        """Write a score into a task's account; see `Runtime.score`."""
        if not (isnan(value) or 0.0 <= value <= 1.0):
            raise ValueError(f"score {name!r} of task {task!r} = {value}: want 0 to 1, or NaN")
        account = self._accounts.find(task)
        if account is None:
            return False
        record = account.record
        if name not in record.scores:
            account.record = replace(record, scores={**record.scores, name: value})
            if self._ledger is not None:
                await self._ledger.scored(record.number, name, value)
        return True

    def tasks_since(self, cursor: int) -> tuple[TaskRecord, ...]:
        """Return the tasks behind number `cursor`, without gaps, in order; 5,000 at most.

        One that has ended but not settled is given as running still.
        """
        return self._accounts.since(cursor, self._clock() - self._settle_s)

    def in_need_of(self, role: str, version: str) -> int:
        """Return how many running tasks would meet this version of the role."""
        router = self._messenger.router
        return sum(
            1
            for account, live in self._accounts.running
            if router.version_for(role, live.envelope, account.record.table) == version
        )

    def _take_over(
        self, task: KeptTask, account: Account, live: Live
    ) -> list[Coroutine[Any, Any, None]]:
        """Begin a task of a former life again, or return what ends it."""
        request, record = task.request, account.record
        self._accounts.enter(account)
        self._accounts.begin(account)
        left_s = record.started_s + request.timeout_s - self._clock()
        why = ""
        if not self._messenger.router.is_idempotent(request.role):
            why = f"role {request.role} is not idempotent, so it was not begun again"
        elif not task.has_body:
            why = "its body was not kept, so it could not be begun again"
        elif left_s <= 0:
            why = "no time was left to begin it again"
        if not why:
            account.body = request.body
            request = replace(request, timeout_s=left_s)
            live.envelope = replace(live.envelope, deadline=self._deadline(_limit(request)))
            self._start(request, account, live)
            return []
        account.has_body = False
        return [
            self._end(
                account,
                live,
                outcome=Outcome.TIMED_OUT if left_s <= 0 else Outcome.FAILED,
                error=f"{GATEWAY_LOST}: the gateway that carried it died; {why}",
                outside_cause=GATEWAY_LOST,
            )
        ]

    def _start(self, request: TaskRequest, account: Account, live: Live) -> None:
        loop = asyncio.get_running_loop()
        handler = loop.create_task(self._carry(request, account, live))
        live.carrying = handler
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        if self._guard is not None and (self._guarding is None or self._guarding.done()):
            self._guarding = loop.create_task(self._keep_guard(self._guard))

    async def _keep_guard(self, guard: TaskGuard) -> None:
        """Look for tasks that work without end: as long as any runs, and events may go on."""
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while self._accounts.in_flight or loop.time() < idle_since + GUARD_LINGERS_S:
            await asyncio.sleep(GUARD_S)
            for key, breach in (await guard.find()).items():
                account = self._accounts.find_key(key)
                if account is not None and not account.breach:
                    account.breach = breach
                    if account.live is not None and account.live.carrying is not None:
                        account.live.carrying.cancel()
                    await guard.end(account.record.task)
            idle_since = loop.time() if self._accounts.in_flight else idle_since

    async def _carry(self, request: TaskRequest, account: Account, live: Live) -> None:
        outcome, result, error = Outcome.FAILED, None, ""
        try:
            result = await self._messenger.ask(
                live.envelope,
                request.role,
                request.body,
                kind=request.kind,
                timeout_s=_limit(request),
            )
            outcome = Outcome.COMPLETED
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
        live.carrying = None  # from here on nobody may cancel it
        await self._end(account, live, outcome=outcome, result=result, error=error)

    async def _end(
        self,
        account: Account,
        live: Live,
        *,
        outcome: Outcome,
        error: str,
        result: Any = None,
        outside_cause: str = "",
    ) -> None:
        fields: dict[str, Any] = {
            "outcome": outcome,
            "result": result,
            "error": error,
            "latency_s": self._messenger.now() - live.began_s,
            "outside_cause": outside_cause,
        }
        if self._ledger is not None:
            record = replace(account.record, **fields)
            await self._ledger.ended(record, at=self._time_of_day())
        # A score may have come meanwhile.
        record = replace(account.record, **fields)
        forgotten = self._accounts.end(account, record, self._clock())
        if self._ledger is not None:
            self._ledger.forget(forgotten)

    def _first_record(self, request: TaskRequest) -> TaskRecord:
        table = self._messenger.router.table
        return TaskRecord(
            task=request.id,
            number=self._accounts.next_number(),
            table=table.number,
            assignments=assignments(table, self._addressed(request, table.number)),
            started_s=self._clock(),
        )

    def _envelope(self, request: TaskRequest, record: TaskRecord) -> Envelope:
        return replace(
            self._addressed(request, record.table),
            arm=_arm(record),
            deadline=self._deadline(_limit(request)),
        )

    def _addressed(self, request: TaskRequest, table: int) -> Envelope:
        return Envelope(
            sender=OUTSIDE,
            task=request.id,
            task_key=task_key(request.id),
            conversation=request.conversation or request.id,
            attributes=request.attributes,
            table=table,
            traceparent=_traceparent(request.id),
            retry_of=request.retry_of,
        )

    @staticmethod
    def _deadline(limit_s: float | None) -> float | None:
        return None if limit_s is None else asyncio.get_running_loop().time() + limit_s

    def _first_attempt(self, request: TaskRequest) -> str:
        """Return the task that this one tries again: the first of the chain, as far as known."""
        if request.retry_of in {"", request.id}:
            return ""
        account = self._accounts.find(request.retry_of)
        before = "" if account is None else account.retry_of
        return before or request.retry_of


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
