"""Edges of the interaction graph in the fleet's file: `robot -> planner: report`, or with `*`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints

from rolewise.fleet.spec.values import Want
from rolewise.graphs.expectations import Edge, Expectations

if TYPE_CHECKING:
    from rolewise.fleet.spec.models import FleetSpec

_ROLE = r"(?:\*|[A-Za-z0-9][A-Za-z0-9._-]{0,62})"
EDGE_PATTERN = rf"^{_ROLE} -> {_ROLE}: (?:\*|\S[^\n]*)$"

EdgeText = Annotated[
    str,
    StringConstraints(pattern=EDGE_PATTERN),
    Want("an edge, 'sender -> receiver: kind', each of which may be *"),
]


def parse_edge(text: str) -> Edge | None:
    """Read an edge; None when the text is none."""
    if not re.match(EDGE_PATTERN, text):
        return None
    src, _, rest = text.partition(" -> ")
    dst, _, kind = rest.partition(": ")
    return src, dst, kind


def expected_edges(spec: FleetSpec, role: str, version: str) -> Expectations:
    """Return what the file says of edges for the trial of a version.

    Args:
        spec: The fleet.
        role: Role on trial.
        version: Its new version.
    """
    own = spec.roles[role].versions[version].new_edges
    return Expectations(
        declared=tuple(edge for edge in map(parse_edge, own) if edge),
        forbidden=tuple(edge for edge in map(parse_edge, spec.forbidden_edges) if edge),
    )
