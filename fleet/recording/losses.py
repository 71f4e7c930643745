"""What never came of recorders' records: by recorder, and of those silent for long in one sum."""

from __future__ import annotations

RECORDERS_KEPT = 10_000


class Losses:
    """Figures of recorders, each of which may still change; of the oldest only their sum is kept.

    Replicas come and go, and nobody says which recorder has ended.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}  # in the order in which they were told last
        self._past = 0

    @property
    def total(self) -> int:
        """The sum of all."""
        return self._past + sum(self._known.values())

    def of(self, source: str) -> int | None:
        """Return what a recorder's figure is; None if it has none or is forgotten."""
        return self._known.get(source)

    def note(self, source: str, lost: int) -> None:
        """Put a recorder's figure in the place of the one before."""
        self._known.pop(source, None)
        self._known[source] = lost
        if len(self._known) > RECORDERS_KEPT:
            self._past += self._known.pop(next(iter(self._known)))
