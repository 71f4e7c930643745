"""Plain data as rules read it: what has the wrong type counts as not there, the models tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rolewise.fleet.spec.problems import Path
from rolewise.fleet.spec.values import parse_share

Finding = tuple[Path, Any, str]
"""Where, the value there (or `NO_VALUE`), what is wanted."""


def as_map(value: Any) -> Mapping[str, Any]:
    """Return a mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_maps(value: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the entries of a mapping that are mappings themselves."""
    return [(key, block) for key, block in as_map(value).items() if isinstance(block, dict)]


def as_list(value: Any) -> list[Any]:
    """Return a list, or an empty one."""
    return value if isinstance(value, list) else []


def as_share(value: Any) -> float | None:
    """Return a share as a fraction, or None."""
    try:
        return parse_share(value)
    except ValueError:
        return None
