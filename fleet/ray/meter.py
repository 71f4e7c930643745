"""What a replica's process uses: CPU, shared out over what it serves, and memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rolewise.fleet.recording.work import Work

MEMORY_EVERY_S = 1.0
WORTH_TELLING_S = 0.01
"""CPU that is told at once although no message came; less of it waits for the next one."""
_RESIDENT = re.compile(r"^(VmRSS|RssShmem):\s*(\d+) kB$", re.MULTILINE)


class Meter:
    """Reads the process's CPU clock and its memory.

    Args:
        begun: Messages that the replica has begun to handle so far.
        running: Keys of the tasks whose messages it is handling, one for each message.
        cpu: CPU seconds of the process so far, its children's not included.
        now: Seconds; memory is read at most once a second.
    """

    def __init__(
        self,
        begun: Callable[[], int],
        running: Callable[[], Sequence[int]],
        *,
        cpu: Callable[[], float] = time.process_time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._begun = begun
        self._running = running
        self._cpu = cpu
        self._now = now
        self._begun_before = begun()
        self._carried = tuple(running())
        self._cpu_before = cpu()
        self._memory: int | None = None
        self._memory_at = float("-inf")

    @property
    def is_news(self) -> bool:
        """Whether messages that were told of before have used CPU worth telling."""
        return bool(self._carried) and self._cpu() - self._cpu_before >= WORTH_TELLING_S

    def work(self) -> Work:
        """Return what was used since the last call, shared out equally.

        The shares go to the messages begun since, and to those that were being handled at the
        last call. While there are neither, the seconds are kept for the next ones.
        """
        begun = self._begun() - self._begun_before
        served = begun + len(self._carried)
        share = 0.0
        if served:
            cpu = self._cpu()
            share = (cpu - self._cpu_before) / served
            self._cpu_before = cpu
        work = Work(
            cpu_s_per_message=share, carried=self._carried, memory_bytes=self._memory_bytes()
        )
        self._begun_before += begun
        self._carried = tuple(self._running())
        return work

    def _memory_bytes(self) -> int | None:
        now = self._now()
        if now - self._memory_at >= MEMORY_EVERY_S:
            self._memory_at, self._memory = now, read_memory()
        return self._memory


def read_memory(pid: int | None = None) -> int | None:
    """Return the memory of a process in bytes; None where the system does not tell.

    Its resident memory without what it shares: pages of Ray's object store are resident in every
    process that has read or written a value there, though they exist once and Ray bounds them.

    Args:
        pid: Which process; this one by default.
    """
    try:
        status = Path(f"/proc/{'self' if pid is None else pid}/status").read_text()
    except OSError:
        return None
    kib = dict(_RESIDENT.findall(status))
    # A kernel that does not tell apart what is shared (before Linux 4.5) gives the sum alone.
    return (int(kib["VmRSS"]) - int(kib.get("RssShmem", 0))) * 1024 if "VmRSS" in kib else None
