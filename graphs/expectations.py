"""What is known of edges beforehand: which to expect of a new version, which are forbidden."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

Edge = tuple[str, str, str]
"""(role that sends, role that gets, kind); `*` stands for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What is known of edges before they are compared.

    Attributes:
        declared: Edges that the new version is said to use and the old one is not.
        forbidden: Edges that no version may use.
        seen_before: Edge -> (tasks that used it, tasks) of stable versions in the past: such an
            edge is rare, not new.
    """

    declared: Collection[Edge] = ()
    forbidden: Collection[Edge] = ()
    seen_before: Mapping[Edge, tuple[int, int]] = field(default_factory=dict)

    def is_declared(self, edge: Edge) -> bool:
        """Say whether an edge is expected to be new."""
        return _is_among(edge, self.declared)

    def is_forbidden(self, edge: Edge) -> bool:
        """Say whether an edge may not be used."""
        return _is_among(edge, self.forbidden)


def _is_among(edge: Edge, patterns: Collection[Edge]) -> bool:
    return any(
        all(want in {"*", have} for want, have in zip(pattern, edge, strict=True))
        for pattern in patterns
    )
