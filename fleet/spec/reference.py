"""The reference page of the fleet's file, written from the models.

`python -m rolewise.fleet.spec.reference` writes it and the JSON Schema anew; a test fails while
either is not what the models say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rolewise.fleet.spec.schema import fleet_schema

_HEAD = """\
# Configuration: the fleet's file

Written from the models in `fleet/spec`; change them, not this page.

One YAML file says what a fleet runs and how it moves. Unknown keys are errors. Durations have a
unit (`500ms`, `10s`, `5m`, `1h30m`), shares are written `5%` or `0.05`, sizes `256MiB`. Every
problem is told with file, line and column, all of them at once. Editors can check the file while
it is written: begin it with `# yaml-language-server: $schema=fleet.schema.json`, the path of
`configs/fleet.schema.json`.
"""


def write_reference() -> str:
    """Return the page as Markdown: one table for each block of the file."""
    schema = fleet_schema()
    blocks = {"Fleet": schema, **{_block(name): node for name, node in schema["$defs"].items()}}
    order = ["Fleet", *_reached(schema, schema["$defs"])]
    return _HEAD + "".join(_section(name, blocks[name]) for name in order)


def published_files() -> dict[str, str]:
    """Return what is generated from the models: path in the repository -> text."""
    schema = json.dumps(fleet_schema(), indent=2, ensure_ascii=False) + "\n"
    return {
        "configs/fleet.schema.json": schema,
        "docs/reference/configuration.md": write_reference(),
    }


def _block(name: str) -> str:
    return name.removesuffix("Spec")


def _reached(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[str]:
    """Return the blocks below a node in the order in which a reader meets them."""
    found: list[str] = []
    waiting = [node]
    while waiting:
        for name in _references(waiting.pop(0).get("properties", {})):
            if _block(name) not in found:
                found.append(_block(name))
                waiting.append(definitions[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for inside in node.values():
            yield from _references(inside)
    elif isinstance(node, list):
        for inside in node:
            yield from _references(inside)


def _section(name: str, node: Mapping[str, Any]) -> str:
    lines = [f"\n## {name}\n", f"{node['description']}\n"]
    lines += ["| key | takes | default | meaning |", "|---|---|---|---|"]
    required = node.get("required", [])
    for key, field in node["properties"].items():
        meaning, _, otherwise = field["description"].partition(" Else ")
        default = "required" if key in required else otherwise.rstrip(".") or _default(field)
        lines.append(f"| `{key}` | {_takes(field)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if default is None or default == []:
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _takes(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = _block(field["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_takes(form) for form in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "examples" in field:
        return ", ".join(f"`{value}`" for value in field["examples"])
    match field.get("type"):
        case "array":
            return f"list of {_takes(field['items'])}"
        case "object":
            inside = list(field.get("patternProperties", {}).values())
            return f"name: {_takes(inside[0])}" if inside else "mapping"
        case "string":
            return "text"
        case "boolean":
            return "`true`, `false`"
        case _:
            return _range(field)


def _range(field: Mapping[str, Any]) -> str:
    words = "whole number" if field.get("type") == "integer" else "number"
    if "exclusiveMinimum" in field:
        words += f" above {field['exclusiveMinimum']:g}"
    if "minimum" in field:
        words += f" from {field['minimum']:g}"
    largest = field.get("maximum", float("inf"))
    return words if largest >= 10**9 else f"{words} to {largest:g}"


if __name__ == "__main__":
    for path, text in published_files().items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
