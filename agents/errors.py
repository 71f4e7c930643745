"""What can go wrong between agents, as one tree.

    AgentError                     code, message, definite
    |- MessageRefused              the body does not fit what the role accepts; nothing happened
    |- AskFailed                   the asked agent raised; carries its role, version and cause
    |- AskTimedOut                 no reply before the deadline; the far side may have acted
    |- AskCancelled                the asking task was cancelled or ended
    |- ReplicaLost                 the replica died with the message; it may have acted
    |- Drained                     its version left the fleet before it answered
    |- Overloaded                  the replica's queue is full; nothing happened
    |- NoReplica                   no replica serves the role; nothing happened
    |- LoopGuard                   the task went round in circles and was ended
    `- ToolFailed                  a tool raised or is unknown

`definite` is true when the message surely had no effect, so that asking again is safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class AgentError(Exception):
    """Any failure that an asker can meet; `code` is stable and safe to match on."""

    code: ClassVar[str] = "agent_error"
    definite: ClassVar[bool] = False


class MessageRefused(AgentError):
    """The body does not fit the type that the role accepts for this kind."""

    code = "message_refused"
    definite = True


class AskFailed(AgentError):
    """The asked agent's handler raised; the cause is the remote exception in words."""

    code = "ask_failed"


class AskTimedOut(AgentError):
    """No reply came before the deadline of the ask or of the task."""

    code = "ask_timed_out"


class AskCancelled(AgentError):
    """The ask was withdrawn: its task ended, or another branch answered first."""

    code = "ask_cancelled"


class ReplicaLost(AgentError):
    """The replica that held the message died before it answered."""

    code = "replica_lost"


class Drained(AgentError):
    """The version left the fleet before the replica answered; it may have acted."""

    code = "drained"


class Overloaded(AgentError):
    """The replica's queue was full and the message was not taken."""

    code = "overloaded"
    definite = True


class NoReplica(AgentError):
    """No live replica serves the role, and none came in some seconds."""

    code = "no_replica"
    definite = True


class LoopGuard(AgentError):
    """The task broke a limit against endless work (the fleet file's `guards`) and was ended."""

    code = "loop_guard"


class ToolFailed(AgentError):
    """A tool raised, or the agent has no tool of that name."""

    code = "tool_failed"


ERRORS: dict[str, type[AgentError]] = {
    kind.code: kind
    for kind in (
        MessageRefused,
        AskFailed,
        AskTimedOut,
        AskCancelled,
        ReplicaLost,
        Drained,
        Overloaded,
        NoReplica,
        LoopGuard,
        ToolFailed,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed reply as it travels: what failed, where, and the cause in words.

    Attributes:
        code: Key of `ERRORS`.
        message: One sentence for people.
        role: Role at which it failed, empty when the message reached none.
        version: Version at which it failed.
        cause: Type name of the original exception, empty when there was none.
    """

    code: str
    message: str
    role: str = ""
    version: str = ""
    cause: str = ""

    def as_error(self) -> AgentError:
        """Return the exception that an asker sees; it keeps this record as `failure`."""
        error = ERRORS.get(self.code, AskFailed)(self.message)
        error.failure = self  # type: ignore[attr-defined]
        return error
