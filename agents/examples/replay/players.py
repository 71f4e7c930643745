"""The roles of a replay fleet. The user leads: it says its lines and hears the agent's.

Which recording is played is the agent's secret until `open`, because only its version decides;
from then on every message carries the recording's id and the index of its line, so that no
player keeps anything between messages.
"""

from __future__ import annotations

from typing import ClassVar

from rolewise.agents import Agent, Ask, Context, Message
from rolewise.agents.errors import ToolFailed
from rolewise.agents.examples.replay.bodies import (
    Played,
    RecordedTask,
    Said,
    ToolCall,
    ToolResult,
)
from rolewise.agents.examples.replay.recording import Line, Recording, load_recordings


class RecordedFailure(Exception):
    """The recorded task was not completed; it ends here as it did there."""


class RecordedToolError(Exception):
    """The recorded tool call gave back an error."""


class Player(Agent):
    """What the players share: a file of recordings and a pace.

    Args:
        trace: See `load_recordings`.
        speed: How many recorded seconds pass in one; 0 does not wait at all.
    """

    def __init__(self, *, trace: str, speed: float = 0.0) -> None:
        if speed < 0:
            raise ValueError(f"speed = {speed}: want a number from 0")
        self._recordings = load_recordings(trace)
        self._speed = speed

    async def write(self, line: Line, ctx: Context) -> None:
        """Spend the time and the tokens that a line took."""
        if line.output_tokens or line.input_tokens:
            ctx.usage(
                input_tokens=line.input_tokens,
                output_tokens=line.output_tokens,
                cost=line.cost_usd,
            )
        if self._speed and line.pause_s:
            await ctx.sleep(line.pause_s / self._speed)

    async def call_tools(self, recording: Recording, index: int, ctx: Context) -> int:
        """Make the calls of one turn, all at once; return the index after their results."""
        end = index
        while end < len(recording.lines) and recording.lines[end].kind == "tool_call":
            await self.write(recording.lines[end], ctx)
            end += 1
        calls = end - index
        await ctx.ask_all(
            *(
                Ask(
                    recording.lines[call].to,
                    ToolCall(recording=recording.id, line=call, result=call + calls),
                    "tool_call",
                )
                for call in range(index, end)
            )
        )
        for line in recording.lines[end : end + calls]:
            if line.fresh:
                ctx.progress(line.name)
        return end + calls


class RecordedUser(Player):
    """The entry role: plays the customer's lines, and ends the task as it was recorded."""

    accepts: ClassVar = {"task": RecordedTask, "greeting": Said}

    async def handle(self, message: Message, ctx: Context) -> Played | None:
        """Play one task, or hear a greeting.

        Raises:
            RecordedFailure: It was not completed.
        """
        if message.kind != "task":
            return None
        opening: Said = await ctx.ask("agent", message.body, kind="open")
        recording = self._recordings.get(opening.recording)
        index = opening.line
        while index < len(recording.lines):
            index = await self._turn(recording, index, ctx)
        ctx.score("reward", min(max(recording.score, 0.0), 1.0))
        if not recording.completed:
            raise RecordedFailure(f"{recording.ended}: {recording.reason or 'not completed'}")
        return Played(recording=recording.id, ended=recording.ended, lines=len(recording.lines))

    async def _turn(self, recording: Recording, index: int, ctx: Context) -> int:
        """Play one of the user's lines; return the index of its next one."""
        line = recording.lines[index]
        if line.kind == "tool_call":
            return await self.call_tools(recording, index, ctx)
        await self.write(line, ctx)
        said = Said(recording=recording.id, line=index, text=line.text)
        if line.kind == "event":
            await ctx.tell("agent", said, kind=line.name)
            return index + 1
        answer: Said = await ctx.ask("agent", said, kind="request")
        ctx.progress("answered")
        return answer.line + 1


class RecordedAgent(Player):
    """The role under trial: its version settles whose lines are played.

    Args:
        trace: See `Player`.
        version: Recorded version of the agent.
        trial: Which of the version's tries.
        speed: See `Player`.
    """

    accepts: ClassVar = {"open": RecordedTask, "request": Said, "stop": Said}

    def __init__(self, *, trace: str, version: str, trial: int = 0, speed: float = 0.0) -> None:
        super().__init__(trace=trace, speed=speed)
        if version not in self._recordings.versions:
            known = ", ".join(self._recordings.versions)
            raise ValueError(f"version = {version!r}: {trace} has {known}")
        self._version = version
        self._trial = trial

    async def handle(self, message: Message, ctx: Context) -> Said | None:
        """Open a task, answer a request, or hear the user's goodbye."""
        match message.kind:
            case "open":
                return await self._open(message.body, ctx)
            case "request":
                return await self._answer(message.body, ctx)
            case _:
                return None

    async def _open(self, task: RecordedTask, ctx: Context) -> Said:
        """Choose the recording; greet if it does; return where the user begins."""
        recording = self._recordings.find(self._version, task.task_id, self._trial)
        if not recording.lines:
            raise RecordedFailure(f"{recording.ended}: {recording.reason or 'no line recorded'}")
        first = recording.lines[0]
        if first.sender == "user":
            return Said(recording=recording.id, line=0)
        await self.write(first, ctx)
        greeting = Said(recording=recording.id, line=0, text=first.text)
        await ctx.tell("user", greeting, kind=first.name)
        return Said(recording=recording.id, line=1)

    async def _answer(self, said: Said, ctx: Context) -> Said:
        """Call the tools that the recording called, and say what it said.

        Raises:
            RecordedFailure: The recording breaks off before the agent says anything.
        """
        recording = self._recordings.get(said.recording)
        index = said.line + 1
        while index < len(recording.lines):
            line = recording.lines[index]
            if line.kind == "reply":
                await self.write(line, ctx)
                return Said(recording=recording.id, line=index, text=line.text)
            index = await self.call_tools(recording, index, ctx)
        if not recording.ended_normally:
            raise RecordedFailure(f"{recording.ended}: {recording.reason or 'broke off'}")
        return Said(recording=recording.id, line=index)


class RecordedTools(Player):
    """Tools of the agent, or of the user: gives back what was recorded, errors as well."""

    accepts: ClassVar = {"tool_call": ToolCall}

    def __init__(self, *, trace: str, speed: float = 0.0) -> None:
        super().__init__(trace=trace, speed=speed)
        self.tools = dict.fromkeys(  # type: ignore[misc]  # the names come from the recording
            self._recordings.tool_names, give_back
        )

    async def handle(self, message: Message, ctx: Context) -> ToolResult:
        """Run one recorded tool call."""
        call: ToolCall = message.body
        line = self._recordings.get(call.recording).lines[call.result]
        await self.write(line, ctx)
        try:
            text = await ctx.tool(line.name, {"text": line.text, "error": line.error})
        except ToolFailed:
            return ToolResult(text=line.text, error=True)
        return ToolResult(text=text, error=False)


def give_back(text: str, *, error: bool) -> str:
    """Return a recorded tool result, or fail as it did."""
    if error:
        raise RecordedToolError(text)
    return text
