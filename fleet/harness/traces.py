"""Reads recorded tasks of agent fleets: a file of JSON lines, one task a line, plain or gzipped.

The recordings' origin does not matter here; `agents/examples/replay/traces/README.md` describes
the format. Whoever compares two recorded versions (pattern tests, a judge's backtest) reads
through this, so that a bad line is told the same everywhere: file, line, field, what is wanted.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, get_args

MessageKind = Literal["request", "reply", "event", "tool_call", "tool_result"]

NORMAL_ENDS = frozenset({"user_stop", "agent_stop", "answered", ""})
"""Ends that nobody's limit, error or crash has forced; empty: not recorded."""

UNPACKED_LIMIT = 1 << 26
_GZIP_MAGIC = b"\x1f\x8b"
_KINDS = get_args(MessageKind)
_Value = TypeVar("_Value")


class TraceError(ValueError):
    """A file cannot be read, or a line of it is no recorded task; the message names all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceMessage:
    """One recorded message.

    Attributes:
        index: Its place in the trace, from 0.
        name: Name of the tool or of the event; empty for what is said.
        size: Characters of the full text.
        tokens: Completion tokens of the model call that wrote it; None where not recorded.
        error: A tool result or reply that says that it failed.
        text: The beginning of the full text.
        digest: Hash of the full text; of the arguments for a tool call. Empty: not recorded.
        at_s: Seconds since the start of the task; None where not recorded.
    """

    index: int
    sender: str
    to: str
    kind: MessageKind
    name: str = ""
    size: int = 0
    tokens: int | None = None
    error: bool = False
    text: str = ""
    digest: str = ""
    at_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleUsage:
    """What one role's model calls used in one task."""

    input_tokens: int
    output_tokens: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFailure:
    """Why a task was not completed.

    Attributes:
        role: Role at fault, where somebody has said so; else empty.
        step: Index of the message at fault; None where nobody has said so.
        reason: In words.
    """

    role: str = ""
    step: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One recorded task.

    Attributes:
        id: Unique in its file.
        fleet: Set of roles; tasks of one fleet with equal `task_id` can be paired.
        versions: Role -> version.
        attributes: What is known of the task, `task_id` and `trial` among it.
        score: Reward of the checker; None where not recorded.
        ended: How it ended; see `ended_normally`.
        duration_s: None where not recorded.
        cost_usd: Role -> US dollars; None where not recorded, which is not 0.
        usage: Role -> tokens; None where not recorded.
        failure: None when completed.
    """

    id: str
    versions: Mapping[str, str]
    attributes: Mapping[str, Any]
    completed: bool
    messages: tuple[TraceMessage, ...]
    source: str = ""
    fleet: str = ""
    score: float | None = None
    ended: str = ""
    started_at: str = ""
    duration_s: float | None = None
    cost_usd: Mapping[str, float | None] | None = None
    usage: Mapping[str, RoleUsage] | None = None
    failure: TraceFailure | None = None

    @property
    def task_id(self) -> str:
        """The task, the same for every version that tried it."""
        return str(self.attributes.get("task_id", self.id))

    @property
    def trial(self) -> int:
        """Number of the try, from 0."""
        trial = self.attributes.get("trial", 0)
        return trial if isinstance(trial, int) else 0

    @property
    def ended_normally(self) -> bool:
        """Whether it ended by itself: no limit, error or crash ended it."""
        return self.ended in NORMAL_ENDS


def read_traces(path: Path) -> Iterator[Trace]:
    """Iterate over the tasks of a file, in its order.

    Args:
        path: JSON lines, plain or gzipped (told by its first bytes, not by its name).

    Raises:
        TraceError: The file cannot be read, or a line is no recorded task. It is raised when
            the line is reached: what came before it was good.
    """
    return _parsed(_lines(path), str(path))


def load_traces(data: bytes, *, name: str, limit: int = UNPACKED_LIMIT) -> list[Trace]:
    """Read the tasks of a file that is already in memory.

    Args:
        data: JSON lines, plain or gzipped.
        name: Names it in errors.
        limit: Bytes that it may have when unpacked.

    Raises:
        TraceError: See `read_traces`; or it is longer than `limit`.
    """
    file: Any = io.BytesIO(data)
    if data.startswith(_GZIP_MAGIC):
        file = gzip.GzipFile(fileobj=file)
    try:
        with file:
            plain: bytes = file.read(limit + 1)
        text = plain.decode()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(f"{name}: the gzip data is broken: {error}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{name}: not UTF-8: {error.reason}") from error
    if len(plain) > limit:
        raise TraceError(f"{name}: longer than {limit} bytes when unpacked")
    lines = ((n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip())
    return list(_parsed(lines, name))


def parse_trace(line: str, *, where: str = "trace") -> Trace:
    """Read one line.

    Args:
        line: A JSON object.
        where: Names the line in errors.

    Raises:
        TraceError: It is no recorded task.
    """
    try:
        raw = json.loads(line, parse_constant=_refuse_constant)
    except ValueError as error:
        raise TraceError(f"{where}: not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise TraceError(f"{where}: want a JSON object, not {type(raw).__name__}")
    row = _Fields(raw, where)
    messages = row.need("messages", list, "a list")
    cost, usage, failure = row.mapping("cost_usd"), row.mapping("usage"), row.mapping("failure")
    return Trace(
        id=row.need("trace_id", str, "text"),
        versions=row.need_mapping("versions").of_text(),
        attributes=row.need_mapping("task_attributes").raw,
        completed=row.need("completed", bool, "true or false"),
        messages=tuple(
            _message(row.inside("messages", index, entry), index)
            for index, entry in enumerate(messages)
        ),
        source=row.text("source"),
        fleet=row.text("fleet"),
        score=row.number("score"),
        ended=row.text("ended"),
        started_at=row.text("started_at"),
        duration_s=row.number("duration_s"),
        cost_usd=None if cost is None else {role: cost.number(role) for role in cost.raw},
        usage=None if usage is None else {role: _usage(usage, role) for role in usage.raw},
        failure=None if failure is None else _failure(failure),
    )


def _message(row: _Fields, index: int) -> TraceMessage:
    kind = row.need("kind", str, "text")
    if kind not in _KINDS:
        row.refuse("kind", kind, f"one of {', '.join(_KINDS)}")
    if row.raw.get("i", index) != index:
        row.refuse("i", row.raw["i"], f"{index}, its place in the list")
    return TraceMessage(
        index=index,
        sender=row.need("from", str, "text"),
        to=row.need("to", str, "text"),
        kind=kind,  # type: ignore[arg-type]  # checked above
        name=row.text("name"),
        size=row.whole("size") or 0,
        tokens=row.whole("tokens"),
        error=row.one_of("error", bool, "true or false") or False,
        text=row.text("text"),
        digest=row.text("digest"),
        at_s=row.number("t"),
    )


def _usage(row: _Fields, role: str) -> RoleUsage:
    used = row.need_mapping(role)
    return RoleUsage(
        input_tokens=used.whole("in") or 0,
        output_tokens=used.whole("out") or 0,
        calls=used.whole("calls") or 0,
    )


def _failure(row: _Fields) -> TraceFailure:
    return TraceFailure(role=row.text("role"), step=row.whole("step"), reason=row.text("reason"))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _parsed(lines: Iterable[tuple[int, str]], name: str) -> Iterator[Trace]:
    lines_by_id: dict[str, int] = {}
    for number, line in lines:
        trace = parse_trace(line, where=f"{name}, line {number}")
        if trace.id in lines_by_id:
            raise TraceError(
                f"{name}, line {number}: trace_id = {trace.id!r} is also on line "
                f"{lines_by_id[trace.id]}; want each once"
            )
        lines_by_id[trace.id] = number
        yield trace


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    number = 0
    try:
        with path.open("rb") as file:
            packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        opener: Callable[..., Any] = gzip.open if packed else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}, line {number + 1}: not UTF-8: {error.reason}") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(f"{path}, line {number + 1}: the gzip data is broken: {error}") from error
    except OSError as error:
        raise TraceError(f"{path} cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of one JSON object, read by name; a wrong one is told with its path."""

    raw: Mapping[str, Any]
    where: str
    path: tuple[str, ...] = field(default=())

    def refuse(self, key: str, value: Any, want: str) -> NoReturn:
        name = ".".join((*self.path, key))
        raise TraceError(f"{self.where}: {name} = {_short(value)}: want {want}")

    def need(self, key: str, kind: type[_Value], want: str) -> _Value:
        if key not in self.raw:
            raise TraceError(f"{self.where}: {'.'.join((*self.path, key))} is missing: want {want}")
        value = self.one_of(key, kind, want)
        return self.refuse(key, None, want) if value is None else value

    def one_of(self, key: str, kind: type[_Value], want: str) -> _Value | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(key, value, want)
        return value

    def text(self, key: str) -> str:
        return self.one_of(key, str, "text or null") or ""

    def number(self, key: str) -> float | None:
        value = self.raw.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(key, value, "a number or null")
        number = float(value) if abs(value) < 2**63 else math.inf
        return number if math.isfinite(number) else self.refuse(key, value, "a smaller number")

    def whole(self, key: str) -> int | None:
        value = self.one_of(key, int, "a whole number from 0, or null")
        if value is not None and not 0 <= value < 2**63:
            self.refuse(key, value, "a whole number from 0, or null")
        return value

    def mapping(self, key: str) -> _Fields | None:
        value = self.one_of(key, dict, "an object or null")
        return None if value is None else _Fields(value, self.where, (*self.path, key))

    def need_mapping(self, key: str) -> _Fields:
        return _Fields(self.need(key, dict, "an object"), self.where, (*self.path, key))

    def inside(self, key: str, index: int, value: Any) -> _Fields:
        if not isinstance(value, dict):
            self.refuse(f"{key}[{index}]", value, "an object")
        return _Fields(value, self.where, (*self.path, f"{key}[{index}]"))

    def of_text(self) -> dict[str, str]:
        return {key: self.need(key, str, "text") for key in self.raw}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004
