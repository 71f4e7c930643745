"""Livelock in recorded tasks: their messages as the loop detector takes them.

A recorded reply or tool result is the answer of the request before it, not a message of its own,
as in a running fleet. A tool call that gives what the task has seen before is no progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from rolewise.fleet.harness.traces import Trace, TraceMessage
from rolewise.graphs.loop_batch import LoopEvents, Step, loop_figures
from rolewise.graphs.loops import Table, TaskLoops, flag_names, raised_flags

_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedFlag:
    """Where a flag was first raised.

    Attributes:
        flag: Its name.
        step: Index of the message that raised it.
        role: Role that sent this message.
    """

    flag: str
    step: int
    role: str


def figures_of_traces(traces: Iterable[Trace]) -> Table:
    """Return the loop figures of recorded tasks, one row each."""
    everything = list(traces)
    rows = [(n, *event) for n, trace in enumerate(everything) for event in _events(trace)]
    if not rows:
        return loop_figures(_columns([(0, Step.ENDED, 0, 0, 0, 0, 0, 0)]), len(everything))
    return loop_figures(_columns(rows), len(everything))


def raised_in(trace: Trace, limits: Table | None = None) -> tuple[RaisedFlag, ...]:
    """Return the flags that a recorded task raises, and at which message each is raised first.

    Args:
        trace: The task.
        limits: See `rolewise.graphs.loops.raised_flags`.
    """
    task, raised = TaskLoops(), dict[str, RaisedFlag]()
    messages = iter(trace.messages)
    for event, message in zip(_events(trace), messages, strict=True):
        step, digest, src, dst, kind, size, at_ns = event
        match step:
            case Step.SENT:
                task.sent(digest, src=src, dst=dst, kind=kind, size=size, at_ns=at_ns)
            case Step.REPLIED:
                task.replied(digest)
            case _:
                task.failed(digest)
        for flag in flag_names(raised_flags(np.array(task.figures), limits)):
            raised.setdefault(flag, RaisedFlag(flag=flag, step=message.index, role=message.sender))
    return tuple(raised.values())


def trace_digest(message: TraceMessage) -> int:
    """Return a message's digest; its shape is who says what kind of thing, or which tool, to whom.

    The recorded hash is of the full text, of which the trace has only the beginning.
    """
    head = f"{message.sender}\0{message.to}\0{message.kind}\0{message.name}"
    return _hash(f"{head}\0{message.digest or message.text}") << 32 | _hash(head) or 1


def _events(trace: Trace) -> Iterator[tuple[Step, int, int, int, int, int, int]]:
    """Yield one event a message: step, digest, src, dst, kind, size, at_ns."""
    numbers: dict[str, int] = {}
    for message in trace.messages:
        answers = message.kind in {"reply", "tool_result"}
        yield (
            Step.REPLIED if answers else Step.SENT,
            trace_digest(message),
            numbers.setdefault(message.sender, len(numbers)),
            numbers.setdefault(message.to, len(numbers)),
            numbers.setdefault(f"\0{message.kind}\0{message.name}", len(numbers)),
            message.size,
            round((message.at_s or 0.0) * _NANO),
        )


def _columns(rows: Sequence[tuple[int, ...]]) -> LoopEvents:
    task, step, digest, src, dst, kind, size, at_ns = zip(*rows, strict=True)
    none = np.zeros(len(rows), np.int64)
    return LoopEvents(
        task=np.array(task, np.int64),
        step=np.array(step, np.int64),
        digest=np.array(digest, np.uint64),
        src=np.array(src, np.int64),
        dst=np.array(dst, np.int64),
        kind=np.array(kind, np.int64),
        hop=none,
        size=np.array(size, np.int64),
        attempt=none,
        at_ns=np.array(at_ns, np.int64),
    )


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "little")
