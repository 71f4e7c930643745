"""What every request must pass before anything looks at it: where it comes from, and its size.

A server without tokens trusts whoever can reach it, and a browser on the same machine can: any
page that is open there may send requests to 127.0.0.1. So a request that changes something is
refused when it comes from another site, and without tokens the server answers to names of this
machine only (a foreign name that was made to point here would count as the same site).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rolewise.coordinator.api.problems import Problem, answer_problem, build_problem

BODY_LIMIT = 1024 * 1024
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware; see the module.

    Args:
        app: What it guards.
        has_tokens: Requests show who they are from, so any host name will do.
        body_limit: Bytes that a request's body may have.
    """

    def __init__(self, app: ASGIApp, *, has_tokens: bool, body_limit: int = BODY_LIMIT) -> None:
        self._app = app
        self._has_tokens = has_tokens
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._objection(scope["method"], Headers(scope=scope))
        body: list[Message] = []
        if problem is None:
            body = await self._read(receive)
            if not body:
                problem = self._too_large()
        if problem is not None:
            await answer_problem(problem)(scope, receive, send)
            return

        async def replay() -> Message:
            return body.pop(0) if body else await receive()

        await self._app(scope, replay, send)

    def _objection(self, method: str, headers: Headers) -> Problem | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._has_tokens and not _is_this_machine(host):
            return build_problem(
                "forbidden",
                f"host {host!r}: without tokens this server answers to localhost only",
                hint="use http://127.0.0.1, or start it with --token-file",
            )
        if method not in _READING and origin is not None and urlsplit(origin).netloc != host:
            return build_problem("forbidden", f"origin {origin!r} is another site than {host!r}")
        length = headers.get("content-length", "")
        return self._too_large() if length.isdigit() and int(length) > self._body_limit else None

    async def _read(self, receive: Receive) -> list[Message]:
        """Return the messages of the body; none when it is too large."""
        messages: list[Message] = []
        size = 0
        while True:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._body_limit:
                return []
            if not message.get("more_body", False):
                return messages

    def _too_large(self) -> Problem:
        return build_problem("too_large", f"the body is longer than {self._body_limit} bytes")


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
