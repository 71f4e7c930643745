"""Recorded conversations, as the players need them. One copy of a file in each process."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

NORMAL_ENDS = frozenset({"user_stop", "agent_stop"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message of a recording.

    Attributes:
        sender: Role that wrote it.
        to: Role that it is for.
        kind: `request`, `reply`, `event`, `tool_call`, `tool_result`.
        name: Name of the tool or of the event; empty for what is said.
        text: The beginning of what was written.
        error: A tool result that says that the call failed.
        pause_s: Recorded seconds since the line before; 0 where not recorded.
        fresh: For a tool result: the conversation had not seen it before. Calling a tool again
            and again without a fresh result is no progress.
        input_tokens: Of the model call that wrote it; 0 where not recorded.
        output_tokens: Likewise.
        cost_usd: Likewise.
    """

    sender: str
    to: str
    kind: str
    name: str
    text: str
    error: bool
    pause_s: float
    fresh: bool
    input_tokens: int
    output_tokens: int
    cost_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded task.

    Attributes:
        id: Unique in its file.
        version: Version of the role `agent` that was recorded.
        trial: Number of the try, where one version tried the task several times.
        ended: How it ended: `user_stop` and `agent_stop` are normal.
        reason: Why it was not completed; empty when it was.
        attributes: What is known of the task: domain, length of the reference solution.
    """

    id: str
    version: str
    task_id: str
    trial: int
    completed: bool
    score: float
    ended: str
    reason: str
    attributes: Mapping[str, Any]
    lines: tuple[Line, ...]

    @property
    def ended_normally(self) -> bool:
        """Whether one of the two said goodbye."""
        return self.ended in NORMAL_ENDS


class Recordings:
    """All recordings of one file."""

    def __init__(self, trace: str, recordings: Iterable[Recording]) -> None:
        self.trace = trace
        self._by_id = {recording.id: recording for recording in recordings}
        self._by_task = {(r.version, r.task_id, r.trial): r for r in self}

    def __iter__(self) -> Iterator[Recording]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def versions(self) -> tuple[str, ...]:
        """The recorded versions of the role `agent`."""
        return tuple(sorted({recording.version for recording in self}))

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The tasks that were recorded."""
        return tuple(sorted({recording.task_id for recording in self}))

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The tools that were called."""
        return tuple(sorted({n.name for r in self for n in r.lines if n.kind == "tool_result"}))

    def get(self, recording_id: str) -> Recording:
        """Return a recording by its id.

        Raises:
            LookupError: The file has none of this id.
        """
        try:
            return self._by_id[recording_id]
        except KeyError:
            raise LookupError(f"{self.trace} has no recording {recording_id!r}") from None

    def find(self, version: str, task_id: str, trial: int = 0) -> Recording:
        """Return what a version did with a task.

        Raises:
            LookupError: It was not recorded.
        """
        try:
            return self._by_task[version, task_id, trial]
        except KeyError:
            raise LookupError(
                f"{self.trace} has no recording of {version!r} for task {task_id!r}, trial {trial}"
            ) from None


@lru_cache(maxsize=8)
def load_recordings(trace: str) -> Recordings:
    """Read a file of recordings once in this process.

    Args:
        trace: Name of one that comes with Rolewise, or the path of a `.jsonl.gz` file.

    Raises:
        FileNotFoundError: There is none; the message names those that come with Rolewise.
    """
    with gzip.open(trace_path(trace), "rt", encoding="utf-8") as lines:
        return Recordings(trace, (_recording(json.loads(line)) for line in lines))


def trace_path(trace: str) -> Path:
    """Return the file of `trace`; see `load_recordings`."""
    shipped = Path(str(files(__package__))) / "traces"
    path = Path(trace) if trace.endswith(".jsonl.gz") else shipped / f"{trace}.jsonl.gz"
    if not path.is_file():
        known = ", ".join(sorted(p.name.removesuffix(".jsonl.gz") for p in shipped.glob("*.gz")))
        raise FileNotFoundError(
            f"trace = {trace!r}: want one of {known}, or the path of a .jsonl.gz file"
        )
    return path


def _recording(raw: Mapping[str, Any]) -> Recording:
    attributes = dict(raw["task_attributes"])
    return Recording(
        id=raw["trace_id"],
        version=raw["versions"]["agent"],
        task_id=attributes.pop("task_id"),
        trial=attributes.pop("trial"),
        completed=raw["completed"],
        score=float(raw["score"]),
        ended=raw["ended"],
        reason=(raw["failure"] or {}).get("reason") or "",
        attributes=attributes,
        lines=tuple(_lines(raw)),
    )


def _lines(raw: Mapping[str, Any]) -> Iterator[Line]:
    bills = {
        role: _bill(used, (raw["cost_usd"] or {}).get(role) or 0.0)
        for role, used in (raw["usage"] or {}).items()
    }
    seen: set[tuple[str, str]] = set()
    before = 0.0
    for message in raw["messages"]:
        now = before if message["t"] is None else message["t"]
        result = (message["name"] or "", message["digest"])
        # Only a message that a model wrote has tokens: of several calls in one turn, the first.
        called = message["tokens"] is not None and message["from"] in bills
        input_tokens, cost_usd = next(bills[message["from"]]) if called else (0, 0.0)
        yield Line(
            sender=message["from"],
            to=message["to"],
            kind=message["kind"],
            name=result[0],
            text=message["text"],
            error=message["error"],
            pause_s=max(0.0, now - before),
            fresh=message["kind"] == "tool_result" and result not in seen,
            input_tokens=input_tokens,
            output_tokens=message["tokens"] or 0,
            cost_usd=cost_usd,
        )
        before = now
        if message["kind"] == "tool_result":
            seen.add(result)


def _bill(used: Mapping[str, int], cost_usd: float) -> Iterator[tuple[int, float]]:
    """Share a role's input tokens and cost, recorded per task, evenly among its model calls."""
    calls, tokens = used["calls"], used["in"]
    for call in range(calls):
        yield tokens * (call + 1) // calls - tokens * call // calls, cost_usd / calls
