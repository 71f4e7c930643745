"""What kind of reply a reply is: the fleet's word for it, where the body has one.

Requests and events have a kind; a reply only has a body. Its kind is what the next choice of
whoever asked depends on, so the pattern tests need it: more rejections are another thing than
another way of dealing with them.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, cast

FIELDS = ("kind", "type", "verdict", "decision", "status", "outcome", "action")
"""Fields that say it, the first that is there."""

_NAMES = frozenset(FIELDS)
_FEW = 16
_CLASSES_KEPT = 1024
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
_PLAIN = frozenset(
    {type(None), bool, int, float, complex, bytes, bytearray, list, tuple, set, frozenset}
)
"""They say none, and are not worth a look: one is taken at every reply."""
_WORDS = (str, Enum)


def reply_kind(body: Any) -> str:
    """Return the kind of a reply; empty when it says none.

    Args:
        body: The reply. Of a model or dataclass without such a field it is the class's name.

    Notes:
        Only single words count, and no digits: kinds are few and come again.
    """
    kind = type(body)
    if kind is dict:  # what most are: so it is looked at first, and by as little as will do
        if len(body) <= _FEW and _NAMES.isdisjoint(body):
            return ""
    elif kind in _PLAIN:
        return ""
    elif isinstance(body, _WORDS):
        return _word(body)
    elif not isinstance(body, Mapping):
        fields, name = _said_by(cast("Hashable", kind))
        for field in fields:
            value = getattr(body, field, None)
            if value is not None and (word := _word(value)):
                return word
        return name
    for field in FIELDS:
        value = body.get(field)
        if value is not None and (word := _word(value)):
            return word
    return ""


@lru_cache(maxsize=_CLASSES_KEPT)
def _said_by(kind: Any) -> tuple[tuple[str, ...], str]:
    """Return what to look at in objects of a class, and their kind if that says nothing.

    To ask a model for a field that it has not costs a microsecond, and there are seven.
    """
    config = getattr(kind, "model_config", None)
    known = getattr(kind, "model_fields", None)
    if known is None:
        known = getattr(kind, "__dataclass_fields__", None)
    if known is None:
        return FIELDS, ""
    if isinstance(config, dict) and config.get("extra") == "allow":
        return FIELDS, kind.__name__
    return tuple(name for name in FIELDS if name in known or hasattr(kind, name)), kind.__name__


def _word(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    return value.lower() if isinstance(value, str) and _WORD.fullmatch(value) else ""
