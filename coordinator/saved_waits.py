"""Snapshots of waits as files: written by `rolewise graph waits --save`, read to be analysed later.

Ids are text here, whatever they are in the fleet; a reading gives them numbers, the same in both
files of a pair, and the answer names them as the files do.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.views.waits import AnalysisView, view_analysis
from rolewise.graphs.deadlock import analyse_waits
from rolewise.graphs.rounds import Round
from rolewise.graphs.snapshot_columns import read_round, read_snapshots
from rolewise.graphs.snapshots import Lock, QueuedMessage, ReplicaSnapshot, RunningInvocation

_MUTUAL_ASK = {
    "replicas": [
        {
            "replica": "negotiator#1",
            "role": "negotiator",
            "version": "v2",
            "slots": 1,
            "running": [
                {
                    "id": "i5",
                    "epoch": 3,
                    "task": "t81",
                    "state": "wait",
                    "waits": [{"reply": "m9"}],
                    "need": 1,
                    "deadline": None,
                    "since": 12.4,
                }
            ],
            "queue": [{"id": "m7", "epoch": 1, "task": "t81", "caller": "m9", "since": 1.0}],
        },
        {
            "replica": "supplier#1",
            "role": "supplier",
            "version": "v1",
            "slots": 1,
            "running": [
                {
                    "id": "m9",
                    "epoch": 2,
                    "task": "t81",
                    "state": "wait",
                    "waits": [{"reply": "m7"}],
                    "need": 1,
                    "since": 12.1,
                }
            ],
        },
    ]
}
EXAMPLE_PAIR: dict[str, Any] = {"snapshot": _MUTUAL_ASK, "later": _MUTUAL_ASK}

_SHOWN = 60
_PROBLEMS_TOLD = 20

Id = Annotated[str, Field(min_length=1, max_length=500)]
Whole = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Saved(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SavedWait(_Saved):
    """One thing that an invocation waits for: a reply or a lock."""

    reply: Id | None = None
    """Id of the message whose reply it is; the invocation that handles it has the same id."""
    lock: Id | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.reply is None) == (self.lock is None):
            raise ValueError('want exactly one of reply and lock: {"reply": "m9"}')
        return self


class SavedInvocation(_Saved):
    """An invocation that holds a slot."""

    id: Id
    epoch: Whole = 0
    """Counts changes of what it waits for."""
    task: str = ""
    state: Literal["active", "wait"]
    """`active`: it computes, or awaits something outside the fleet."""
    waits: tuple[SavedWait, ...] = ()
    need: Whole | None = None
    """How many of `waits` must be met; all, when it is left out."""
    deadline: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """When the wait ends by itself, on the clock of `at`; null: never."""
    since: Seconds = 0.0
    """Seconds that it has waited."""
    arm: Literal["none", "baseline", "canary"] = "none"
    kind: str = ""


class SavedMessage(_Saved):
    """A message that waits for a slot."""

    id: Id
    epoch: Whole = 0
    task: str = ""
    caller: str | None = None
    """The invocation that sent it."""
    since: Seconds = 0.0
    arm: Literal["none", "baseline", "canary"] = "none"
    kind: str = ""
    pool: tuple[Id, ...] = ()
    """Replicas that it may still go to; none: this one only."""


class SavedLock(_Saved):
    """A lock that is held."""

    id: Id
    epoch: Whole = 0
    holders: tuple[Id, ...] = ()
    mode: Literal["exclusive", "shared", "semaphore"] = "exclusive"
    permits: Whole = 0
    """Of a semaphore, how many may hold it; 0: as many as do."""
    name: str = ""


class SavedReplica(_Saved):
    """What one replica said of itself."""

    replica: Id
    role: Id
    version: Id
    slots: Annotated[int, Field(ge=1)]
    capacity_epoch: Whole = 0
    running: tuple[SavedInvocation, ...] = ()
    queue: tuple[SavedMessage, ...] = ()
    """It waits for the replica's slots."""
    locks: tuple[SavedLock, ...] = ()
    incarnation: str = ""
    """Tells lives of the replica apart."""
    table: Whole = 0
    loop_lag_s: Seconds = 0.0
    """How long its event loop has not turned."""


class SavedSnapshot(_Saved):
    """One round of snapshots: each replica's waits, asked at about the same time."""

    replicas: tuple[SavedReplica, ...]
    blind: tuple[Id, ...] = ()
    """Replicas that did not answer."""
    at: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """When it was taken, on the clock of the deadlines; null: not known."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name, times in Counter(replica.replica for replica in self.replicas).items():
            if times > 1:
                raise ValueError(f"replica {name!r} is given {times} times: want each once")
        return self


class SavedPair(_Saved):
    """A snapshot to analyse, with a later one that confirms it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_PAIR]})

    snapshot: SavedSnapshot
    later: SavedSnapshot | None = None
    """Taken after all replicas had answered for the first; only waits in both count then."""


@dataclass(slots=True)
class _Numbers:
    """Numbers for ids that are text; messages and locks have ids of their own."""

    messages: dict[str, int] = field(default_factory=dict)
    locks: dict[str, int] = field(default_factory=dict)

    def message(self, name: str) -> int:
        return self.messages.setdefault(name, len(self.messages) + 1)

    def lock(self, name: str) -> int:
        return self.locks.setdefault(name, len(self.locks) + 1)


_ARMS: Sequence[Literal["none", "baseline", "canary"]] = ("none", "baseline", "canary")


def analyse_saved(pair: SavedPair) -> AnalysisView:
    """Say what is stuck in one snapshot, or in two by the waits that stand in both."""
    numbers = _Numbers()
    first = _round(pair.snapshot, numbers)
    later = None if pair.later is None else _round(pair.later, numbers)
    names = {number: name for name, number in numbers.messages.items()}
    return view_analysis(analyse_waits(first, later), names)


def save_round(round_: Round, *, at: float) -> SavedSnapshot:
    """Return a round as it is saved."""
    return SavedSnapshot(
        replicas=tuple(_saved(one, at) for one in read_snapshots(round_.ordered())),
        blind=round_.blind,
        at=at,
    )


def read_saved(path: Path) -> SavedSnapshot:
    """Read a saved snapshot.

    Raises:
        RolewiseError: `bad_input`, with the path, the value and what is allowed of every problem.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RolewiseError("bad_input", f"{path} cannot be read: {error.strerror}") from error
    try:
        return SavedSnapshot.model_validate_json(text, strict=True)
    except ValidationError as error:
        lines = tuple(f"{path}: {line}" for line in _problems(error))
        hint = "what a file looks like: rolewise graph waits FLEET --save FILE"
        more = lines[: _PROBLEMS_TOLD + 1] if len(lines) > 1 else ()
        raise RolewiseError("bad_input", lines[0], hint=hint, details=more) from error


def _problems(error: ValidationError) -> Iterator[str]:
    for one in error.errors():
        where = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in one["loc"]
        ).removeprefix(".")
        message = str(one["msg"]).removeprefix("Value error, ")
        if one["type"] == "missing":
            yield f"{where}: is missing"
            continue
        if one["type"] == "json_invalid":
            yield message
            continue
        if one["type"] == "extra_forbidden":
            message = "is unknown here"
        message = message.replace("Input should be ", "want ", 1)
        value = one.get("input")
        shown = "" if isinstance(value, Mapping | list) else f" = {_short(value)}"
        yield f"{where or 'the file'}{shown}: {message}"


def _short(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=repr)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _round(saved: SavedSnapshot, numbers: _Numbers) -> Round:
    snapshots = (
        ReplicaSnapshot(
            replica=one.replica,
            role=one.role,
            version=one.version,
            slots=one.slots,
            capacity_epoch=one.capacity_epoch,
            incarnation=one.incarnation,
            table=one.table,
            loop_lag_s=one.loop_lag_s,
            running=tuple(_running(each, saved.at, numbers) for each in one.running),
            queue=tuple(_queued(each, numbers) for each in one.queue),
            locks=tuple(
                Lock(
                    id=numbers.lock(each.id),
                    epoch=each.epoch,
                    holders=tuple(numbers.message(holder) for holder in each.holders),
                    mode=each.mode,
                    permits=each.permits,
                    name=each.name or each.id,
                )
                for each in one.locks
            ),
        )
        for one in saved.replicas
    )
    return read_round(snapshots, blind=saved.blind)


def _running(one: SavedInvocation, at: float | None, numbers: _Numbers) -> RunningInvocation:
    deadline = one.deadline
    if deadline is not None:
        deadline = math.inf if at is None else max(0.0, deadline - at)
    waits = tuple(numbers.message(wait.reply) for wait in one.waits if wait.reply is not None)
    locks = tuple(numbers.lock(wait.lock) for wait in one.waits if wait.lock is not None)
    return RunningInvocation(
        id=numbers.message(one.id),
        epoch=one.epoch,
        task=one.task,
        state=one.state,
        waits=waits,
        locks=locks,
        need=len(one.waits) if one.need is None else one.need,
        deadline=deadline,
        since=one.since,
        arm=_ARMS.index(one.arm),
        kind=one.kind,
    )


def _queued(one: SavedMessage, numbers: _Numbers) -> QueuedMessage:
    return QueuedMessage(
        id=numbers.message(one.id),
        epoch=one.epoch,
        task=one.task,
        caller=numbers.message(one.caller) if one.caller else 0,
        pool=one.pool,
        since=one.since,
        arm=_ARMS.index(one.arm),
        kind=one.kind,
    )


def _saved(one: ReplicaSnapshot, at: float) -> SavedReplica:
    return SavedReplica(
        replica=one.replica,
        role=one.role,
        version=one.version,
        slots=one.slots,
        capacity_epoch=one.capacity_epoch,
        incarnation=one.incarnation,
        table=one.table,
        loop_lag_s=one.loop_lag_s,
        running=tuple(
            SavedInvocation(
                id=str(each.id),
                epoch=each.epoch,
                task=each.task,
                state=each.state,
                waits=(
                    *(SavedWait(reply=str(wait)) for wait in each.waits),
                    *(SavedWait(lock=str(lock)) for lock in each.locks),
                ),
                need=each.need,
                deadline=None if each.deadline is None else at + each.deadline,
                since=each.since,
                arm=_ARMS[each.arm],
                kind=each.kind,
            )
            for each in one.running
        ),
        queue=tuple(
            SavedMessage(
                id=str(each.id),
                epoch=each.epoch,
                task=each.task,
                caller=str(each.caller) if each.caller else None,
                since=each.since,
                arm=_ARMS[each.arm],
                kind=each.kind,
                pool=each.pool,
            )
            for each in one.queue
        ),
        locks=tuple(
            SavedLock(
                id=str(each.id),
                epoch=each.epoch,
                holders=tuple(str(holder) for holder in each.holders),
                mode=each.mode,
                permits=each.permits,
                name=each.name,
            )
            for each in one.locks
        ),
    )
