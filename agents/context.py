"""What an agent's handler can do while it handles one message.

The runtime makes one `Context` for every invocation. Everything an agent does towards the rest
of the fleet goes through it, so that it can be routed, recorded, limited and cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInfo:
    """The task that an invocation belongs to.

    Attributes:
        id: Unique in the fleet.
        conversation: Shared by the tasks of one session; the task's id by default.
        attributes: What the submitter said about it (site, user, kind): used by routing rules.
    """

    id: str
    conversation: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of several that are sent together; see `Context.ask_all`."""

    role: str
    body: Any = None
    kind: str = "ask"
    timeout: float | None = None


class Memory(Protocol):
    """What a role remembers between messages, shared by all replicas of the role.

    Values are anything picklable. Each call is one atomic step; there are no transactions.
    """

    async def read(self, key: str, default: Any = None) -> Any:
        """Return the value under `key`, or `default`."""
        ...

    async def write(self, key: str, value: Any) -> None:
        """Set the value under `key`."""
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there."""
        ...


class Context(Protocol):
    """The fleet as one invocation sees it.

    Every ask is bounded by the smaller of its own timeout and what is left of the task's
    deadline; both travel with the message. When the task is cancelled or ends, the handler is
    cancelled (`asyncio.CancelledError`) at its next await, and so are the asks it waits for.
    """

    @property
    def task(self) -> TaskInfo:
        """The task that this invocation serves."""
        ...

    @property
    def role(self) -> str:
        """The role that this replica plays."""
        ...

    @property
    def version(self) -> str:
        """The version that this replica runs."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The `config` of this version in the fleet's file."""
        ...

    @property
    def deadline(self) -> float | None:
        """Seconds left until the message's deadline; None when there is none."""
        ...

    @property
    def memory(self) -> Memory:
        """What the role remembers, shared by its replicas."""
        ...

    async def ask(
        self, role: str, body: Any = None, *, kind: str = "ask", timeout: float | None = None
    ) -> Any:
        """Send a request and wait for the answer.

        Raises:
            AgentError: One of `rolewise.agents.errors`: the typed reason why there is no answer.
        """
        ...

    async def ask_all(self, *asks: Ask) -> list[Any]:
        """Send several requests at once and wait for all answers, in the order of the asks.

        Raises:
            AgentError: The first failure; the others are then cancelled.
        """
        ...

    async def ask_any(self, *asks: Ask) -> Any:
        """Send several requests at once and return the first answer; the others are cancelled.

        Raises:
            AgentError: The last failure, when none of them answers.
        """
        ...

    async def tell(self, role: str, body: Any = None, *, kind: str = "tell") -> None:
        """Send an event: nobody answers. Returns when the replica's queue has taken it."""
        ...

    async def tool(self, name: str, args: Mapping[str, Any] | None = None) -> Any:
        """Call one of the agent's own tools; name, duration and error are recorded.

        Raises:
            ToolFailed: The tool raised, or the agent has none of that name.
        """
        ...

    def usage(self, *, input_tokens: int = 0, output_tokens: int = 0, cost: float = 0.0) -> None:
        """Note what a model call used; `cost` in US dollars. Added up per task."""
        ...

    def score(self, name: str, value: float) -> None:
        """Note an evaluation score between 0 and 1 for this task."""
        ...

    def progress(self, what: str = "") -> None:
        """Say that something moved towards the end of the task: this is no livelock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait on the fleet's clock: virtual in a rehearsal, real on Ray."""
        ...

    def lock(
        self, name: str, *, shared: bool = False, permits: int = 1
    ) -> AbstractAsyncContextManager[None]:
        """Hold a lock while in `async with`, against other messages at the same replica.

        First come, first served. Other than with a lock of one's own making, who waits for it
        and who holds it is seen, so that a deadlock over it is found.

        Args:
            name: The lock; it is there once somebody asks for it.
            shared: Together with others that share it, apart from those that do not.
            permits: How many may hold it at a time; say the same everywhere.
        """
        ...
