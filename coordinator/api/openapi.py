"""The OpenAPI document: an example for every answer, and problems in their own form."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from rolewise.coordinator.api.examples import PROBLEMS
from rolewise.coordinator.api.problems import MEDIA_TYPE, FieldProblem, Problem
from rolewise.coordinator.errors import ERROR_KINDS

ALWAYS = ("unauthorized", "forbidden", "bad_input", "unavailable", "store_unavailable")
"""Problems that every request under /v1 may meet."""

_DONE = {200: "What was asked for.", 202: "Accepted, and in the store."}
_REF = "#/components/schemas/{model}"


def answers(
    example: BaseModel | Mapping[str, Any],
    *codes: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    other: Mapping[str, str] | None = None,
    always: Sequence[str] = ALWAYS,
) -> dict[int | str, dict[str, Any]]:
    """Return what an endpoint answers, for its `responses`.

    Args:
        example: Of its usual answer.
        codes: Problems that it may meet, besides those that all may.
        status: Of its usual answer.
        headers: Name -> what it says.
        other: Media type -> example, of other forms of the usual answer.
        always: Problems that it shares with its neighbours.
    """
    content: dict[str, Any] = {"application/json": {"example": _plain(example)}}
    content |= {
        media_type: {"schema": {"type": "string"}, "example": text}
        for media_type, text in (other or {}).items()
    }
    usual: dict[str, Any] = {"description": _DONE[status], "content": content}
    if headers:
        usual["headers"] = {
            name: {"description": says, "schema": {"type": "string"}}
            for name, says in headers.items()
        }
    return {status: usual, **_problems(*dict.fromkeys((*always, *codes)))}


def _problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in codes:
        by_status[ERROR_KINDS[code].status].append(code)
    return {
        status: {
            "description": "; ".join(ERROR_KINDS[code].title for code in same),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": _REF.format(model="Problem")},
                    "examples": {code: {"value": _plain(PROBLEMS[code])} for code in same},
                }
            },
        }
        for status, same in sorted(by_status.items())
    }


def describe_with(app: FastAPI) -> None:
    """Have an application describe itself, with the form of problems among the schemas."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
            )
            schemas = document["components"]["schemas"]
            for model in (Problem, FieldProblem):
                schema = model.model_json_schema(ref_template=_REF)
                schema.pop("$defs", None)
                schemas[model.__name__] = schema
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            document["components"]["schemas"] = dict(sorted(schemas.items()))
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _plain(example: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    return example.model_dump(mode="json") if isinstance(example, BaseModel) else dict(example)
