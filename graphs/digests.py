"""Two hashes of a message in one number: is it the same again, and is it the same but for words?

Loops are found by comparing these, never by keeping content. A digest has 64 bits and never is 0,
which stands for "none". Its low half is the *shape*: who to whom, kind, which fields, their
one-word values and the size of their numbers, but no free text; it finds loops of language models,
which rarely repeat a text exactly. The whole number is the *exact* digest: all content, but for
fields that change by themselves; it finds loops of programs. Versions are left out, so that tasks
of a mixed fleet compare.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

NONE: Final = 0
SHAPE_MASK: Final = 0xFFFF_FFFF

VOLATILE: Final = frozenset(
    {
        *("message_id", "msg_id", "request_id", "correlation_id", "call_id", "tool_call_id"),
        *("trace_id", "span_id", "trace", "traceparent", "nonce", "uuid"),
        *("time", "timestamp", "ts", "at", "sent_at", "created_at", "updated_at", "deadline"),
        *("attempt", "attempts", "retry", "retries", "turn", "round", "iteration", "seq"),
    }
)
"""Fields that differ between two messages that say the same. An `id` is left out only when it
looks drawn at random: of two orders, the ids are the content."""

_KEY = b"rolewise message digest"
_RANDOM_ID = re.compile(r"[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_DEEPEST = 12
_LONG_TEXT = 4096
_LONGEST_WORD = 40

Digests = npt.NDArray[np.uint64]


def digest(sender: str, to: str, kind: str, body: Any) -> int:
    """Return the digest of a message.

    Args:
        sender: Role that sends it.
        to: Role that it is for.
        kind: Its kind.
        body: JSON values, mappings, dataclasses, models, objects: whatever a body may be.

    Notes:
        Linear in the body. Texts are compared lower-cased with white space folded, numbers to 6
        digits, mappings whatever their order; a text above 4096 characters as it stands.
    """
    exact, shape = _fold(body, 0)
    head = [sender, to, kind]
    return (_hash(_encode([head, exact])) << 32 | _hash(_encode([head, shape]))) or 1


def shapes(digests: Digests) -> Digests:
    """Return the shape of each digest."""
    return digests & np.uint64(SHAPE_MASK)


def _hash(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=4, key=_KEY).digest(), "little")


def _fold(value: Any, depth: int) -> tuple[Any, Any]:
    """Return what a value is compared by: exactly, and in shape; both of JSON values."""
    if value is None or isinstance(value, bool):
        return value, value
    if isinstance(value, Enum):
        return _fold(value.value, depth)
    if isinstance(value, str):
        return _fold_text(value)
    if isinstance(value, int | float):
        return _fold_number(value)
    if depth == _DEEPEST:
        return "...", "..."
    if isinstance(value, Mapping):
        return _fold_fields(value.items(), depth)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"bytes:{_hash(bytes(value).hex())}", "bytes"
    if isinstance(value, list | tuple):
        return _fold_items(value, depth)
    if isinstance(value, set | frozenset):
        parts = [_fold(item, depth + 1) for item in value]
        return sorted((exact for exact, _ in parts), key=repr), _distinct(s for _, s in parts)
    return _fold_object(value, depth)


def _fold_text(value: str) -> tuple[Any, Any]:
    if len(value) > _LONG_TEXT:
        return f"text:{len(value)}:{_hash(value)}", "text"
    folded = " ".join(value.lower().split())
    is_word = 0 < len(folded) <= _LONGEST_WORD and " " not in folded
    return folded, folded if is_word and not _RANDOM_ID.fullmatch(folded) else "text"


def _fold_number(value: float) -> tuple[Any, Any]:
    if isinstance(value, int):
        exact = str(value)
    elif math.isfinite(value):
        exact = f"{value:.6g}"
    else:
        return str(value), str(value)
    size = abs(value)
    octave = int(size).bit_length() if size >= 1 else round(math.log2(size)) if size else "zero"
    return f"#{exact}", f"#{'-' if value < 0 else ''}{octave}"


def _fold_fields(fields: Iterable[tuple[Any, Any]], depth: int) -> tuple[Any, Any]:
    exact: dict[str, Any] = {}
    shape: dict[str, Any] = {}
    for key, value in fields:
        name = str(key)
        if name.lower() in VOLATILE:
            continue
        if name.lower() == "id" and isinstance(value, str) and _RANDOM_ID.fullmatch(value):
            continue
        exact[name], shape[name] = _fold(value, depth + 1)
    return exact, shape


def _fold_items(items: Iterable[Any], depth: int) -> tuple[Any, Any]:
    parts = [_fold(item, depth + 1) for item in items]
    return [exact for exact, _ in parts], _distinct(shape for _, shape in parts)


def _fold_object(value: Any, depth: int) -> tuple[Any, Any]:
    """Fold an object by its fields: dataclasses, models and plain classes alike."""
    names = getattr(type(value), "__dataclass_fields__", None)
    if names is not None:
        return _fold_fields(((name, getattr(value, name, None)) for name in names), depth)
    if isinstance(value, np.ndarray):
        return f"array:{_hash(value.tobytes().hex())}", f"array:{value.dtype}"
    fields = getattr(value, "__dict__", None)
    if fields:
        return _fold_fields(fields.items(), depth)
    text = str(value)
    # The default text of an object holds its address, which differs for equal objects.
    return _fold_text(type(value).__qualname__ if " at 0x" in text else text)


def _distinct(shapes_of_items: Iterable[Any]) -> list[Any]:
    """Return the shapes that occur, in one order: how many items there are is not shape."""
    seen = {_encode(shape): shape for shape in shapes_of_items}
    return [seen[text] for text in sorted(seen)]
