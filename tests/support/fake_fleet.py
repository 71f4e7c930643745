"""A fleet in one call: agents that ask each other directly, on virtual time, one task at a time.

It has no queues, slots, routes or records. It is for tests of what agents say to each other;
what happens to their messages on the way is the runtimes' business.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rolewise.agents import OUTSIDE, Address, Agent, Ask, Message, Nature, TaskInfo, fit_body
from rolewise.agents.errors import (
    AgentError,
    AskFailed,
    AskTimedOut,
    Failure,
    NoReplica,
    ToolFailed,
)


@dataclass(slots=True)
class Seen:
    """What one task did: messages by (from, to, kind), tools, tokens, scores, virtual seconds."""

    sent: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    replied: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    tools: Counter[tuple[str, str]] = field(default_factory=Counter)
    tool_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    progress: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    cost_usd: float = 0.0
    seconds: float = 0.0

    @property
    def messages(self) -> int:
        """Requests and events."""
        return self.sent.total()


class Store(dict[str, Any]):
    """A role's memory."""

    async def read(self, key: str, default: Any = None) -> Any:
        return self.get(key, default)

    async def write(self, key: str, value: Any) -> None:
        self[key] = value

    async def delete(self, key: str) -> None:
        self.pop(key, None)


@dataclass(slots=True)
class FakeFleet:
    """Agents by role, ready for tasks.

    Attributes:
        agents: Role -> agent.
        deadline_s: Virtual seconds after which the task's next wait fails.
        max_messages: Messages after which a task counts as endless.
    """

    agents: Mapping[str, Agent]
    deadline_s: float = 10.0
    max_messages: int = 20_000
    memories: dict[str, Store] = field(default_factory=dict)

    async def run(self, role: str, body: Any, *, kind: str = "task", task: str = "t") -> Any:
        """Give one task to `role`; return (result, what was seen). Failures raise."""
        (result, error), seen = await self.attempt(role, body, kind=kind, task=task)
        if error is not None:
            raise error
        return result, seen

    async def attempt(
        self, role: str, body: Any, *, kind: str = "task", task: str = "t"
    ) -> tuple[tuple[Any, AgentError | None], Seen]:
        """Like `run`, but a failed task is an answer, too."""
        seen = Seen()
        outside = FakeContext(self, seen, TaskInfo(id=task, conversation=task, attributes={}), "")
        try:
            return (await outside.ask(role, body, kind=kind), None), seen
        except AgentError as error:
            return (None, error), seen


@dataclass(slots=True)
class FakeContext:
    """One invocation's context."""

    fleet: FakeFleet
    seen: Seen
    task: TaskInfo
    role: str
    version: str = "v1"
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deadline(self) -> float | None:
        return max(0.0, self.fleet.deadline_s - self.seen.seconds)

    @property
    def memory(self) -> Store:
        return self.fleet.memories.setdefault(self.role, Store())

    async def ask(
        self, role: str, body: Any = None, *, kind: str = "ask", timeout: float | None = None
    ) -> Any:
        answer = await self._deliver(role, body, kind, Nature.REQUEST)
        self.seen.replied[(role, self.role, kind)] += 1
        return answer

    async def ask_all(self, *asks: Ask) -> list[Any]:
        began = self.seen.seconds
        ends = []
        answers = []
        for ask in asks:
            self.seen.seconds = began
            answers.append(await self.ask(ask.role, ask.body, kind=ask.kind))
            ends.append(self.seen.seconds)
        self.seen.seconds = max(ends, default=began)
        return answers

    async def ask_any(self, *asks: Ask) -> Any:
        return await self.ask(asks[0].role, asks[0].body, kind=asks[0].kind)

    async def tell(self, role: str, body: Any = None, *, kind: str = "tell") -> None:
        now = self.seen.seconds
        await self._deliver(role, body, kind, Nature.EVENT)
        self.seen.seconds = now

    async def tool(self, name: str, args: Mapping[str, Any] | None = None) -> Any:
        self.seen.tools[(self.role, name)] += 1
        try:
            result = self.fleet.agents[self.role].tools[name](**(args or {}))
            return await result if inspect.isawaitable(result) else result
        except Exception as error:
            self.seen.tool_errors[(self.role, name)] += 1
            raise ToolFailed(f"tool {name!r}: {error}") from error

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost: float = 0.0) -> None:
        self.seen.tokens[f"{self.role}.in"] += input_tokens
        self.seen.tokens[f"{self.role}.out"] += output_tokens
        self.seen.cost_usd += cost

    def score(self, name: str, value: float) -> None:
        assert 0.0 <= value <= 1.0
        self.seen.scores[name] = value

    def progress(self, what: str = "") -> None:
        self.seen.progress.append(what)

    async def sleep(self, seconds: float) -> None:
        self.seen.seconds += seconds
        if self.seen.seconds >= self.fleet.deadline_s:
            raise AskTimedOut(f"{self.role} ran out of the task's {self.fleet.deadline_s} s")
        await asyncio.sleep(0)

    @asynccontextmanager
    async def lock(
        self, name: str, *, shared: bool = False, permits: int = 1
    ) -> AsyncIterator[None]:
        yield  # one task at a time: nobody else can hold it

    async def _deliver(self, role: str, body: Any, kind: str, nature: Nature) -> Any:
        self.seen.sent[(self.role, role, kind)] += 1
        if self.seen.messages > self.fleet.max_messages:
            raise AssertionError(f"more than {self.fleet.max_messages} messages in one task")
        agent = self.fleet.agents.get(role)
        if agent is None:
            raise NoReplica(f"no role {role!r}")
        message = Message(
            id=self.seen.messages,
            nature=nature,
            kind=kind,
            sender=Address(role=self.role, version=self.version) if self.role else OUTSIDE,
            to=role,
            body=fit_body(agent, kind, body),
            task=self.task.id,
            conversation=self.task.conversation,
        )
        context = FakeContext(self.fleet, self.seen, self.task, role)
        try:
            return await agent.handle(message, context)
        except (AgentError, AssertionError):
            raise
        except Exception as error:
            failure = Failure(
                code=AskFailed.code, message=str(error), role=role, cause=type(error).__name__
            )
            raise failure.as_error() from error
