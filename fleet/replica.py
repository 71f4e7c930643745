"""One replica: takes messages at once, gives them slots in order, runs the agent, answers.

The replica itself takes the slot (not the machinery that carries messages), so that what waits
for what can be read at any moment: `snapshot` is the input of the deadlock detector.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rolewise.agents.agent import Agent, fit_body
from rolewise.agents.context import Memory
from rolewise.agents.errors import AgentError, Failure
from rolewise.agents.message import Address, Message, Reply
from rolewise.fleet.invocation import Invocation
from rolewise.fleet.locks import ReplicaLocks
from rolewise.fleet.messenger import Messenger
from rolewise.graphs.interactions import Happening
from rolewise.graphs.rounds import Round
from rolewise.graphs.snapshot_columns import read_round
from rolewise.graphs.snapshots import Ending, QueuedMessage, ReplicaSnapshot, RunningInvocation

RECENT = 4096
"""Messages finished here that are remembered: who still waits for one has lost its reply."""

_READS = 4
"""How often a snapshot is read again because something changed under it."""

ENDED_KEPT = 4096
"""Tasks that were ended early are remembered, so that what they had sent is not handled."""

_STARTED = Happening.STARTED  # members are slow to look up


@dataclass(slots=True)
class _Waiting:
    """A message in the queue; `turn` is set when it gets a slot."""

    message: Message
    since: float
    turn: asyncio.Future[None]

    def shown(self, now: float) -> QueuedMessage:
        """Return it as a snapshot shows it. It is queued once, so its epoch never changes."""
        message = self.message
        return QueuedMessage(
            id=message.id,
            epoch=0,
            task=message.task,
            caller=message.parent,
            since=max(0.0, now - self.since),
            arm=message.arm,
            kind=message.kind,
        )


class ReplicaCore:
    """What every runtime's replica does; free of threads, processes and wires.

    Args:
        address: Its name in the fleet.
        agent: The user's agent.
        slots: Messages that it handles at a time.
        queue_limit: Messages that may wait; a further one is refused with `overloaded`.
        config: The version's config, for `Context.config`.
        now: The event loop's time; it must be callable from any thread.
        life: Name of this life of it; tells waits and locks of two lives apart.
    """

    def __init__(
        self,
        *,
        address: Address,
        agent: Agent,
        slots: int,
        queue_limit: int,
        messenger: Messenger,
        memory: Memory,
        config: Mapping[str, Any] | None = None,
        now: Callable[[], float],
        life: str = "",
    ) -> None:
        self._now = now
        self._life = life
        self._born = now()
        self._beat: float | None = None
        self.locks = ReplicaLocks(life or str(address))
        self.address = address
        self.agent = agent
        self.slots = slots
        self.messenger = messenger
        self.memory = memory
        self.config: Mapping[str, Any] = config or {}
        self._queue_limit = queue_limit
        self._queue: deque[_Waiting] = deque()
        self._running: dict[int, Invocation] = {}
        self._handlers: dict[int, asyncio.Task[Any]] = {}
        self._reasons: dict[int, str] = {}
        self._events: set[asyncio.Task[Reply]] = set()
        self._tasks: dict[int, str] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._taken = 0
        self._begun = 0
        self._capacity_epoch = 0
        self._changes = 0
        self._recent: deque[tuple[int, Ending]] = deque(maxlen=RECENT)

    @property
    def running(self) -> int:
        """Invocations that hold a slot."""
        return len(self._running)

    def running_tasks(self) -> list[int]:
        """Return the keys of the tasks of the messages that hold a slot, one for each message."""
        return [invocation.task_key for invocation in self._running.values()]

    @property
    def queued(self) -> int:
        """Messages that wait for a slot."""
        return len(self._queue)

    @property
    def begun(self) -> int:
        """Messages that have got a slot so far."""
        return self._begun

    @property
    def lag_s(self) -> float:
        """How long the event loop of the handlers has stood still; callable from any thread."""
        return 0.0 if self._beat is None else max(0.0, self._now() - self._beat)

    async def handle(self, message: Message) -> Reply:
        """Handle one request and return its reply; failures are replies too.

        Runs in the caller's asyncio task; `withdraw` ends it early.
        """
        reply = await self._handled(message)
        ending = Ending.REPLIED if reply.failure is None else Ending.FAILED
        self._recent.append((message.id, ending))
        return reply

    async def _handled(self, message: Message) -> Reply:
        if refused := self._refusal(message):
            return refused
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        deadline = None if message.timeout_s is None else arrived + message.timeout_s
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._handlers[message.id] = task
        self._tasks[message.id] = message.task
        try:
            async with asyncio.timeout_at(deadline):
                await self._take_slot(message, arrived)
                try:
                    return await self._run(message, arrived, deadline)
                finally:
                    self._changes += 1
                    self._running.pop(message.id, None)
                    self._give_slot()
        except TimeoutError:
            return self._failed(
                message,
                "ask_timed_out",
                f"{self.address.node} had not finished {message.kind!r} at its deadline",
            )
        except asyncio.CancelledError:
            reason = self._reasons.pop(message.id, "")
            if not reason:
                raise
            task.uncancel()
            return self._failed(message, reason, f"{message.kind!r} was withdrawn: {reason}")
        finally:
            self._handlers.pop(message.id, None)
            self._tasks.pop(message.id, None)
            self._reasons.pop(message.id, None)

    async def accept(self, message: Message) -> Reply | None:
        """Take an event: it is handled in the background. Returns a reply only if refused."""
        if refused := self._refusal(message):
            return refused
        task = asyncio.get_running_loop().create_task(self.handle(message))
        self._events.add(task)
        task.add_done_callback(self._events.discard)
        return None

    def withdraw(self, message_id: int, *, reason: str = "ask_cancelled") -> bool:
        """End a message early, in the queue or in its handler; false when it is not here."""
        task = self._handlers.get(message_id)
        if task is None:
            return False
        self._reasons[message_id] = reason
        task.cancel()
        return True

    def resize(self, slots: int) -> None:
        """Handle more messages at a time, or fewer once enough have ended."""
        self._changes += 1
        self._capacity_epoch += 1
        more = slots - self.slots
        self.slots = slots
        for _ in range(more):
            if self._taken < self.slots and self._queue:
                self._taken += 1
                self._give_slot()

    def beat(self) -> None:
        """Say, on the event loop of the handlers, that it turns."""
        self._beat = self._now()

    def withdraw_all(self, *, reason: str = "drained") -> int:
        """End everything that runs or waits here; return how many there were."""
        ids = list(self._handlers)
        for message_id in ids:
            self.withdraw(message_id, reason=reason)
        return len(ids)

    def end_task(self, task: str, *, reason: str = "loop_guard") -> int:
        """End all messages of a task here and refuse further ones; return how many there were."""
        self._ended[task] = None
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        ids = [message_id for message_id, owner in self._tasks.items() if owner == task]
        for message_id in ids:
            self.withdraw(message_id, reason=reason)
        return len(ids)

    def waits(self, *, recent: bool = False) -> Round:
        """Return `snapshot` in the form in which it travels."""
        return read_round([self.snapshot(recent=recent)])

    def snapshot(self, *, recent: bool = False) -> ReplicaSnapshot:
        """Return what runs and what waits here, at this moment.

        Safe to call from another thread. It reads under no lock, which would hold up messages;
        when a message came or went meanwhile it reads again. What is torn all the same does no
        harm: a message in neither table, or in both, counts as going on.

        Args:
            recent: With the messages that were finished lately.
        """
        running: tuple[RunningInvocation, ...] = ()
        queue: tuple[QueuedMessage, ...] = ()
        for _ in range(_READS):
            changes, now = self._changes, self._now()
            running = tuple(one.waiting(now) for one in list(self._running.values()))
            queue = tuple(waiting.shown(now) for waiting in list(self._queue))
            if changes == self._changes:
                break
        return ReplicaSnapshot(
            replica=str(self.address),
            role=self.address.role,
            version=self.address.version,
            slots=self.slots,
            capacity_epoch=self._capacity_epoch,
            incarnation=self._life,
            table=self.messenger.router.table.number,
            up_s=now - self._born,
            loop_lag_s=self.lag_s,
            running=running,
            queue=queue,
            locks=self.locks.snapshot(),
            recent=tuple(self._recent) if recent else (),
        )

    def _refusal(self, message: Message) -> Reply | None:
        """Return why a message is not taken at all, if it is not."""
        if message.task in self._ended:
            self._record(Happening.DROPPED, message)
            return self._failed(message, "loop_guard", f"task {message.task!r} was ended")
        if self._taken >= self.slots and len(self._queue) >= self._queue_limit:
            self._record(Happening.DROPPED, message)
            return self._failed(
                message, "overloaded", f"the queue of {self.address} is full ({self._queue_limit})"
            )
        return None

    async def _take_slot(self, message: Message, arrived: float) -> None:
        if self._taken < self.slots:
            self._taken += 1
            return
        waiting = _Waiting(message, arrived, asyncio.get_running_loop().create_future())
        self._changes += 1
        self._queue.append(waiting)
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting.turn.done() and not waiting.turn.cancelled():
                self._give_slot()  # the slot came at the very moment of the cancellation
            elif waiting in self._queue:  # a slot that came free since may have passed it by
                self._queue.remove(waiting)
            raise

    def _give_slot(self) -> None:
        self._changes += 1
        # When slots were taken away, those that come free are not given out again.
        while self._queue and self._taken <= self.slots:
            waiting = self._queue.popleft()
            if not waiting.turn.done():
                waiting.turn.set_result(None)
                return
        self._taken -= 1

    async def _run(self, message: Message, arrived: float, deadline: float | None) -> Reply:
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._begun += 1
        self._record(_STARTED, message, started - arrived)
        invocation = Invocation(replica=self, message=message, deadline=deadline, started=started)
        self._changes += 1
        self._running[message.id] = invocation
        try:
            body = fit_body(self.agent, message.kind, message.body)
            if body is not message.body:
                message = invocation.with_body(body)
            answer = await self.agent.handle(message, invocation)
        except AgentError as error:
            return self._failed(message, _code_for(error), str(error), cause=type(error).__name__)
        except Exception as error:  # noqa: BLE001 (whatever an agent raises fails its message)
            return self._failed(
                message,
                "ask_failed",
                f"{self.address.node} failed on {message.kind!r}: {type(error).__name__}: {error}",
                cause=type(error).__name__,
            )
        return Reply(to=message.id, sender=self.address, body=answer)

    def _failed(self, message: Message, code: str, text: str, *, cause: str = "") -> Reply:
        return Reply(
            to=message.id,
            sender=self.address,
            failure=Failure(
                code=code,
                message=text,
                role=self.address.role,
                version=self.address.version,
                cause=cause,
            ),
        )

    def _record(self, happening: Happening, message: Message, queued_s: float = 0.0) -> None:
        messenger = self.messenger
        now_s = messenger.now()
        messenger.recorder.happened(happening, message, self.address, now_s - queued_s, now_s)


def _code_for(error: AgentError) -> str:
    # A refusal of the body is this replica's own word, and a task that was ended is ended for all
    # its askers. Any other error came from an ask or a tool inside the handler: towards the asker
    # that is a failure of this agent, cause in words.
    return error.code if error.code in {"message_refused", "loop_guard"} else "ask_failed"
