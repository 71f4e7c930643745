"""Message ids: 64 bits, unique in a fleet without asking anyone."""

from __future__ import annotations

import itertools


class IdSource:
    """Makes the message ids of one process: its number, its nonce and a counter.

    Args:
        process: Number of the replica or gateway in its fleet, 16 bits.
        nonce: Tells two lives of the same process apart, 12 bits.
    """

    def __init__(self, process: int, nonce: int) -> None:
        self._prefix = ((process & 0xFFFF) << 48) | ((nonce & 0xFFF) << 36)
        self._counter = itertools.count(1)

    def next(self) -> int:
        """Return a fresh id; never 0, which stands for the outside world."""
        return self._prefix | (next(self._counter) & 0xF_FFFF_FFFF)
