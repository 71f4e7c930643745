"""What kind of reply a reply is: the fleet's word for it, where the body has one.

Requests and events have a kind; a reply only has a body. Its kind is what the next choice of
whoever asked depends on, so the pattern tests need it: more rejections are another thing than
another way of dealing with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

FIELDS = ("kind", "type", "verdict", "decision", "status", "outcome", "action")
"""Fields that say it, the first that is there."""

_NAMES = frozenset(FIELDS)
_FEW = 16
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
        is_mapping = True
    elif kind in _PLAIN:
        return ""
    elif isinstance(body, _WORDS):
        return _word(body)
    else:
        is_mapping = isinstance(body, Mapping)
    for name in FIELDS:
        value = body.get(name) if is_mapping else getattr(body, name, None)
        if value is not None and (word := _word(value)):
            return word
    if is_mapping:
        return ""
    has_fields = hasattr(kind, "model_fields") or hasattr(kind, "__dataclass_fields__")
    return kind.__name__ if has_fields else ""


def _word(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    return value.lower() if isinstance(value, str) and _WORD.fullmatch(value) else ""
