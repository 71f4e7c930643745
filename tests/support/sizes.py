"""How large an object is, with all that it keeps alive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def size_of(thing: Any) -> int:
    """Return the bytes of an object and of all that it refers to; arrays with their data."""
    return sum(_sizes(thing, set()))


def _sizes(thing: Any, seen: set[int]) -> Iterator[int]:
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType) or callable(one):
            continue
        seen.add(id(one))
        yield sys.getsizeof(one)
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset) or type(one).__name__ == "deque":
            waiting += list(one)
        else:
            waiting += list(getattr(one, "__dict__", {}).values())
            slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
            waiting += [getattr(one, name) for name in slots if hasattr(one, name)]
            base = getattr(one, "base", None)  # of a view of an array, which keeps all of it
            if base is not None:
                waiting.append(base)
