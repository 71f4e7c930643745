"""What a replica's process used between two deliveries, shared out over the messages it served."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """CPU and memory of one process between two deliveries.

    CPU is measured for a process, not for a message, so the shares are equal: right in sum, and so
    for the mean of the tasks that a version served, which is what the judge compares. It does not
    tell which of two tasks that were served side by side was the greedy one. Memory is that of
    the whole process while it served the task: it tells a version that holds more, not a task
    that needs more.

    Attributes:
        cpu_s_per_message: Seconds for each message that was served meanwhile: those that began,
            which the delivery's rows name, and those of `carried`.
        carried: Keys of the tasks whose messages had begun before; one for each message.
        memory_bytes: Resident memory; None where it is not measured.
    """

    cpu_s_per_message: float
    carried: tuple[int, ...] = ()
    memory_bytes: int | None = None

    def of_shard(self, shard: int, shards: int) -> Work:
        """Return what one of several collectors is told."""
        return replace(self, carried=tuple(key for key in self.carried if key % shards == shard))
