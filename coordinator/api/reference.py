"""Writes the reference pages of the API from what it says of itself.

`python -m rolewise.coordinator.api.reference rest > docs/reference/rest.md` and
`python -m rolewise.coordinator.api.reference errors > docs/reference/errors.md`; a test fails when
a page is out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rolewise.coordinator.api.app import create_app
from rolewise.coordinator.errors import ERROR_KINDS
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.journal import Journal
from rolewise.coordinator.store.memory import MemoryStore
from rolewise.fleet.local.clock import LoopClock

_NOTE = "Generated; write it anew with\n`python -m rolewise.coordinator.api.reference {0} > {1}`."


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of a server without fleets."""
    journal = Journal(MemoryStore(LoopClock()), lambda: datetime.now(UTC))
    fleets = Fleets(journal=journal, runtimes={}, draw_salt=str)
    return create_app(fleets).openapi()


def render_rest() -> str:
    """Return the reference page of the API, in Markdown."""
    document = openapi_document()
    lines = ["# REST API", "", _NOTE.format("rest", "docs/reference/rest.md")]
    lines += ["", "A running server shows the same at `/docs`, and as OpenAPI at `/openapi.json`."]
    lines += ["", document["info"]["description"].strip()]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            lines += ["", f"## {method.upper()} {path}", "", *_operation(operation, document)]
    lines += ["", "# Forms", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [*_form(name, schema), ""]
    return "\n".join(lines).rstrip() + "\n"


def render_errors() -> str:
    """Return the reference page of all errors, in Markdown."""
    lines = [
        "# Errors",
        "",
        _NOTE.format("errors", "docs/reference/errors.md"),
        "",
        "The API answers with `application/problem+json` (RFC 9457); the command line prints the",
        "same message and ends with the exit code. *Definite*: surely nothing happened.",
        "",
        "| code | HTTP | exit | definite | what it means and what to do |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{kind.code}` | {kind.status} | {kind.exit_code} | {'yes' if kind.definite else 'no'} "
        f"| {kind.title}. {kind.meaning} |"
        for kind in ERROR_KINDS.values()
    ]
    return "\n".join(lines) + "\n"


def _operation(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f"{operation['summary']}."
    if "description" in operation:
        yield ""
        yield operation["description"]
    if parameters := operation.get("parameters"):
        yield from ("", "| parameter | in | form | |", "| --- | --- | --- | --- |")
        for one in parameters:
            says = one.get("description", "")
            yield f"| `{one['name']}` | {one['in']} | {_type(one['schema'])} | {says} |"
    if body := operation.get("requestBody"):
        yield from _body(body, document)
    yield from ("", "| answer | form | |", "| --- | --- | --- |")
    for status, answer in sorted(operation["responses"].items()):
        forms = [
            _type(content["schema"]) if media_type.endswith("json") else f"`{media_type}`"
            for media_type, content in answer.get("content", {}).items()
        ]
        codes = [
            f"`{code}`"
            for content in answer.get("content", {}).values()
            for code in content.get("examples", {})
        ]
        says = ", ".join(codes) or answer["description"]
        yield f"| {status} | {', '.join(forms)} | {says} |"


def _body(body: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    if "application/json" not in body["content"]:
        media_types = " or ".join(f"`{media_type}`" for media_type in body["content"])
        yield from ("", f"Body: {media_types}. {body['description']}")
        return
    schema = body["content"]["application/json"]["schema"]
    example = document["components"]["schemas"][_named(schema)]["examples"][0]
    yield from ("", f"Body: {_type(schema)}", "", "```json", json.dumps(example), "```")


def _form(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield _one_line(schema.get("description", ""))
    if "enum" in schema:
        yield from ("", f"One of {_words(schema['enum'])}.")
    if properties := schema.get("properties"):
        yield from ("", "| field | form | |", "| --- | --- | --- |")
        for field, one in properties.items():
            yield f"| `{field}` | {_type(one)} | {_one_line(one.get('description', ''))} |"


def _type(schema: Mapping[str, Any]) -> str:
    if name := _named(schema, own=True):
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return _words(schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "any"))
    if kind == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if items else "list"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_type(schema['additionalProperties'])}"
    return f"{kind}, {schema['format']}" if "format" in schema else kind


def _named(schema: Mapping[str, Any], *, own: bool = False) -> str:
    """Return the name of the form that a schema refers to, or that one of its choices does."""
    for one in (schema,) if own else (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            return str(one["$ref"]).rpartition("/")[2]
    return ""


def _words(values: list[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES = {"rest": render_rest, "errors": render_errors}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())
