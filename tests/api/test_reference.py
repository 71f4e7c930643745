"""The API describes itself: an example for everything, pages that are current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from rolewise.coordinator import views
from rolewise.coordinator.api import examples
from rolewise.coordinator.api.reference import PAGES, openapi_document
from rolewise.fleet.spec.schema import fleet_schema

DOCS = Path(__file__).parents[2] / "docs" / "reference"
DOCUMENT = openapi_document()


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_current(name: str):
    page = DOCS / f"{name}.md"
    assert page.read_text() == PAGES[name](), (
        f"write it anew: python -m rolewise.coordinator.api.reference {name} > {page}"
    )


@pytest.mark.parametrize(("name", "operation"), list(operations()))
def test_every_operation_has_summary_description_and_examples(name: str, operation: dict[str, Any]):
    assert operation["summary"]
    assert operation["description"]
    usual = [
        answer for status, answer in operation["responses"].items() if status in {"200", "202"}
    ]
    contents = [content for answer in usual for content in answer["content"].values()]
    assert any("example" in content for content in contents), name
    for status, answer in operation["responses"].items():
        if int(status) >= 400 and name != "get /readyz":
            assert "application/problem+json" in answer["content"]
            assert answer["content"]["application/problem+json"]["examples"]
    body = operation.get("requestBody", {"content": {}})
    if body["content"] and "application/json" not in body["content"]:
        assert body["description"], "a file, which has no fields to describe"
    elif body["content"]:
        schema = body["content"]["application/json"]["schema"]
        refs = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
        form = DOCUMENT["components"]["schemas"][refs[0].rpartition("/")[2]]
        assert form["examples"]


def test_every_reference_leads_somewhere():
    def refs(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for value in node.values():
                yield from refs(value)
        elif isinstance(node, list):
            for value in node:
                yield from refs(value)

    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(refs(DOCUMENT)) <= known


def test_examples_survive_json():
    for name, example in vars(examples).items():
        if isinstance(example, views.View):
            again = TypeAdapter(type(example)).validate_json(example.to_json())
            assert again == example, name


async def test_the_schema_of_fleet_files_is_served(client: httpx.AsyncClient):
    assert (await client.get("/v1/schema")).json() == fleet_schema()
