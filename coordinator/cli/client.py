"""The way to a running Rolewise: its REST API, with problems as our own errors."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from rolewise.coordinator.errors import ERROR_KINDS, RolewiseError
from rolewise.coordinator.views import EventView, View

ANSWER_S = 30.0
"""Longest wait for an answer, beyond what the request itself asks to wait."""

PATIENCE_S = 1.0
"""A stream that is silent for so long gives its reader a turn."""

LOST_S = 30.0
"""A lost server is tried again for so long."""

_COMES_BACK = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

AnyView = TypeVar("AnyView", bound=View)


class Client:
    """Asks one server.

    Args:
        http: Knows the server's address and the token.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def read(self, view: type[AnyView], /, *path: str, **query: object) -> AnyView:
        """Return what is at a path below `/v1`, given in its parts.

        Raises:
            RolewiseError: What the server answers, or `unavailable`.
        """
        return _parsed(view, self._send("GET", path, query=query))

    def read_text(self, *path: str, **query: object) -> str:
        """Return what is at a path as it comes, and raise as `read` does."""
        return self._send("GET", path, query=query).text

    def post(
        self,
        view: type[AnyView],
        /,
        *path: str,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
    ) -> AnyView:
        """Ask for a change; return where things then stand, and raise as `read` does."""
        return _parsed(view, self._send("POST", path, body=body, headers=headers))

    def follow(
        self, rollout: str, *, after: int = 0, patience_s: float = PATIENCE_S
    ) -> Iterator[EventView | None]:
        """Yield a rollout's events behind number `after` as they come; None when none has.

        The stream is taken up again behind the last event when it is silent or lost, so the
        reader gets a turn every `patience_s` and no event is missed. It never ends by itself.

        Raises:
            RolewiseError: `unavailable` when the server stays away, or why it cannot serve for
                so long; what else it answers.
        """
        lost_at: float | None = None
        while True:
            try:
                for event in self._stream(rollout, after, patience_s):
                    lost_at = None
                    if event is not None:
                        after = event.number
                    yield event
            except httpx.ReadTimeout:
                lost_at = None
            except (httpx.TransportError, RolewiseError) as error:
                told = error if isinstance(error, RolewiseError) else self._unreachable(error)
                if told.kind.status not in _COMES_BACK:
                    raise
                lost_at = lost_at or time.monotonic()
                if time.monotonic() - lost_at > LOST_S:
                    raise told from error
                time.sleep(patience_s)
            yield None

    def _stream(self, rollout: str, after: int, patience_s: float) -> Iterator[EventView | None]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        timeout = httpx.Timeout(ANSWER_S, read=patience_s)
        path = _path("rollouts", rollout, "events")
        with self._http.stream("GET", path, headers=headers, timeout=timeout) as answer:
            if answer.status_code != HTTPStatus.OK:
                answer.read()
                raise _problem(answer)
            data: list[str] = []
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    data.append(line.removeprefix("data:").strip())
                elif not line and data:
                    yield EventView.model_validate_json("\n".join(data))
                    data = []
                elif line.startswith(":"):
                    yield None

    def _send(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        params = {
            key: str(value) for key, value in (query or {}).items() if value not in {None, ""}
        }
        try:
            answer = self._http.request(
                method, _path(*path), params=params, json=body, headers=headers
            )
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if answer.is_success:
            return answer
        raise _problem(answer)

    def _unreachable(self, error: httpx.TransportError) -> RolewiseError:
        reason = str(error) or type(error).__name__
        return RolewiseError(
            "unavailable",
            f"Rolewise cannot be reached at {self._http.base_url}: {reason}",
            hint="start it with `rolewise up FILE`, or say where it is: --url or ROLEWISE_URL",
        )


def connect(url: str) -> Client:
    """Return a client of the server at an address, with the token of `ROLEWISE_TOKEN`.

    Raises:
        RolewiseError: `bad_input`: it is no address.
    """
    token = os.environ.get("ROLEWISE_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL("")
    if address.scheme not in {"http", "https"} or not address.host:
        raise RolewiseError(
            "bad_input", f"--url = {url!r}: want an address such as http://127.0.0.1:8787"
        )
    try:
        return Client(httpx.Client(base_url=address, headers=headers, timeout=ANSWER_S))
    except UnicodeEncodeError:
        raise RolewiseError("bad_input", "ROLEWISE_TOKEN: want ASCII letters only") from None


def _path(*parts: str) -> str:
    if not all(parts):
        raise RolewiseError("bad_input", "a name or id is empty")
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def _parsed(view: type[AnyView], answer: httpx.Response) -> AnyView:
    try:
        return view.model_validate_json(answer.content)
    except ValueError as error:
        raise RolewiseError(
            "internal",
            f"{answer.request.url} did not answer as Rolewise of this version does",
            hint="is it Rolewise, and of the same version? See: rolewise version",
        ) from error


def _problem(answer: httpx.Response) -> RolewiseError:
    """Return the error that a server's answer tells of (problem+json, RFC 9457)."""
    try:
        told = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        told = None
    known = told if isinstance(told, dict) else {}
    code = known.get("code") or str(known.get("type", "")).rpartition("/")[2]
    if code not in ERROR_KINDS:
        is_down = answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        code = "unavailable" if is_down else "internal"
    return RolewiseError(
        code,
        str(known.get("detail") or f"{answer.request.url} answered {answer.status_code}"),
        hint=str(known.get("hint") or ""),
        details=tuple(_line(one) for one in known.get("details") or known.get("errors") or ()),
    )


def _line(detail: Any) -> str:
    if not isinstance(detail, dict):
        return str(detail)
    words = (detail.get("path") or detail.get("field"), detail.get("message"))
    return ": ".join(str(word) for word in words if word)
