"""What a replica's process uses: CPU for each message that it serves, and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

MEMORY_EVERY_S = 1.0
_STATM = Path("/proc/self/statm")


class Meter:
    """Reads the process's CPU clock and its resident memory.

    Args:
        begun: Messages that the replica has begun to handle so far.
        cpu: CPU seconds of the process so far, its children's not included.
        now: Seconds; memory is read at most once a second.
    """

    def __init__(
        self,
        begun: Callable[[], int],
        *,
        cpu: Callable[[], float] = time.process_time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begun = begun
        self._cpu = cpu
        self._now = now
        self._begun_before = begun()
        self._cpu_before = cpu()
        self._memory: int | None = None
        self._memory_at = float("-inf")

    def cpu_s_per_message(self) -> float:
        """Return the CPU seconds since the last call, for each message begun since.

        While none was begun it returns 0, and keeps the seconds for the next ones.
        """
        begun = self._begun() - self._begun_before
        if not begun:
            return 0.0
        cpu = self._cpu()
        spent = cpu - self._cpu_before
        self._begun_before += begun
        self._cpu_before = cpu
        return spent / begun

    def memory_bytes(self) -> int | None:
        """Return the resident memory, None where the system does not tell."""
        now = self._now()
        if now - self._memory_at >= MEMORY_EVERY_S:
            self._memory_at, self._memory = now, read_memory()
        return self._memory


def read_memory() -> int | None:
    """Return this process's resident memory in bytes, None where the system does not tell."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
