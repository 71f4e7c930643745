"""Of which tasks messages are looked into: of all, or of as many as cost next to nothing.

To take a digest and the size of a body costs some ten microseconds, which is nothing beside a call
of a model and much beside a message between two plain functions. So a process that sends few
messages measures all of them; one that sends many measures those of a share of the tasks. Which
tasks is a matter of the task's key alone, so the messages of a task are measured together, by
whoever sends them, and without regard to its arm.
"""

from __future__ import annotations

MESSAGES_PER_S = 100.0
"""Messages that a process measures in a second: with their replies 0.4 % of its time."""

LOOK_S = 0.5
_KEYS = float(1 << 64)


class MeasuredShare:
    """Decides for one process, by how busy it is."""

    __slots__ = ("_below", "_count", "_since_s")

    def __init__(self) -> None:
        self._below = _KEYS
        self._count = 0
        self._since_s = 0.0

    def wants(self, task_key: int, now_s: float) -> bool:
        """Say whether to measure a message of this task, and count it.

        Args:
            task_key: Uniform over 64 bits.
            now_s: Seconds on any clock that goes forward.
        """
        self._count += 1
        passed = now_s - self._since_s
        if passed >= LOOK_S:
            allowed = MESSAGES_PER_S * passed
            self._below = _KEYS * min(1.0, allowed / self._count)
            self._count, self._since_s = 0, now_s
        return task_key < self._below
