"""Events to bytes and back, for the store and for everybody who reads the log.

One entry is one JSON object with the event's `type`, the version `v` of its form, and its fields.
The same event always gives the same bytes. Numbers that JSON does not know are written as
`"Infinity"`, `"-Infinity"` and `"NaN"`.

A field may be added to an event when it has a default, and when an older Rolewise may do without
it: old entries then still read, and new ones are read by it. Any other change gives the type a new
`v`, and the old form a translation here. Who meets a type or a `v` that they do not know reads no
further, and writes nothing (`readable`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from rolewise.coordinator.rollout.events import Event

T = TypeVar("T")
VERSION: Final = 1
_ADAPTERS: Final[dict[str, TypeAdapter[Event]]] = {
    kind.__name__: TypeAdapter(kind) for kind in get_args(Event)
}


class LogUnreadable(Exception):
    """An entry of a rollout's log is damaged, or a newer Rolewise wrote it."""


def readable(
    entries: Iterable[tuple[int, bytes]], decode: Callable[[bytes], T]
) -> tuple[list[T], str]:
    """Return what entries of a log say up to the first that cannot be read, and why it cannot.

    Args:
        entries: With their numbers.
        decode: Returns what an entry says, or raises `LogUnreadable`.
    """
    read: list[T] = []
    for number, data in entries:
        try:
            read.append(decode(data))
        except LogUnreadable as reason:
            return read, f"entry {number} of the log cannot be read: {reason}"
    return read, ""


def encode_event(event: Event) -> bytes:
    """Return an event as the bytes of a log entry."""
    entry = {"type": type(event).__name__, "v": VERSION, **_plain(event)}
    return json.dumps(entry, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()


def decode_event(entry: bytes) -> Event:
    """Return the event of a log entry.

    Raises:
        LogUnreadable: It is no event of a form that is known here; says what it is instead.
    """
    try:
        values = json.loads(entry)
    except ValueError as error:
        raise LogUnreadable(f"log entry is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise LogUnreadable(f"log entry is a {type(values).__name__}: want an object")
    kind, version = values.pop("type", None), values.pop("v", None)
    adapter = _ADAPTERS.get(kind) if isinstance(kind, str) else None
    if adapter is None or version != VERSION:
        raise LogUnreadable(
            f"log entry of type {kind!r}, v = {version!r}: want a known type with v = {VERSION}; "
            "did a newer Rolewise write it?"
        )
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise LogUnreadable(f"log entry {kind}: field {where}: {first['msg']}") from error


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; sets are sorted, so that equal events give equal bytes."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return value
