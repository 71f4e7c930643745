"""The form in which a recorder notes messages, and how it becomes interaction records.

Noting happens for every message, on its way; so a row holds as little as will do: one row for
an ask at each end, and what rows of one way have in common stands once, in a table. A collector
makes records of rows, by whole columns and on its own time.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from rolewise.graphs.interactions import DTYPE, Records

Rows = npt.NDArray[np.void]

SENT_PART, LATER_PART, BOTH_PARTS = 1, 2, 3
"""What a row holds: that its message was sent, what happened to it later, or both."""

ROW = struct.Struct("<dQQQQIIIHBBdQI")
ROW_DTYPE = np.dtype(
    [
        ("began", "<f8"),  # s on the recorder's clock: sent, or come into the queue
        ("msg", "<u8"),
        ("inv", "<u8"),
        ("task", "<u8"),
        ("dig", "<u8"),
        ("size", "<u4"),
        ("seq", "<u4"),  # of its first record; written when rows are taken
        ("way", "<u4"),  # row of the table of ways
        ("code", "<u2"),  # interned failure code or kind of the reply
        ("parts", "u1"),
        ("later", "u1"),  # Happening
        ("ended", "<f8"),  # s, when `later` happened
        ("later_dig", "<u8"),
        ("later_size", "<u4"),
    ]
)
LATER = struct.Struct("<HBBdQI")
LATER_AT = ROW.size - LATER.size
"""The end of a row, from `code` on: written anew when an ask has ended."""

WAY = struct.Struct("<6H4B")
"""src, dst, srep, drep, kind, aux, hop, ev, arm, flags: the end of a record of a sending."""

# Fields that lie side by side in both, as one.
_IDS, _WAY = "V24", f"V{WAY.size}"
_ROW_IDS = np.dtype(
    {"names": ["ids"], "formats": [_IDS], "offsets": [8], "itemsize": ROW_DTYPE.itemsize}
)
_RECORD_CUT = np.dtype(
    {
        "names": ["ids", "way"],
        "formats": [_IDS, _WAY],
        "offsets": [8, DTYPE.itemsize - WAY.size],
        "itemsize": DTYPE.itemsize,
    }
)
_SEQ_MASK = 0xFFFF_FFFF
assert ROW.size == ROW_DTYPE.itemsize  # noqa: S101


def number_rows(rows: Rows, first_seq: int) -> int:
    """Write the rows' `seq`; return the number behind the last record of them."""
    behind = np.cumsum(1 + (rows["parts"] == BOTH_PARTS)) + first_seq
    rows["seq"][1:] = behind[:-1] & _SEQ_MASK
    rows["seq"][:1] = first_seq & _SEQ_MASK
    return int(behind[-1]) if len(rows) else first_seq


def expand(rows: Rows, ways: bytes, *, offset_ns: int) -> Records:
    """Turn rows into records, those of one row side by side.

    Args:
        rows: Array of `ROW_DTYPE`.
        ways: Table of `WAY` that the rows' `way` leads into.
        offset_ns: What the recorder's clock lacks to the time of day.
    """
    parts = rows["parts"]
    copies = 1 + (parts == BOTH_PARTS)
    behind = np.cumsum(copies)
    records = np.zeros(behind[-1] if len(rows) else 0, DTYPE)
    cut = records.view(_RECORD_CUT)
    began_ns = (rows["began"] * 1e9).astype(np.int64)
    records["t"] = np.repeat(began_ns + offset_ns, copies)
    cut["ids"] = np.repeat(rows.view(_ROW_IDS)["ids"], copies)
    cut["way"] = np.frombuffer(ways, _WAY)[np.repeat(rows["way"], copies)]
    for name in ("seq", "dig", "size"):
        records[name] = np.repeat(rows[name], copies)
    with_later = np.flatnonzero(parts != SENT_PART)
    later = behind[with_later] - 1  # of two records it is the second
    records["seq"][later] += parts[with_later] == BOTH_PARTS
    duration_ns = (rows["ended"][with_later] * 1e9).astype(np.int64) - began_ns[with_later]
    records["t"][later] += duration_ns
    records["dur"][later] = np.maximum(duration_ns, 0)
    records["aux"][later] = rows["code"][with_later]
    records["ev"][later] = rows["later"][with_later]
    records["dig"][later] = rows["later_dig"][with_later]
    records["size"][later] = rows["later_size"][with_later]
    return records
