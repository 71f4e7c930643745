"""What is wrong with a fleet's file: each problem with its place, its value and what is wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the file to one value."""

_SHOWN = 60


class NoValue:
    """Stands for a value that a message should not show: none is there, or it is a whole block."""

    __slots__ = ()


NO_VALUE = NoValue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, for people and editors.

    Attributes:
        line: From 1.
        column: From 1.
        key: Dotted path of the key, such as `roles.supplier.slots`; empty for the whole file.
        value: The value found there, or `NO_VALUE`.
        message: What is wanted instead.
    """

    file: str
    line: int
    column: int
    key: str
    value: Any
    message: str

    def __str__(self) -> str:
        what = self.key
        if not isinstance(self.value, NoValue):
            what = f"{what} = {show(self.value)}"
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place} {what}: {self.message}" if what else f"{place} {self.message}"


class SpecError(ValueError):
    """A fleet's file cannot be used. `problems` holds all that is wrong, in order of place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def dotted(path: Path) -> str:
    """Write a path as people do: `releases.v2`, `strategy.canary.steps[3].set_weight`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def show(value: Any) -> str:
    """Write a value in one short line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `did you mean X?` or, when nothing is near, the list of what there is."""
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in word).replace("-", "_")
    near = [snake] if snake in known else get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"want one of {', '.join(known)}" if known else "there are none"
