"""What the players say to each other: always which recording, and where in it they are."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A message's body: immutable, and an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordedTask(Body):
    """A task of the fleet, and `open`, from the user to the agent: play this task again."""

    task_id: str = Field(min_length=1)


class Said(Body):
    """One line of a recording, said by one player to another.

    Attributes:
        recording: Id of the recording.
        line: Index of the line; the number of all lines when nothing was left to say.
        text: The line.
    """

    recording: str
    line: int = Field(ge=0)
    text: str = ""


class ToolCall(Body):
    """A call of a tool, and where its recorded result is.

    Attributes:
        recording: Id of the recording.
        line: Index of the call.
        result: Index of its result.
    """

    recording: str
    line: int = Field(ge=0)
    result: int = Field(ge=0)


class ToolResult(Body):
    """What a tool gave back; `error` when it failed, which is an answer as well."""

    text: str
    error: bool


class Played(Body):
    """The result of a completed task."""

    recording: str
    ended: str
    lines: int
