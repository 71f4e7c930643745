"""Which batches have come, how many records are missing, and which tasks that may have touched.

A batch is named by its writer and the number of its first record, and accounts for the numbers
up to its `end_seq`. Batches may come twice, out of order and in parts to several collectors (each
then knows of every batch); ledgers merge in any order.

A gap between two batches is lost telemetry. The ledger cannot know whose it was: it takes the tasks
that the same writer noted in the batch right before and right after for touched, whether or not
they had ended. That is too many where tasks are short; it misses only a task of which the writer
noted nothing outside the gap within one batch on either side.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise

import numpy as np

from rolewise.graphs.grouping import Keys
from rolewise.graphs.interactions import Batch

_REMEMBERED = 1024
WRITERS_REMEMBERED = 256
"""Of so many writers, those heard last, the batches are remembered; of the others only the last,"""
WRITERS_KEPT = 2000
"""and of those that are silent longer than so many others, what they lost and sent in all."""
TOUCHED_KEPT = 50_000
_NO_TASKS: Keys = np.zeros(0, np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What is known of one writer's telemetry.

    Attributes:
        lost: Records that are missing.
        seen: Records that came, to this collector or to another.
    """

    lost: int
    seen: int

    @property
    def share(self) -> float:
        """Part of all its records that is missing."""
        return self.lost / max(self.lost + self.seen, 1)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A batch: its numbers, the window in which it came, and its tasks while a gap may touch it."""

    first: int
    end: int
    window: int
    tasks: Keys


@dataclass(slots=True)
class _Writer:
    """The account of one replica incarnation: its batches in order; the oldest are forgotten."""

    entries: list[_Entry] = field(default_factory=list)
    floor: int = -1  # batches that begin below count as seen
    seen_below: int = 0
    lost_below: int = 0
    touched_below: Keys = field(default_factory=lambda: _NO_TASKS)
    dropped: int = 0

    @property
    def lost(self) -> int:
        # A dropped record also leaves a gap: the larger number holds both.
        return max(self.dropped, self.lost_below + sum(gap for gap, _, _ in self.gaps()))

    @property
    def seen(self) -> int:
        return self.seen_below + sum(entry.end - entry.first for entry in self.entries)

    def gaps(self) -> Iterator[tuple[int, _Entry, _Entry]]:
        """Return what is missing between two batches, with both."""
        for before, after in pairwise(self.entries):
            if after.first > before.end:
                yield after.first - before.end, before, after

    def tidy(self, places: Iterable[int]) -> None:
        """Forget the oldest batches, and the tasks of those here that no gap touches any more."""
        entries = self.entries
        for place in places:
            if 0 < place < len(entries) - 1 and len(entries[place].tasks):
                before, entry, behind = entries[place - 1 : place + 2]
                if before.end >= entry.first and entry.end >= behind.first:
                    entries[place] = replace(entry, tasks=_NO_TASKS)
        if len(entries) > _REMEMBERED:
            self.forget(_REMEMBERED)

    def forget(self, remembered: int) -> None:
        """Keep no more than the sums of all but the last batches."""
        entries = self.entries
        old_ones = entries[: len(entries) - remembered + 1]
        for old, behind in pairwise(old_ones):
            self.floor = behind.first
            self.seen_below += old.end - old.first
            if behind.first > old.end:
                self.lost_below += behind.first - old.end
                touched = np.concatenate([self.touched_below, old.tasks, behind.tasks])
                self.touched_below = np.unique(touched)
        del entries[:-remembered]


class BatchLedger:
    """The account of all writers.

    Args:
        is_successor: Batches may have come to an earlier life that died with them: the tasks in the
            first batch of a writer that is not its first may have been touched by that.
    """

    def __init__(self, *, is_successor: bool = False) -> None:
        self._is_successor = is_successor
        # Replicas come and go, and nobody says which writer has ended. In the order in which they
        # were heard last:
        self._writers: dict[str, _Writer] = {}
        self._silent: dict[str, _Writer] = {}
        self._past: dict[str, Loss] = {}  # by node, of writers that are forgotten
        self._past_touched: Keys = _NO_TASKS
        self._records = 0

    @property
    def lost(self) -> int:
        """Records missing between those that came, or dropped by their writers."""
        return sum(loss.lost for loss in self.losses().values())

    @property
    def records(self) -> int:
        """Records that came here."""
        return self._records

    def enter(self, batch: Batch, tasks: Keys, *, window: int = 0) -> bool:
        """Note a batch, and the distinct tasks in it; False when it has come before.

        Notes:
            The last 1024 batches of a writer are remembered. One that is older than all of
            these counts as seen: rather a loss that shows than a batch counted twice. Of a writer
            that was silent while hundreds of others were heard it is only the last batch.
        """
        writer = self._hear(batch.source)
        writer.dropped = max(writer.dropped, batch.lost)
        if batch.end_seq == batch.first_seq:
            return True  # It only tells what was dropped; the next has its name.
        if self._is_successor and not writer.entries and batch.first_seq > 0:
            writer.touched_below = np.unique(tasks)
        place = bisect_left(writer.entries, batch.first_seq, key=_first)
        known = writer.entries[place : place + 1]
        if (known and known[0].first == batch.first_seq) or batch.first_seq < writer.floor:
            return False
        writer.entries.insert(place, _Entry(batch.first_seq, batch.end_seq, window, tasks))
        self._records += len(batch.records)
        writer.tidy((place - 1, place, place + 1))
        return True

    def merge(self, other: BatchLedger) -> None:
        """Add another ledger's account."""
        self._records += other._records
        # Every collector knows of every batch, so what both have forgotten is the same.
        for node, loss in other._past.items():
            past = self._past.get(node, loss)
            self._past[node] = Loss(lost=max(past.lost, loss.lost), seen=max(past.seen, loss.seen))
        self._past_touched = np.union1d(self._past_touched, other._past_touched)
        for source, theirs in other._all():
            ours = self._hear(source)
            ours.dropped = max(ours.dropped, theirs.dropped)
            if theirs.floor > ours.floor:
                ours.floor, ours.seen_below, ours.lost_below = (
                    theirs.floor,
                    theirs.seen_below,
                    theirs.lost_below,
                )
            ours.touched_below = np.union1d(ours.touched_below, theirs.touched_below)
            both: dict[int, _Entry] = {}
            for entry in (*ours.entries, *theirs.entries):
                if entry.first >= ours.floor:
                    known = both.get(entry.first, entry)
                    both[entry.first] = replace(
                        entry,
                        window=min(known.window, entry.window),
                        tasks=np.union1d(known.tasks, entry.tasks),
                    )
            ours.entries = sorted(both.values(), key=_first)
            ours.tidy(range(len(ours.entries)))

    def losses(self, *, since_window: int | None = None) -> Mapping[str, Loss]:
        """Return what is missing and what came of each writer, in these windows or at all.

        A gap counts in the window in which the batch behind it came. What a writer says that it
        dropped, and no batch has shown yet, counts only when no windows are named.
        """
        if since_window is None:
            known = {s: Loss(lost=w.lost, seen=w.seen) for s, w in self._all()}
            return {**self._past, **known}
        return {
            source: Loss(
                lost=sum(gap for gap, _, behind in w.gaps() if behind.window >= since_window),
                seen=sum(e.end - e.first for e in w.entries if e.window >= since_window),
            )
            for source, w in self._all()
        }

    def touched(self) -> Keys:
        """Return the tasks whose telemetry may be incomplete, ascending."""
        found = [self._past_touched]
        for _, writer in self._all():
            found.append(writer.touched_below)
            for _, before, behind in writer.gaps():
                found += [before.tasks, behind.tasks]
        return np.unique(np.concatenate(found))

    def _all(self) -> Iterator[tuple[str, _Writer]]:
        return chain(self._silent.items(), self._writers.items())

    def _hear(self, source: str) -> _Writer:
        """Return a writer's account, and let those that were not heard for long be forgotten."""
        writer = self._writers.pop(source, None) or self._silent.pop(source, None) or _Writer()
        self._writers[source] = writer
        if len(self._writers) > WRITERS_REMEMBERED:
            oldest = next(iter(self._writers))
            self._silent[oldest] = silent = self._writers.pop(oldest)
            silent.forget(1)
        if len(self._silent) > WRITERS_KEPT:
            oldest = next(iter(self._silent))
            self._give_up(oldest, self._silent.pop(oldest))
        return writer

    def _give_up(self, source: str, writer: _Writer) -> None:
        node = source.partition("#")[0]
        past = self._past.get(node, Loss(lost=0, seen=0))
        self._past[node] = Loss(lost=past.lost + writer.lost, seen=past.seen + writer.seen)
        touched = np.concatenate([self._past_touched, writer.touched_below])
        self._past_touched = touched[-TOUCHED_KEPT:]


def _first(entry: _Entry) -> int:
    return entry.first
