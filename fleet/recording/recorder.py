"""Writes down what happens to messages, where it happens, without ever holding one up.

One per replica incarnation. Records go into a buffer that is allocated once; somebody takes them
from time to time with `take`. When nobody does, further records are dropped and counted: the
fleet goes on, and the graph knows what it missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from rolewise.agents.message import Address, Message
from rolewise.fleet.recording.notes import NOTE, NOTE_DTYPE, Delivery, Noted
from rolewise.fleet.task import task_key
from rolewise.graphs.interactions import DTYPE, RECORD, Arm, Batch, Happening

_pack = RECORD.pack_into
_pack_note = NOTE.pack_into


class Recorder:
    """The notebook of one replica incarnation.

    Args:
        source: Name of the incarnation, `negotiator@v2#1.0`.
        node: Its node in the interaction graph, `negotiator@v2`; empty for the gateway.
        capacity: Records that are kept until they are taken.
        clock_ns: Nanoseconds for the records' time.
    """

    def __init__(
        self,
        source: str,
        node: str,
        *,
        capacity: int = 32768,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.source = source
        self._capacity = capacity
        self._clock_ns = clock_ns
        self._records = bytearray(capacity * RECORD.size)
        self._notes = bytearray(capacity * NOTE.size)
        self._count = 0
        self._note_count = 0
        self._seq = 0
        self._first_seq = 0
        self._lost = 0
        self._lost_notes = 0
        self._nodes: dict[str, int] = {"": 0}
        self._kinds: dict[str, int] = {"": 0}
        self._task_keys: dict[str, int] = {}
        self._node = self._nodes.setdefault(node, len(self._nodes))

    def happened(
        self,
        happening: Happening,
        message: Message,
        source: Address,
        target: Address,
        *,
        duration_ns: int = 0,
        arm: Arm = Arm.NONE,
        received: str = "",
        size: int = 0,
        digest: int = 0,
    ) -> None:
        """Note that something happened to a message.

        Args:
            happening: What.
            message: The message.
            source: Who sent it.
            target: The replica that it is for.
            duration_ns: In the queue for `STARTED`, since sending for the terminal ones.
            arm: Arm of the task.
            received: `SENT`: kind of what the sending invocation last received; `REPLIED`: kind of
                the reply; failures: code.
            size: Bytes of the body, 0 if not known.
            digest: Of the body; for `REPLIED` of the reply's body. 0 for none.
        """
        seq = self._seq
        self._seq = seq + 1
        count = self._count
        if count == self._capacity:
            self._lost += 1
            return
        self._count = count + 1
        nodes, kinds, keys = self._nodes, self._kinds, self._task_keys
        task, kind, hop, attempt = message.task, message.kind, message.hop, message.attempt
        # Looked up here, not by a method for each: this runs three times for every message.
        src = nodes.get(source.node if source.role else "")
        dst = nodes.get(target.node)
        key = keys.get(task)
        said = kinds.get(kind)
        aux = kinds.get(received)
        _pack(
            self._records,
            count * 72,
            self._clock_ns(),
            message.id,
            message.parent,
            self._key(task) if key is None else key,
            duration_ns,
            digest,
            size,
            seq & 0xFFFFFFFF,
            self._intern(nodes, source.node) if src is None else src,
            self._intern(nodes, target.node) if dst is None else dst,
            source.replica,
            target.replica,
            self._intern(kinds, kind) if said is None else said,
            self._intern(kinds, received) if aux is None else aux,
            min(hop, 255),
            happening,
            arm,
            (4 if message.nature else message.awaited & 3) | (min(attempt, 7) << 5),
        )

    def note(
        self,
        what: Noted,
        task: str,
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
            self._key(task),
            self._node,
            self._intern(self._kinds, name),
            what,
            ok,
            0,
            a,
            b,
            c,
        )

    def take(self) -> Delivery | None:
        """Take what was noted since the last call; None when there is nothing."""
        if not self._count and not self._note_count:
            return None
        records = np.frombuffer(bytes(self._records[: self._count * 72]), DTYPE)
        notes = np.frombuffer(bytes(self._notes[: self._note_count * NOTE.size]), NOTE_DTYPE)
        first = self._first_seq
        self._first_seq = self._seq
        self._count = self._note_count = 0
        self._task_keys.clear()
        return Delivery(
            batch=Batch(
                source=self.source,
                first_seq=first,
                records=records,
                nodes={number: name for name, number in self._nodes.items()},
                kinds={number: name for name, number in self._kinds.items()},
                lost=self._lost,
            ),
            notes=notes,
            lost_notes=self._lost_notes,
        )

    def _key(self, task: str) -> int:
        key = self._task_keys.get(task)
        if key is None:
            key = self._task_keys[task] = task_key(task)
        return key

    @staticmethod
    def _intern(table: dict[str, int], name: str) -> int:
        number = table.get(name)
        if number is None:
            # 65,535 names are more than any fleet has; past them all share the last number.
            number = table[name] = min(len(table), 0xFFFF)
        return number


def split_by_task(delivery: Delivery, shards: int) -> list[Delivery | None]:
    """Split a delivery into one for each collector, so that each task has one collector."""
    if shards == 1:
        return [delivery]
    batch, parts = delivery.batch, []
    record_shard = batch.records["task"] % np.uint64(shards)
    note_shard = delivery.notes["task"] % np.uint64(shards)
    for shard in range(shards):
        records = batch.records[record_shard == shard]
        notes = delivery.notes[note_shard == shard]
        parts.append(
            Delivery(
                batch=Batch(
                    source=batch.source,
                    first_seq=batch.first_seq,
                    records=records,
                    nodes=batch.nodes,
                    kinds=batch.kinds,
                    lost=batch.lost if shard == 0 else 0,
                ),
                notes=notes,
                lost_notes=delivery.lost_notes if shard == 0 else 0,
                cpu_s_per_message=delivery.cpu_s_per_message,
                memory_bytes=delivery.memory_bytes,
            )
            if len(records) or len(notes)
            else None
        )
    return parts
