"""Writes down what happens to messages, where it happens, without ever holding one up.

One per replica incarnation. Rows go into a buffer that is allocated once; somebody takes them
from time to time with `take`. When nobody does, further records are dropped and counted: the
fleet goes on, and the graph knows what it missed.

An ask has one row: it is written when the message is sent, and completed when the answer comes. If
rows were taken in between, how it ended gets a row of its own; so a message that is never answered
shows as sent. Nothing is kept but the row: to put messages aside and pack many at once is slower,
since by then they have left the caches and the garbage collector has walked over them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rolewise.agents.message import Address, Message
from rolewise.fleet.recording.notes import NOTE, NOTE_DTYPE, Delivery, Noted
from rolewise.fleet.recording.rows import (
    BOTH_PARTS,
    LATER,
    LATER_AT,
    LATER_PART,
    ROW,
    ROW_DTYPE,
    SENT_PART,
    WAY,
    number_rows,
)
from rolewise.graphs.interactions import Happening

NAMES = 0xFFFF
"""More than any fleet has; past them all names share the last number."""
WAYS_KEPT = 1 << 16

_SIZE = ROW.size
_pack_row = ROW.pack_into
_pack_later = LATER.pack_into
_pack_note = NOTE.pack_into


_Way = tuple[int, int, str, str, int, int, int, int, int]
"""Numbers of both replicas, kind, received, hop, arm, nature, awaited, attempt."""


class Recorder:
    """The notebook of one replica incarnation.

    Args:
        source: Name of the incarnation, `negotiator@v2#1.0`.
        node: Its node in the interaction graph, `negotiator@v2`; empty for the gateway.
        capacity: Rows that are kept until they are taken.
        now: Seconds for measuring, the clock of whoever calls.
        clock_ns: Time of day in nanoseconds; read when rows are taken.
    """

    def __init__(
        self,
        source: str,
        node: str,
        *,
        capacity: int = 32768,
        now: Callable[[], float] = time.perf_counter,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.source = source
        self._capacity = capacity
        self._now = now
        self._clock_ns = clock_ns
        self._rows = bytearray(capacity * ROW.size)
        self._notes = bytearray(capacity * NOTE.size)
        self._taken = self._next = 0  # rows, counted from the beginning
        self._full = capacity
        self._note_count = 0
        self._seq = 0
        self._dropped = 0
        self._lost = 0
        self._lost_notes = 0
        self._nodes: dict[str, int] = {"": 0}
        self._kinds: dict[str, int] = {"": 0}
        self._ways: dict[_Way, int] = {}
        self._way_table = bytearray()
        self._node = self._nodes.setdefault(node, len(self._nodes))

    def happened(
        self,
        happening: Happening,
        message: Message,
        target: Address,
        began_s: float,
        ended_s: float = 0.0,
        received: str = "",
        code: str = "",
        digest: int = 0,
        size: int = 0,
    ) -> int:
        """Note that something happened to a message.

        Args:
            happening: What. `SENT` of a request gets the rest with `answered`.
            message: The message.
            target: The replica that it is for.
            began_s: When it was sent, or came into the queue.
            ended_s: When it happened, if it is not `SENT`.
            received: Kind of what the invocation that sent it had received last.
            code: Of the failure, if it failed; kind of the reply, if it was answered.
            digest: Of the body, of the reply's if it was answered; 0 for none.
            size: About how many bytes that body has; 0 if not known.

        Returns:
            The number of its row, for `answered`.
        """
        row = self._next
        if row == self._full:
            self._dropped += 1
            return -1
        self._next = row + 1
        # All in one method, and no more than this: it runs twice for every message. Within a
        # fleet a replica's number says its role and version too.
        source = message.sender
        named = (
            source.replica,
            target.replica,
            message.kind,
            received,
            message.hop,
            message.arm,
            message.nature,
            message.awaited,
            message.attempt,
        )
        way = self._ways.get(named)
        _pack_row(
            self._rows,
            (row - self._taken) * _SIZE,
            began_s,
            message.id,
            message.parent,
            message.task_key,
            digest,
            size,
            0,
            self._way(named, source, target) if way is None else way,
            self._intern(self._kinds, code) if code else 0,
            LATER_PART if happening else SENT_PART,
            happening,
            ended_s,
            digest,
            size,
        )
        return row

    def answered(
        self,
        row: int,
        happening: Happening,
        ended_s: float,
        code: str = "",
        digest: int = 0,
        size: int = 0,
    ) -> bool:
        """Note how a request ended that is noted as sent; see `happened`.

        Returns:
            False when that row has been taken meanwhile; then `happened` must be called.
        """
        place = row - self._taken
        if place < 0:
            return False
        _pack_later(
            self._rows,
            place * _SIZE + LATER_AT,
            self._intern(self._kinds, code) if code else 0,
            BOTH_PARTS,
            happening,
            ended_s,
            digest,
            size,
        )
        return True

    def note(
        self,
        what: Noted,
        task_key: int,
        name: str = "",
        *,
        ok: bool = True,
        a: float = 0.0,
        b: float = 0.0,
        c: float = 0.0,
    ) -> None:
        """Note a tool call, usage, a score or progress; see `Noted` for the figures."""
        count = self._note_count
        if count == self._capacity:
            self._lost_notes += 1
            return
        self._note_count = count + 1
        _pack_note(
            self._notes,
            count * NOTE.size,
            self._clock_ns(),
            task_key,
            self._node,
            self._intern(self._kinds, name),
            what,
            ok,
            0,
            a,
            b,
            c,
        )

    def take(self, *, also_empty: bool = False) -> Delivery | None:
        """Take what was noted since the last call.

        Args:
            also_empty: Return a delivery even if nothing was noted; else that is None.
        """
        count, note_count = self._next - self._taken, self._note_count
        if not count and not note_count and not also_empty:
            return None
        rows = np.frombuffer(bytearray(memoryview(self._rows)[: count * _SIZE]), ROW_DTYPE)
        first = self._seq
        # What was dropped came after what is here: its numbers are the gap before the next one.
        end = number_rows(rows, first)
        self._seq = end + self._dropped
        self._lost += self._dropped
        self._taken = self._next
        self._full = self._taken + self._capacity
        self._note_count = self._dropped = 0
        delivery = Delivery(
            source=self.source,
            first_seq=first,
            end_seq=end,
            rows=rows,
            ways=bytes(self._way_table),
            offset_ns=self._clock_ns() - int(self._now() * 1e9),
            notes=np.frombuffer(bytes(self._notes[: note_count * NOTE.size]), NOTE_DTYPE),
            nodes={number: name for name, number in self._nodes.items()},
            kinds={number: name for name, number in self._kinds.items()},
            lost=self._lost,
            lost_notes=self._lost_notes,
        )
        if len(self._ways) > WAYS_KEPT:
            self._ways.clear()
            self._way_table = bytearray()
        return delivery

    def _way(self, named: _Way, source: Address, target: Address) -> int:
        _, _, kind, received, hop, arm, nature, awaited, attempt = named
        number = self._ways[named] = len(self._ways)
        self._way_table += WAY.pack(
            self._intern(self._nodes, source.node if source.role else ""),
            self._intern(self._nodes, target.node),
            source.replica & 0xFFFF,
            target.replica & 0xFFFF,
            self._intern(self._kinds, kind),
            self._intern(self._kinds, received),
            min(hop, 0xFF),
            Happening.SENT,
            arm,
            (4 if nature else awaited & 3) | min(attempt, 7) << 5,
        )
        return number

    @staticmethod
    def _intern(table: dict[str, int], name: str) -> int:
        number = table.get(name)
        if number is None:
            number = table[name] = min(len(table), NAMES)
        return number
