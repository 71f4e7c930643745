"""What endpoints are given: the fleets, who asks, and how sure they are of where things stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from rolewise.coordinator.api.access import Denied, Identity, Role, Token, authorize
from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.fleets import Fleets

_BEARER = HTTPBearer(
    auto_error=False,
    description="A token of the server's token file; none is needed when it was started without.",
)
_ETAG = re.compile(r'(?:W/)?"?([0-9]{1,18})"?')


def _fleets_of(request: Request) -> Fleets:
    fleets: Fleets = request.app.state.fleets
    return fleets


FleetPath = Annotated[str, Path(description="The fleet's name.", examples=["supply-chain"])]
RolloutPath = Annotated[str, Path(description="The rollout's id.", examples=["supply-chain-3"])]

Served = Annotated[Fleets, Depends(_fleets_of)]
"""The fleets of this server."""


class Needs:
    """Lets a request pass whose token has a role; without tokens everybody may do everything.

    Args:
        role: The least that is needed.
    """

    def __init__(self, role: Role) -> None:
        self._role = role

    def __call__(
        self,
        request: Request,
        _shown_in_docs: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    ) -> Identity:
        """Return who asks.

        Raises:
            RolewiseError: `unauthorized`, `forbidden`.
        """
        tokens: Sequence[Token] | None = request.app.state.access
        if tokens is None:
            host = request.client.host if request.client else "local"
            return Identity(name=f"anonymous@{host}", role=Role.ADMIN)
        decided = authorize(request.headers.get("authorization"), self._role, tokens)
        if isinstance(decided, Denied):
            code = "unauthorized" if decided.status == 401 else "forbidden"  # noqa: PLR2004
            raise RolewiseError(code, decided.reason)
        return decided


Viewer = Annotated[Identity, Depends(Needs(Role.VIEWER))]
"""Who asks; may see everything."""

Operator = Annotated[Identity, Depends(Needs(Role.OPERATOR))]
"""Who asks; may move rollouts and submit tasks."""


def _expected(
    if_match: Annotated[
        str | None,
        Header(
            description="Number of the newest event that you have seen (the entity tag): "
            "refused with 412 when there are newer ones.",
            examples=['"17"'],
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    if match is None:
        raise RolewiseError(
            "bad_input", f"header If-Match = {if_match!r}: want the number of an event, or *"
        )
    return int(match[1])


Expected = Annotated[int | None, Depends(_expected)]
"""Number of events that the asker has seen; None when it does not matter."""
