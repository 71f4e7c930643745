"""One record for each thing that happens to a message, packed in columns.

Who writes: `SENT`, `REPLIED`, `FAILED`, `TIMED_OUT`, `CANCELLED` the asker's replica; `STARTED`,
`DROPPED` the replica that handles. A duration is always measured by one clock: `STARTED` carries
the time in the queue, the terminal events the time since `SENT`. So no join is needed for latency
and two clocks are never subtracted.

The layout is 72 bytes, little-endian; `RECORD` packs one, `DTYPE` reads a batch.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Happening(IntEnum):
    """What happened to a message; the order is that of an edge's counts."""

    SENT = 0
    STARTED = 1
    REPLIED = 2
    FAILED = 3
    TIMED_OUT = 4
    CANCELLED = 5
    DROPPED = 6


class Arm(IntEnum):
    """The side of a comparison that a task was given; a property of the task, not of a node."""

    NONE = 0
    BASELINE = 1
    CANARY = 2


FIELDS: tuple[tuple[str, str], ...] = (
    ("t", "<i8"),  # ns on the writer's clock; for windows only
    ("msg", "<u8"),
    ("inv", "<u8"),  # parent invocation, 0 from outside
    ("task", "<u8"),  # task key: see fleet.task.task_key
    ("dur", "<u8"),  # ns
    (
        "dig",
        "<u8",
    ),  # rolewise.graphs.digests: of the reply for REPLIED, else of the message; 0 none
    ("size", "<u4"),  # payload bytes, 0 unknown
    ("seq", "<u4"),  # +1 per record and replica incarnation: a gap is lost telemetry
    ("src", "<u2"),  # interned node of the asker
    ("dst", "<u2"),  # interned node of the asked
    ("srep", "<u2"),
    ("drep", "<u2"),
    ("kind", "<u2"),  # interned message kind
    # SENT: interned kind that the sender last received; REPLIED: of the reply; failures: code
    ("aux", "<u2"),
    ("hop", "u1"),
    ("ev", "u1"),  # Happening
    ("arm", "u1"),  # Arm
    (
        "flags",
        "u1",
    ),  # bit 0 awaited (AND), 1 awaited (OR), 2 event, 3 mirrored, 4 progress, 5-7 attempt
)
DTYPE = np.dtype([(name, kind) for name, kind in FIELDS])
RECORD = struct.Struct("<qQQQQQIIHHHHHHBBBB")
assert RECORD.size == DTYPE.itemsize == 72  # noqa: S101, PLR2004

Records = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of one replica incarnation, in the order they were written, with their names.

    Attributes:
        source: The replica incarnation: `negotiator@v2#1.0` (the last number counts restarts).
        first_seq: `seq` of the first record; with `source` it names the batch, so that one that
            comes twice can be skipped.
        records: Array of `DTYPE`.
        nodes: The writer's interned names of `src` and `dst`: number -> `role@version`.
        kinds: The writer's interned names of `kind` and `aux`.
        lost: Records that this writer has dropped so far because nobody took them.
        end_seq: Number behind its last record. A part that one of several collectors gets has the
            number of the whole, so that what went elsewhere is not taken for lost.
    """

    source: str
    first_seq: int
    records: Records
    nodes: Mapping[int, str] = field(default_factory=dict)
    kinds: Mapping[int, str] = field(default_factory=dict)
    lost: int = 0
    end_seq: int = -1

    def __post_init__(self) -> None:
        if self.end_seq < 0:
            # `seq` has 32 bits and wraps; `first_seq` does not.
            count = 0
            if len(self.records):
                count = (int(self.records["seq"][-1]) - self.first_seq & 0xFFFF_FFFF) + 1
            object.__setattr__(self, "end_seq", self.first_seq + count)
