"""Which batches have come, and how many records are missing.

A batch is named by its writer and the sequence number of its first record. Batches may come
twice, out of order and in parts to several collectors; ledgers merge in any order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from rolewise.graphs.interactions import Batch

_REMEMBERED = 1024
_SEQ_MASK = 0xFFFF_FFFF  # `seq` has 32 bits; Batch.first_seq does not wrap


@dataclass(slots=True, kw_only=True)
class _Writer:
    """The account of one replica incarnation."""

    lowest: int
    highest: int
    records: int = 0
    dropped: int = 0
    first_seqs: list[int] = field(default_factory=list)

    @property
    def lost(self) -> int:
        # A dropped record also leaves a gap: the larger number holds both.
        return max(self.dropped, self.highest - self.lowest + 1 - self.records)

    def forget(self) -> None:
        del self.first_seqs[:-_REMEMBERED]


class BatchLedger:
    """The account of all writers."""

    def __init__(self) -> None:
        self._writers: dict[str, _Writer] = {}

    @property
    def lost(self) -> int:
        """Records missing between those that came, or dropped by their writers.

        If the batches are split over several collectors, only the merged ledger knows.
        """
        return sum(writer.lost for writer in self._writers.values())

    @property
    def records(self) -> int:
        """Records that came."""
        return sum(writer.records for writer in self._writers.values())

    def enter(self, batch: Batch) -> bool:
        """Note a batch; False when it has come before.

        Notes:
            The last 1024 batches of a writer are remembered. One that is older than all of
            these counts as seen: rather a loss that shows than a batch counted twice.
        """
        first = batch.first_seq
        last = _last_seq(batch)
        writer = self._writers.setdefault(batch.source, _Writer(lowest=first, highest=last))
        if len(batch.records) == 0:  # It only tells what was dropped; the next has its name.
            writer.dropped = max(writer.dropped, batch.lost)
            return True
        known = writer.first_seqs
        place = bisect_left(known, first)
        if place < len(known) and known[place] == first:
            return False
        if place == 0 and len(known) >= _REMEMBERED:
            return False
        known.insert(place, first)
        writer.forget()
        writer.lowest = min(writer.lowest, first)
        writer.highest = max(writer.highest, last)
        writer.records += len(batch.records)
        writer.dropped = max(writer.dropped, batch.lost)
        return True

    def merge(self, other: BatchLedger) -> None:
        """Add another ledger's account."""
        for source, theirs in other.items():
            ours = self._writers.setdefault(
                source, _Writer(lowest=theirs.lowest, highest=theirs.highest)
            )
            ours.lowest = min(ours.lowest, theirs.lowest)
            ours.highest = max(ours.highest, theirs.highest)
            ours.records += theirs.records
            ours.dropped = max(ours.dropped, theirs.dropped)
            ours.first_seqs = sorted({*ours.first_seqs, *theirs.first_seqs})
            ours.forget()

    def items(self) -> Iterator[tuple[str, _Writer]]:
        """Iterate over writers and their accounts."""
        return iter(self._writers.items())


def _last_seq(batch: Batch) -> int:
    """Return the last record's number, without the wrap."""
    if len(batch.records) == 0:
        return batch.first_seq - 1
    # From the batch's name, not its first record: a shard has only some of the records.
    return batch.first_seq + (int(batch.records["seq"][-1]) - batch.first_seq & _SEQ_MASK)
