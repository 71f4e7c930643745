"""Errors as the API tells them: RFC 9457 problems, each with a page of its own.

Whatever goes wrong, the answer has one form: `application/problem+json` with a `type` that leads
to an explanation, and a `code` that is stable and the same in the CLI and in the docs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rolewise.agents.errors import NoReplica, Overloaded
from rolewise.coordinator.errors import ERROR_KINDS, RolewiseError, error_of
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.last_known import away_alerts
from rolewise.coordinator.store.port import StoreError
from rolewise.coordinator.views.base import View

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "/v1/problems/"
RETRY_AFTER_S = 1
"""What clients are told to wait when the store is away or too many tasks run."""

_COME_BACK = frozenset({429, 503})
_SHOWN_LENGTH = 80
_CODE_BY_STATUS = {400: "bad_input", 404: "not_found", 405: "method_not_allowed"}


class FieldProblem(View):
    """One field or parameter that cannot be used."""

    path: str
    """Where it stands, such as `body.to` or `query.wait`."""
    value: str
    """What was given; empty when it is missing."""
    message: str
    """What is wrong with it and what is allowed."""


class Problem(View):
    """Why a request was not carried out (RFC 9457)."""

    type: str
    """Address of a page that explains this kind of problem."""
    title: str
    status: int
    detail: str
    """What is wrong: which field or id, its value, what is allowed."""
    code: str
    """Stable name of the kind, the last part of `type`."""
    definite: bool
    """Surely nothing happened."""
    hint: str
    """What to try next; may be empty."""
    details: tuple[str, ...]
    """One line for each single problem; for `verb_refused` the verbs that are allowed now."""
    errors: tuple[FieldProblem, ...]
    """Fields and parameters that cannot be used."""


class ProblemKind(View):
    """A kind of problem, explained."""

    code: str
    title: str
    status: int
    exit_code: int
    """What the command line ends with when it meets it."""
    definite: bool
    """Surely nothing happened."""
    meaning: str
    """What it means and what to do about it."""


def build_problem(
    code: str,
    detail: str,
    *,
    hint: str = "",
    details: Sequence[str] = (),
    errors: Sequence[FieldProblem] = (),
) -> Problem:
    """Return a problem with the row of the table that its code names."""
    kind = ERROR_KINDS[code]
    return Problem(
        type=f"{TYPE_BASE}{code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        code=code,
        definite=kind.definite,
        hint=hint,
        details=tuple(details),
        errors=tuple(errors),
    )


def answer_problem(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as an answer, with the headers that its kind asks for."""
    more = dict(headers or {})
    if problem.status in _COME_BACK:
        more["Retry-After"] = str(RETRY_AFTER_S)
    if problem.code == "unauthorized":
        more["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.model_dump(mode="json"), problem.status, headers=more, media_type=MEDIA_TYPE
    )


def explain(code: str) -> ProblemKind:
    """Return the explanation of a kind of problem.

    Raises:
        RolewiseError: `not_found`.
    """
    kind = ERROR_KINDS.get(code)
    if kind is None:
        known = ", ".join(ERROR_KINDS)
        raise RolewiseError("not_found", f"there is no problem {code!r}; known: {known}")
    return ProblemKind(
        code=kind.code,
        title=kind.title,
        status=kind.status,
        exit_code=kind.exit_code,
        definite=kind.definite,
        meaning=kind.meaning,
    )


def add_problem_handlers(app: FastAPI) -> None:
    """Have every error of an application answered as a problem."""
    app.add_exception_handler(RolewiseError, _on_rolewise_error)
    app.add_exception_handler(StoreError, _on_store_error)
    app.add_exception_handler(Overloaded, _on_overloaded)
    app.add_exception_handler(NoReplica, _on_no_replica)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_fault)


def problem_of(error: RolewiseError) -> Problem:
    """Return an error of ours as a problem."""
    return build_problem(error.kind.code, error.message, hint=error.hint, details=error.details)


async def _on_rolewise_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RolewiseError)  # noqa: S101 (registered for this type)
    return answer_problem(problem_of(error))


async def _on_store_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)  # noqa: S101 (registered for this type)
    problem = problem_of(error_of(error))
    fleets: Fleets = request.app.state.fleets
    since = away_alerts(fleets.journal)
    return answer_problem(problem.model_copy(update={"detail": since[0]} if since else {}))


async def _on_overloaded(_request: Request, error: Exception) -> Response:
    return answer_problem(build_problem("too_many_tasks", str(error)))


async def _on_no_replica(_request: Request, error: Exception) -> Response:
    return answer_problem(build_problem("bad_input", str(error)))


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for this type)
    fields = [_field_problem(one) for one in error.errors()]
    lines = [_line(field) for field in fields]
    return answer_problem(
        build_problem("bad_input", "; ".join(lines), details=lines, errors=fields)
    )


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this type)
    code = _CODE_BY_STATUS.get(error.status_code, "internal")
    path, method = request.url.path, request.method
    detail = {
        "not_found": f"there is nothing at {path}",
        "method_not_allowed": f"{path} does not take {method}",
    }.get(code, str(error.detail))
    hint = "/docs shows what there is" if code == "not_found" else ""
    return answer_problem(build_problem(code, detail, hint=hint), error.headers)


async def _on_fault(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    detail = f"{request.method} {request.url.path} failed: {type(error).__name__}"
    return answer_problem(build_problem("internal", detail, hint="the server's log has the cause"))


def _field_problem(error: Mapping[str, Any]) -> FieldProblem:
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        reason = error.get("ctx", {}).get("error", "")
        return FieldProblem(path="body", value="", message=f"not JSON: {reason}")
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return FieldProblem(path=path, value="", message="is missing")
    if error["type"] == "extra_forbidden":
        message = "is unknown here"
    return FieldProblem(path=path, value=_short(error.get("input")), message=message)


def _line(field: FieldProblem) -> str:
    value = f" = {field.value}" if field.value else ""
    return f"{field.path}{value}: {field.message}"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_LENGTH else f"{shown[:_SHOWN_LENGTH]}…"
