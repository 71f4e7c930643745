"""The REST API, put together: routers, errors, the guard in front, health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Path, Response

from rolewise import __version__
from rolewise.coordinator.api import fleets as fleets_api
from rolewise.coordinator.api import graph, graph_diff, rollouts, tasks, watch
from rolewise.coordinator.api.access import Token
from rolewise.coordinator.api.deps import Viewer
from rolewise.coordinator.api.examples import PROBLEM_KIND
from rolewise.coordinator.api.guard import BODY_LIMIT, Guard
from rolewise.coordinator.api.openapi import answers, describe_with
from rolewise.coordinator.api.problems import ProblemKind, add_problem_handlers, explain
from rolewise.coordinator.api.streams import Streams
from rolewise.coordinator.fleets import Fleets
from rolewise.coordinator.last_known import away_alerts, look
from rolewise.coordinator.store.port import StoreError
from rolewise.coordinator.views import View
from rolewise.fleet.spec.schema import fleet_schema

Ready = Callable[[], Awaitable[Sequence[str]]]
"""Says what is not ready yet, one sentence each; nothing when all is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a server says of itself."""

    version: str = __version__


class HealthView(View):
    """That the server answers."""

    status: Literal["ok"]
    version: str


class ReadyView(View):
    """Whether the server can do its work."""

    ready: bool
    problems: tuple[str, ...]
    """What is in the way, one sentence each."""


def create_app(
    fleets: Fleets,
    *,
    access: Sequence[Token] | None = None,
    info: ServerInfo | None = None,
    ready: Ready | None = None,
    body_limit: int = BODY_LIMIT,
    keep_alive_s: float = watch.KEEP_ALIVE_S,
    streams: Streams | None = None,
) -> FastAPI:
    """Return the API.

    Args:
        fleets: What it serves.
        access: Tokens; None lets everybody on this machine do everything.
        info: What it says of itself.
        ready: What must be ready besides the store.
        body_limit: Bytes that a request's body may have.
        keep_alive_s: Silence after which an event stream sends a comment.
        streams: The event streams; the usual limits when left out.
    """
    info = info or ServerInfo()
    app = FastAPI(
        title="Rolewise",
        version=info.version,
        summary="Staged rollouts for fleets of cooperating AI agents.",
        description=_DESCRIPTION,
        redoc_url=None,
    )
    app.state.fleets = fleets
    app.state.access = access
    app.state.keep_alive_s = keep_alive_s
    app.state.streams = streams or Streams()
    add_problem_handlers(app)
    app.add_middleware(Guard, has_tokens=access is not None, body_limit=body_limit)
    for module in (fleets_api, rollouts, watch, tasks, graph, graph_diff):
        app.include_router(module.router)
    _add_health(app, fleets, info, ready)
    _add_reference(app)
    describe_with(app)
    return app


def _add_health(app: FastAPI, fleets: Fleets, info: ServerInfo, ready: Ready | None) -> None:
    healthy = HealthView(status="ok", version=info.version)
    all_ready = ReadyView(ready=True, problems=())
    waiting = ReadyView(ready=False, problems=("the store does not answer",))

    @app.get(
        "/healthz",
        tags=["server"],
        summary="Is the server alive?",
        description="Answers as long as the process does; looks at nothing else.",
        responses={200: {"content": {"application/json": {"example": healthy.model_dump()}}}},
    )
    async def read_health() -> HealthView:
        """Answer."""
        return healthy

    @app.get(
        "/readyz",
        tags=["server"],
        summary="Can the server do its work?",
        description="Whether the store answers, and whatever else the server needs.",
        responses={
            200: {"content": {"application/json": {"example": all_ready.model_dump(mode="json")}}},
            503: {
                "model": ReadyView,
                "description": "Not yet, or not now.",
                "content": {"application/json": {"example": waiting.model_dump(mode="json")}},
            },
        },
    )
    async def read_readiness(response: Response) -> ReadyView:
        """Say what is in the way."""
        problems = [] if ready is None else list(await ready())
        with suppress(StoreError):
            await look(fleets.journal)
        problems += away_alerts(fleets.journal)
        if problems:
            response.status_code = 503
        return ReadyView(ready=not problems, problems=tuple(problems))


def _add_reference(app: FastAPI) -> None:
    @app.get(
        "/v1/schema",
        tags=["server"],
        summary="The JSON Schema of a fleet's file",
        description="For editors, and for programs that write such files.",
        responses=answers({"title": "Rolewise fleet", "type": "object"}),
    )
    async def read_schema(_by: Viewer) -> dict[str, Any]:
        """Return the schema."""
        return fleet_schema()

    @app.get(
        "/v1/problems/{code}",
        tags=["server"],
        summary="What a problem means",
        description="The page that the `type` of every problem leads to.",
        responses=answers(PROBLEM_KIND, "not_found", always=("bad_input",)),
    )
    async def read_problem_kind(
        code: Annotated[str, Path(description="The problem's code.", examples=["verb_refused"])],
    ) -> ProblemKind:
        """Explain a kind of problem."""
        return explain(code)


_DESCRIPTION = """\
Errors are problems (RFC 9457): `application/problem+json` with a `type` that leads to an
explanation. Requests that change something are in the store before they are answered with 202.
Send `Idempotency-Key` to repeat a start safely, and `If-Match` with the number of the newest event
that you have seen to be refused when somebody was faster.
"""
