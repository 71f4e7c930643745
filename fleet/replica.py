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
from rolewise.fleet.messenger import Messenger
from rolewise.graphs.interactions import Arm, Happening
from rolewise.graphs.snapshots import QueuedMessage, ReplicaSnapshot

ENDED_KEPT = 4096
"""Tasks that were ended early are remembered, so that what they had sent is not handled."""


@dataclass(slots=True)
class _Waiting:
    """A message in the queue; `turn` is set when it gets a slot."""

    message: Message
    since: float
    turn: asyncio.Future[None]


class ReplicaCore:
    """What every runtime's replica does; free of threads, processes and wires.

    Args:
        address: Its name in the fleet.
        agent: The user's agent.
        slots: Messages that it handles at a time.
        queue_limit: Messages that may wait; a further one is refused with `overloaded`.
        config: The version's config, for `Context.config`.
        now: The event loop's time; it must be callable from any thread.
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
    ) -> None:
        self._now = now
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

    @property
    def running(self) -> int:
        """Invocations that hold a slot."""
        return len(self._running)

    @property
    def queued(self) -> int:
        """Messages that wait for a slot."""
        return len(self._queue)

    @property
    def begun(self) -> int:
        """Messages that have got a slot so far."""
        return self._begun

    async def handle(self, message: Message) -> Reply:
        """Handle one request and return its reply; failures are replies too.

        Runs in the caller's asyncio task; `withdraw` ends it early.
        """
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

    def snapshot(self) -> ReplicaSnapshot:
        """Return what runs and what waits here, at this moment.

        Safe to call from another thread: it copies under no lock what is replaced, not changed.
        """
        now = self._now()
        return ReplicaSnapshot(
            replica=str(self.address),
            role=self.address.role,
            version=self.address.version,
            slots=self.slots,
            capacity_epoch=0,
            running=tuple(invocation.waiting(now) for invocation in list(self._running.values())),
            queue=tuple(
                QueuedMessage(
                    id=waiting.message.id,
                    epoch=0,
                    task=waiting.message.task,
                    caller=waiting.message.parent,
                    since=now - waiting.since,
                )
                for waiting in list(self._queue)
            ),
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
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.turn.done():
                waiting.turn.set_result(None)
                return
        self._taken -= 1

    async def _run(self, message: Message, arrived: float, deadline: float | None) -> Reply:
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._begun += 1
        self._record(Happening.STARTED, message, duration_ns=int((started - arrived) * 1e9))
        invocation = Invocation(replica=self, message=message, deadline=deadline, started=started)
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

    def _record(self, happening: Happening, message: Message, *, duration_ns: int = 0) -> None:
        self.messenger.recorder.happened(
            happening,
            message,
            message.sender,
            self.address,
            duration_ns=duration_ns,
            arm=Arm(message.arm),
        )


def _code_for(error: AgentError) -> str:
    # A refusal of the body is this replica's own word, and a task that was ended is ended for all
    # its askers. Any other error came from an ask or a tool inside the handler: towards the asker
    # that is a failure of this agent, cause in words.
    return error.code if error.code in {"message_refused", "loop_guard"} else "ask_failed"
