"""Folds what recorders ship: the interaction graph's windows, and the sums of each task.

One collector has all telemetry of a task (deliveries are split by task), so collectors never
need each other; their windows merge by addition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np

from rolewise.agents.errors import ReplicaLost
from rolewise.fleet.recording.loop_ledger import RECORDS_A_TASK, LoopLedger, surplus_of
from rolewise.fleet.recording.losses import Losses
from rolewise.fleet.recording.notes import Delivery, Noted
from rolewise.fleet.recording.work import Work
from rolewise.fleet.task import TaskRecord, task_key
from rolewise.graphs.columns import MIRRORED, Columns, in_columns
from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.interactions import Arm, Batch, Happening
from rolewise.graphs.pulse import LAG_S, Pulse
from rolewise.graphs.task_samples import RECORDS_KEPT, TaskSample
from rolewise.graphs.task_table import TASKS_KEPT

LATENCIES_KEPT = 512
"""Of one task's requests to one role; a loop of thousands tells no more than its first."""

_ENDED = (Happening.REPLIED, Happening.FAILED, Happening.TIMED_OUT)


@dataclass(slots=True)
class Tally:
    """What was noted in one task beside its messages, as far as telemetry has arrived.

    None is not measured.
    """

    tool_calls: int = 0
    tool_errors: int = 0
    has_usage: bool = False
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    cost_usd: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    latencies_s: dict[str, list[float]] = field(default_factory=dict)
    cpu_s: float | None = None
    memory_bytes: dict[str, float] = field(default_factory=dict)


class Collector:
    """One shard's graph and sums; no I/O.

    Args:
        window_s: Length of a window of the graph.
        lag_s: How late telemetry may come; see `Pulse`.
        tasks_kept: Of how many tasks there are sums; those that were seen first go first.
        is_successor: An earlier life has died with all that it had folded.
    """

    def __init__(
        self,
        *,
        window_s: float = 10.0,
        lag_s: float = LAG_S,
        tasks_kept: int = TASKS_KEPT,
        is_successor: bool = False,
    ) -> None:
        self._tasks_kept = tasks_kept
        self._is_successor = is_successor
        self._blind_until_s: float | None = None
        self._lost_before = Losses()
        self.windows = InteractionWindows(
            window_s=window_s, tasks_kept=tasks_kept, is_successor=is_successor
        )
        self.sample = TaskSample(records_kept=min(RECORDS_KEPT, RECORDS_A_TASK * tasks_kept))
        self.pulse = Pulse(lag_s=lag_s)
        # Most tasks have messages only: plain numbers, which the garbage collector need not walk.
        self._messages: dict[int, int] = {}
        self._tallies: dict[int, Tally] = {}
        self._lost = Losses()
        self._lost_at: dict[int, set[str]] = {}
        self._loops = LoopLedger(tasks_kept=tasks_kept)

    @property
    def lost(self) -> int:
        """Records and notes that recorders had to drop, or that died with an earlier life."""
        return self._lost.total + self._lost_before.total

    def take(self, delivery: Delivery, *, now_s: float) -> None:
        """Fold one delivery; one that comes a second time changes nothing."""
        batch = delivery.batch()
        # A clock that is ahead would make sends late, after their task's end: nothing is taken
        # for later than it arrived.
        np.minimum(batch.records["t"], int(now_s * 1e9), out=batch.records["t"])
        columns = in_columns(batch)
        if not self.windows.fold(batch, now_s=now_s, columns=columns):
            return
        if self._is_successor:
            # The first numbers that come here are behind those that the earlier life had.
            known = self._lost_before.of(batch.source)
            first = batch.first_seq if known is None else min(known, batch.first_seq)
            self._lost_before.note(batch.source, first)
        self.sample.take(batch)
        self.pulse.take(batch, now_s=now_s)
        if lost := batch.lost + delivery.lost_notes:
            self._lost.note(batch.source, lost)
        self._take_sends(delivery, batch, columns, now_s)
        if len(delivery.notes):
            self._take_notes(delivery)
        self._take_latencies(batch)
        self._take_losses(batch)
        if delivery.work is not None:
            self._take_work(columns, batch, delivery.work)

    def complete(
        self, records: Iterable[TaskRecord], *, now_s: float = 0.0
    ) -> tuple[TaskRecord, ...]:
        """Return the records with this shard's sums written in.

        Args:
            records: Tasks of this shard.
            now_s: The fleet's clock; 0 where it is not known. Of tasks that began before a
                successor first hears it, some telemetry may have died with its predecessor: they
                are partial.
        """
        if self._is_successor and self._blind_until_s is None and now_s > 0.0:
            self._blind_until_s = now_s
        known = tuple(records)
        flags = self._loops.flags([task_key(record.task) for record in known])
        touched = self.windows.touched()
        return tuple(
            replace(self._complete(record, touched), flags=raised)
            for record, raised in zip(known, flags, strict=True)
        )

    def breaches(self, limits: GuardLimits) -> dict[int, str]:
        """Return the open tasks that broke a hard limit: key of the task -> which, in words."""
        return self._loops.breaches(limits)

    def _complete(self, record: TaskRecord, touched: Collection[int]) -> TaskRecord:
        key = task_key(record.task)
        tally = self._tallies.get(key) or Tally()
        return replace(
            record,
            messages=self._messages.get(key, 0),
            tool_calls=tally.tool_calls,
            tool_errors=tally.tool_errors,
            input_tokens=int(tally.input_tokens) if tally.has_usage else None,
            output_tokens=int(tally.output_tokens) if tally.has_usage else None,
            cost_usd=tally.cost_usd if tally.has_usage else None,
            scores={**tally.scores, **record.scores},
            message_latency_s={role: tuple(took) for role, took in tally.latencies_s.items()},
            cpu_s=tally.cpu_s,
            memory_bytes=dict(tally.memory_bytes),
            lost_at=tuple(sorted(self._lost_at.get(key, ()))),
            # What a replica had not shipped died with it.
            partial=key in touched or key in self._lost_at or self._is_blind_to(record),
        )

    def _take_sends(self, delivery: Delivery, batch: Batch, columns: Columns, now_s: float) -> None:
        """Count the messages of tasks, and let the livelock detector have them."""
        sent = columns.sent
        counted = columns.by_task(sent)
        messages = self._messages
        for key, count in counted:
            messages[key] = messages.get(key, 0) + count
        self._forget(messages)
        mirrored = (columns.flags[sent] & MIRRORED) > 0
        if mirrored.any():
            counted = columns.by_task(sent[~mirrored])
        self._loops.take(batch, delivery.notes, counted, now_s=now_s)

    def _is_blind_to(self, record: TaskRecord) -> bool:
        if not self._is_successor:
            return False
        return self._blind_until_s is None or record.started_s <= self._blind_until_s

    def _take_latencies(self, batch: Batch) -> None:
        """Note what each request of a task in a trial took; nobody asks about other tasks."""
        records = batch.records
        if not records["arm"].any():
            return
        ended = records[np.isin(records["ev"], _ENDED) & (records["arm"] != Arm.NONE)]
        columns = (ended[name].tolist() for name in ("task", "dst", "dur"))
        for key, target, took_ns in zip(*columns, strict=True):
            role = batch.nodes[target].partition("@")[0]
            took = self._tally(key).latencies_s.setdefault(role, [])
            if len(took) < LATENCIES_KEPT:
                took.append(took_ns / 1e9)

    def _take_losses(self, batch: Batch) -> None:
        """Note which replicas died with a request of which task."""
        codes = [number for number, name in batch.kinds.items() if name == ReplicaLost.code]
        if not codes:
            return
        records = batch.records
        lost = records[(records["ev"] == Happening.FAILED) & np.isin(records["aux"], codes)]
        columns = (lost[name].tolist() for name in ("task", "dst", "drep"))
        for key, node, number in zip(*columns, strict=True):
            self._lost_at.setdefault(key, set()).add(f"{batch.nodes[node]}#{number}")
        self._forget(self._lost_at)

    def _take_work(self, columns: Columns, batch: Batch, work: Work) -> None:
        """Give each task its share of what the replica's process used."""
        role = batch.source.partition("@")[0]
        began = columns.by_task(columns.where(Happening.STARTED))
        for key, count in chain(began, Counter(work.carried).items()):
            tally = self._tally(key)
            tally.cpu_s = (tally.cpu_s or 0.0) + count * work.cpu_s_per_message
            if work.memory_bytes is not None:
                tally.memory_bytes[role] = max(tally.memory_bytes.get(role, 0.0), work.memory_bytes)

    def _take_notes(self, delivery: Delivery) -> None:
        node = delivery.source.partition("#")[0]
        per_node = Tally()
        for note in delivery.notes.tolist():
            _, key, _, name, what, ok, _, a, b, c = note
            for tally in (self._tally(key), per_node):
                if what == Noted.TOOL:
                    tally.tool_calls += 1
                    tally.tool_errors += not ok
                elif what == Noted.USAGE:
                    tally.has_usage = True
                    tally.input_tokens += a
                    tally.output_tokens += b
                    tally.cost_usd += c
                elif what == Noted.SCORE:
                    tally.scores[delivery.kinds.get(name, "")] = a
        self.windows.note_usage(
            node,
            input_tokens=int(per_node.input_tokens),
            output_tokens=int(per_node.output_tokens),
            cost_usd=per_node.cost_usd,
            tool_calls=per_node.tool_calls,
            tool_errors=per_node.tool_errors,
        )

    def _tally(self, key: int) -> Tally:
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
            self._forget(self._tallies)
        return tally

    def _forget(self, by_task: dict[int, Any]) -> None:
        """Drop the tasks that were seen first when there are too many."""
        for key in surplus_of(by_task, self._tasks_kept):
            del by_task[key]
