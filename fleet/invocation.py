"""One message being handled: the `Context` that its handler sees, and what it waits for.

A wait counts for the deadlock detector only while the handler's own asyncio task awaits it. An
ask that a handler runs in a task of its own making may be overtaken by other work, so it is
shown as `active`: the detector would rather miss such a wait than invent a deadlock. `ask_all`,
`ask_any` and `lock` say what is meant and are seen.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

from rolewise.agents.context import Ask, Memory, TaskInfo
from rolewise.agents.errors import AgentError, ToolFailed
from rolewise.agents.message import Message
from rolewise.fleet.messenger import Envelope
from rolewise.fleet.recording.notes import Noted
from rolewise.fleet.recording.reply_kinds import reply_kind
from rolewise.fleet.waiting import Waiting
from rolewise.graphs.interactions import Arm
from rolewise.graphs.snapshots import RunningInvocation

if TYPE_CHECKING:
    from rolewise.fleet.replica import ReplicaCore


class Invocation:
    """The context of one message; see `rolewise.agents.context.Context`."""

    def __init__(
        self, *, replica: ReplicaCore, message: Message, deadline: float | None, started: float
    ) -> None:
        self._replica = replica
        self._message = message
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._received = message.kind
        self._memory = _NotedMemory(replica.memory, self._note)
        self._waiting = Waiting(started)
        self._info = TaskInfo(
            id=message.task, conversation=message.conversation, attributes=message.attributes
        )

    def with_body(self, body: Any) -> Message:
        """Return the message with the body that the agent's `accepts` has made of it."""
        self._message = replace(self._message, body=body)
        return self._message

    @property
    def task_key(self) -> int:
        """Number that stands for the task in records."""
        return self._message.task_key

    def waiting(self, now: float) -> RunningInvocation:
        """Return what it waits for at this moment; callable from another thread."""
        return self._waiting.shown(self._message, now)

    # What the handler sees.

    @property
    def task(self) -> TaskInfo:
        """The task that this invocation serves."""
        return self._info

    @property
    def role(self) -> str:
        """The role that this replica plays."""
        return self._replica.address.role

    @property
    def version(self) -> str:
        """The version that this replica runs."""
        return self._replica.address.version

    @property
    def config(self) -> Mapping[str, Any]:
        """The version's config."""
        return self._replica.config

    @property
    def deadline(self) -> float | None:
        """Seconds left; None when there is no deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - self._loop.time())

    @property
    def memory(self) -> Memory:
        """What the role remembers."""
        return self._memory

    async def ask(
        self, role: str, body: Any = None, *, kind: str = "ask", timeout: float | None = None
    ) -> Any:
        """Send a request and wait for the answer."""
        message_id = self._replica.messenger.ids.next()
        if asyncio.current_task() is not self._task:
            return await self._send(Ask(role, body, kind, timeout), message_id, awaited=1)
        self._begin((message_id,), 1, timeout)
        try:
            return await self._send(Ask(role, body, kind, timeout), message_id, awaited=1)
        finally:
            self._end()

    async def ask_all(self, *asks: Ask) -> list[Any]:
        """Send several requests at once and wait for all answers."""
        tasks = self._start(asks, awaited=1)
        own = asyncio.current_task() is self._task
        if own:
            self._begin(tuple(tasks), len(tasks), _longest(asks))
        try:
            pending = set(tasks.values())
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for message_id, task in tasks.items():
                    if task in done:
                        task.result()  # raises the first failure, in the order of the asks
                        if own:
                            self._waiting.settle(message_id, met=1)
            return [task.result() for task in tasks.values()]
        finally:
            await _cancel(tasks.values())
            if own:
                self._end()

    async def ask_any(self, *asks: Ask) -> Any:
        """Send several requests at once and return the first answer."""
        if not asks:
            raise ValueError("ask_any of no asks would wait for ever")
        tasks = self._start(asks, awaited=2)
        own = asyncio.current_task() is self._task
        if own:
            self._begin(tuple(tasks), 1, _longest(asks))
        last: AgentError | None = None
        try:
            pending = set(tasks.values())
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for message_id, task in tasks.items():
                    if task not in done:
                        continue
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, AgentError):
                        raise error
                    last = error
                    if own:
                        self._waiting.settle(message_id, met=0)
            assert last is not None  # noqa: S101
            raise last
        finally:
            await _cancel(tasks.values())
            if own:
                self._end()

    async def tell(self, role: str, body: Any = None, *, kind: str = "tell") -> None:
        """Send an event."""
        await self._replica.messenger.tell(self._envelope(), role, body, kind=kind)

    async def tool(self, name: str, args: Mapping[str, Any] | None = None) -> Any:
        """Call one of the agent's own tools."""
        tool = self._replica.agent.tools.get(name)
        started, ok = self._loop.time(), False
        try:
            if tool is None:
                known = ", ".join(sorted(self._replica.agent.tools)) or "none"
                raise ToolFailed(f"{self.role} has no tool {name!r}; it has: {known}")
            try:
                result = tool(**(args or {}))
                if inspect.isawaitable(result):
                    result = await result
            except ToolFailed:
                raise
            except Exception as error:
                raise ToolFailed(f"tool {name!r}: {type(error).__name__}: {error}") from error
            ok = True
            return result
        finally:
            self._note(Noted.TOOL, name, ok=ok, a=self._loop.time() - started)

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost: float = 0.0) -> None:
        """Note what a model call used."""
        self._note(Noted.USAGE, a=input_tokens, b=output_tokens, c=cost)

    def score(self, name: str, value: float) -> None:
        """Note an evaluation score."""
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"score {name!r} = {value}: want 0 to 1")
        self._note(Noted.SCORE, name, a=value)

    def progress(self, what: str = "") -> None:
        """Say that something moved."""
        self._note(Noted.PROGRESS, what)

    async def sleep(self, seconds: float) -> None:
        """Wait on the fleet's clock."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def lock(
        self, name: str, *, shared: bool = False, permits: int = 1
    ) -> AsyncIterator[None]:
        """Hold a lock of this replica."""
        locks, own = self._replica.locks, self._message.id
        lock_id = locks.id_of(name)
        granted = locks.ask(name, own, shared=shared, permits=permits)
        seen = not granted.done() and asyncio.current_task() is self._task
        if seen:
            self._begin((), 1, None, locks=(lock_id,))
        try:
            try:
                await granted
            finally:
                if seen:
                    self._end()
            yield
        finally:
            locks.let_go(name, own, granted)

    # How it sends, and how its waits are kept.

    def _note(self, what: Noted, name: str = "", **figures: Any) -> None:
        self._replica.messenger.recorder.note(what, self._message.task_key, name, **figures)

    def _envelope(self) -> Envelope:
        message = self._message
        return Envelope(
            sender=self._replica.address,
            task=message.task,
            task_key=message.task_key,
            conversation=message.conversation,
            table=message.table,
            attributes=message.attributes,
            parent=message.id,
            deadline=self._deadline,
            hop=message.hop,
            traceparent=message.traceparent,
            arm=Arm(message.arm),
            received=self._received,
            retry_of=message.retry_of,
        )

    async def _send(self, ask: Ask, message_id: int, *, awaited: int) -> Any:
        try:
            answer = await self._replica.messenger.ask(
                self._envelope(),
                ask.role,
                ask.body,
                kind=ask.kind,
                timeout_s=ask.timeout,
                awaited=awaited,
                message_id=message_id,
                on_sent=partial(self._waiting.sent, message_id),
            )
        except AgentError as error:
            self._received = f"{ask.kind} {error.code}"
            raise
        self._received = f"{ask.kind} {reply_kind(answer)}".rstrip()
        return answer

    def _start(self, asks: Iterable[Ask], *, awaited: int) -> dict[int, asyncio.Task[Any]]:
        tasks: dict[int, asyncio.Task[Any]] = {}
        for ask in asks:
            message_id = self._replica.messenger.ids.next()
            tasks[message_id] = self._loop.create_task(self._send(ask, message_id, awaited=awaited))
        return tasks

    def _begin(
        self,
        ids: tuple[int, ...],
        need: int,
        timeout: float | None,
        *,
        locks: tuple[int, ...] = (),
    ) -> None:
        now = self._loop.time()
        deadline = self._deadline
        if timeout is not None:
            deadline = now + timeout if deadline is None else min(deadline, now + timeout)
        self._waiting.begin(ids, need, deadline, now, locks=locks)

    def _end(self) -> None:
        self._waiting.end(self._loop.time())


class _NotedMemory:
    """The role's memory; a key that a task writes for the first time is progress."""

    __slots__ = ("_memory", "_note")

    def __init__(self, memory: Memory, note: Callable[..., None]) -> None:
        self._memory = memory
        self._note = note

    async def read(self, key: str, default: Any = None) -> Any:
        return await self._memory.read(key, default)

    async def write(self, key: str, value: Any) -> None:
        await self._memory.write(key, value)
        self._note(Noted.PROGRESS, a=float(1 + crc32(key.encode("utf-8", "surrogatepass"))))

    async def delete(self, key: str) -> None:
        await self._memory.delete(key)


def _longest(asks: Iterable[Ask]) -> float | None:
    timeouts = [ask.timeout for ask in asks]
    known = [timeout for timeout in timeouts if timeout is not None]
    return max(known) if known and len(known) == len(timeouts) else None


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait for it, so that no ask outlives its handler."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
