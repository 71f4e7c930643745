"""What is noted inside a task besides its messages: tool calls, usage, scores, progress.

Packed like interaction records, 48 bytes each, so that noting costs no more than a message does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from rolewise.graphs.interactions import Batch


class Noted(IntEnum):
    """What a note says; the meaning of its three figures stands beside each."""

    TOOL = 0  # seconds, -, -
    USAGE = 1  # input tokens, output tokens, US dollars
    SCORE = 2  # value in 0..1, -, -
    PROGRESS = 3  # number of what was written: progress the first time only; 0: always, -, -


NOTE_DTYPE = np.dtype(
    [
        ("t", "<i8"),
        ("task", "<u8"),
        ("node", "<u2"),
        ("name", "<u2"),
        ("what", "u1"),
        ("ok", "u1"),
        ("spare", "<u2"),
        ("a", "<f8"),
        ("b", "<f8"),
        ("c", "<f8"),
    ]
)
NOTE = struct.Struct("<qQHHBBHddd")

Notes = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What one replica incarnation ships to one collector at a time.

    Attributes:
        batch: Its interaction records since the last delivery; `batch.nodes` and `batch.kinds`
            also name what the notes speak of.
        notes: Array of `NOTE_DTYPE`.
        lost_notes: Notes dropped so far because nobody took them.
        cpu_s_per_message: CPU seconds of the replica's process since its last delivery, for each
            message that it began to handle since; None where it is not measured.
        memory_bytes: Resident memory of the process; None where it is not measured.
    """

    batch: Batch
    notes: Notes
    lost_notes: int = 0
    cpu_s_per_message: float | None = None
    memory_bytes: int | None = None
