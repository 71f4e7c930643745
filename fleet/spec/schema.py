"""The JSON Schema of the fleet's file, for editors and for `rolewise schema`."""

from __future__ import annotations

from typing import Any

from rolewise.fleet.spec.models import FleetSpec


def fleet_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a fleet's file.

    It says what single fields take. Rules between fields, such as names that must exist, are
    checked only when the file is read.
    """
    schema: dict[str, Any] = _plain(FleetSpec.model_json_schema())
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Rolewise fleet"
    return schema


def _plain(node: Any) -> Any:
    """Drop what pydantic adds and nobody needs: titles, `null` for keys that are left out."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {
        key: {name: _plain(value) for name, value in inside.items()}
        if key in {"properties", "$defs"}
        else _plain(inside)
        for key, inside in node.items()
        if key != "title" and not (key == "default" and inside is None)
    }
    forms = plain.get("anyOf", [])
    if {"type": "null"} in forms:
        forms = [form for form in forms if form != {"type": "null"}]
        del plain["anyOf"]
        plain = {**(forms[0] if len(forms) == 1 else {"anyOf": forms}), **plain}
    return plain
