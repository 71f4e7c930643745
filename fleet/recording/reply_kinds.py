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

_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")


def reply_kind(body: Any) -> str:
    """Return the kind of a reply; empty when it says none.

    Args:
        body: The reply. Of a model or dataclass without such a field it is the class's name.

    Notes:
        Only single words count, and no digits: kinds are few and come again.
    """
    if isinstance(body, Enum):
        body = body.value
    if isinstance(body, str):
        return body.lower() if _WORD.fullmatch(body) else ""
    is_mapping = isinstance(body, Mapping)
    for name in FIELDS:
        value = body.get(name) if is_mapping else getattr(body, name, None)
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, str) and _WORD.fullmatch(value):
            return value.lower()
    has_fields = hasattr(type(body), "model_fields") or hasattr(type(body), "__dataclass_fields__")
    return type(body).__name__ if has_fields else ""
