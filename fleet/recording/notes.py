"""What is noted inside a task besides its messages: tool calls, usage, scores, progress.

Packed like interaction records, 48 bytes each, so that noting costs no more than a message does.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from rolewise.fleet.recording.rows import Rows, expand
from rolewise.fleet.recording.work import Work
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
        source: The replica incarnation; with `first_seq` it names the delivery.
        first_seq: Number of the first record, before the delivery was split by task.
        end_seq: Number behind the last record, likewise.
        rows: What happened to messages; see `rolewise.fleet.recording.rows`.
        ways: Table that the rows lead into.
        offset_ns: What the rows' clock lacks to the time of day.
        notes: Array of `NOTE_DTYPE`.
        nodes: Interned names of nodes: number -> `role@version`.
        kinds: Interned names of kinds, codes and tools.
        lost: Records dropped so far because nobody took them.
        lost_notes: Notes dropped so far.
        work: What the replica's process used since its last delivery; None where it is not
            measured.
    """

    source: str
    first_seq: int
    end_seq: int
    rows: Rows
    ways: bytes
    offset_ns: int
    notes: Notes
    nodes: Mapping[int, str] = field(default_factory=dict)
    kinds: Mapping[int, str] = field(default_factory=dict)
    lost: int = 0
    lost_notes: int = 0
    work: Work | None = None

    def batch(self) -> Batch:
        """Return its interaction records."""
        return Batch(
            source=self.source,
            first_seq=self.first_seq,
            records=expand(self.rows, self.ways, offset_ns=self.offset_ns),
            nodes=self.nodes,
            kinds=self.kinds,
            lost=self.lost,
            end_seq=self.end_seq,
        )


def split_by_task(delivery: Delivery, shards: int) -> list[Delivery]:
    """Split a delivery into one for each collector, so that each task has one collector.

    A part may be empty: it tells its collector that these numbers are not lost.
    """
    if shards == 1:
        return [delivery]
    row_shard = delivery.rows["task"] % np.uint64(shards)
    note_shard = delivery.notes["task"] % np.uint64(shards)
    return [
        replace(
            delivery,
            rows=delivery.rows[row_shard == shard],
            notes=delivery.notes[note_shard == shard],
            lost_notes=0 if shard else delivery.lost_notes,
            work=delivery.work and delivery.work.of_shard(shard, shards),
        )
        for shard in range(shards)
    ]
