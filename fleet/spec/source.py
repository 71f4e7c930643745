"""YAML text to plain data, with the place of every key and value.

The node tree of ruamel.yaml is read instead of its loaded objects: it has the place of keys and
of values, also of those that came in by an alias, and it lets all duplicate keys be told at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from rolewise.fleet.spec.problems import NO_VALUE, Path, Problem, SpecError, dotted

_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 200_000
"""Aliases of aliases can make a short text expand without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file's data and where each part of it stands.

    Attributes:
        data: Mappings, lists, text, numbers, booleans, None.
        keys: Path -> line and column, from 1, of the key (of the value for list items).
        values: Path -> line and column of the value.
        problems: Duplicate keys, keys that are no text, unknown tags: left out of `data`.
    """

    file: str
    data: Any
    keys: dict[Path, tuple[int, int]]
    values: dict[Path, tuple[int, int]]
    problems: tuple[Problem, ...]

    def problem(self, path: Path, message: str, *, value: Any = NO_VALUE) -> Problem:
        """Return a problem at `path`, or at the nearest part above it that is in the file."""
        places = self.keys if value is NO_VALUE else self.values
        at = path
        while at and at not in places:
            at = at[:-1]
        line, column = places.get(at, (1, 1))
        return Problem(
            file=self.file, line=line, column=column, key=dotted(path), value=value, message=message
        )


def read_source(text: str, file: str, *, begins: str = "fleet:") -> Source:
    """Read YAML (or JSON, which is YAML) without making objects of any kind but plain data.

    Args:
        text: All of the file.
        file: What problems call it.
        begins: What an empty file is told to begin with.

    Raises:
        SpecError: It is no YAML, or empty.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        words = ", ".join(part for part in (error.context, error.problem) if part)
        raise SpecError([_at(file, line, column, f"this is not YAML: {words}")]) from None
    except (YAMLError, RecursionError) as error:
        words = str(error).partition("\n")[0]
        raise SpecError([_at(file, 1, 1, f"this is not YAML: {words}")]) from None
    if root is None:
        words = f"the file is empty: want a mapping that begins `{begins}`"
        raise SpecError([_at(file, 1, 1, words)])
    reader = _Reader(file=file, construct=yaml.constructor.construct_object)
    try:
        data = reader.read(root, ())
    except RecursionError:
        raise SpecError([_at(file, 1, 1, "blocks are nested too deeply")]) from None
    return Source(
        file=file,
        data=data,
        keys=reader.keys,
        values=reader.values,
        problems=tuple(reader.problems),
    )


def _at(file: str, line: int, column: int, message: str) -> Problem:
    return Problem(file=file, line=line, column=column, key="", value=NO_VALUE, message=message)


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Walks the node tree once; collects places and problems."""

    file: str
    construct: Any
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def read(self, node: Node, path: Path) -> Any:
        self.values[path] = _place(node)
        self.keys.setdefault(path, _place(node))
        if len(self.values) > _MOST_VALUES:
            raise SpecError([_at(self.file, *_place(node), f"more than {_MOST_VALUES} values")])
        if id(node) in self.open:
            self._add(node, path, "an alias may not contain itself")
            return None
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        try:
            if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, path)
            if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
                return [self.read(item, (*path, i)) for i, item in enumerate(node.value)]
        finally:
            self.open.discard(id(node))
        self._add(node, path, f"unknown tag {node.tag}")
        return None

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in self._pairs(node):
            if not isinstance(key_node, ScalarNode) or key_node.tag != f"{_TAG}str":
                shown = key_node.value if isinstance(key_node, ScalarNode) else "a block"
                self._add(key_node, path, f'{shown} is no name: want text, as "name" in quotes')
                continue
            key = self._text(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if key in data:
                first = self.keys[here][0]
                self._add(key_node, here, f"given twice; the first is in line {first}")
                continue
            self.keys[here] = _place(key_node)
            data[key] = self.read(value_node, here)
        return data

    def _pairs(self, node: MappingNode) -> list[tuple[Node, Node]]:
        """Return keys and values with `<<` resolved: the mapping's own keys win, then the first."""
        pairs = [pair for pair in node.value if pair[0].tag != f"{_TAG}merge"]
        for _, merged in (pair for pair in node.value if pair[0].tag == f"{_TAG}merge"):
            for source in merged.value if isinstance(merged, SequenceNode) else [merged]:
                if isinstance(source, MappingNode) and source is not node:
                    taken = {str(key.value) for key, _ in pairs}
                    pairs += [
                        pair for pair in self._pairs(source) if str(pair[0].value) not in taken
                    ]
                else:
                    self._add(merged, (), "<<: want an alias of another mapping")
        return pairs

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        if node.tag in {f"{_TAG}str", f"{_TAG}timestamp"}:
            return self._text(node, path)
        if node.tag not in {f"{_TAG}{name}" for name in ("int", "float", "bool", "null")}:
            self._add(node, path, f"unknown tag {node.tag}")
            return None
        try:
            value = self.construct(node)
        except ValueError:
            self._add(node, path, f"{node.value} is no value of the type {node.tag}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._add(node, path, f"{node.value}: want a finite number")
            return None
        return value

    def _text(self, node: ScalarNode, path: Path) -> str | None:
        r"""Join the halves in which JSON escapes a character (`\ud83e\udd16`); YAML does not."""
        try:
            return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._add(node, path, "half a character: want both of its escapes, or none")
            return None

    def _add(self, node: Node, path: Path, message: str) -> None:
        line, column = _place(node)
        self.problems.append(
            Problem(
                file=self.file,
                line=line,
                column=column,
                key=dotted(path),
                value=NO_VALUE,
                message=message,
            )
        )


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
