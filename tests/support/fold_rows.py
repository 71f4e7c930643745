"""Rows of tasks from a fleet's records, one record after the other: slow, plain, and an oracle."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rolewise.graphs.interaction_graph import split_node
from rolewise.graphs.interactions import Batch, Happening
from rolewise.graphs.task_rows import TaskRows
from tests.support.task_rows import Sketch, rows_of

LATE_NS = 10_000_000_000
FAILED = {Happening.FAILED, Happening.TIMED_OUT}
ENDS = {Happening.REPLIED, Happening.CANCELLED, *FAILED}


def fold_rows(batches: Iterable[Batch], keys: Sequence[int], gaps: Iterable[int] = ()) -> TaskRows:
    """Fold records; row n is the task of key n. `gaps`: tasks with lost telemetry."""
    sketches = {key: Sketch(key=key, partial=key in set(gaps)) for key in keys}
    open_asks: dict[int, tuple[int, tuple[str, str, str]]] = {}
    ended: dict[int, int] = {}
    sent_at = defaultdict(list)
    fans = defaultdict(Counter)
    failed_before = defaultdict(set)
    records = [
        (int(record["t"]), place, batch, record)
        for place, batch in enumerate(batches)
        for record in batch.records
    ]
    for t, _, batch, record in sorted(records, key=lambda entry: entry[:2]):
        key = int(record["task"])
        if key not in sketches:
            continue
        task = sketches[key]
        src = split_node(batch.nodes[int(record["src"])])[0]
        dst = split_node(batch.nodes[int(record["dst"])])[0]
        kind = batch.kinds[int(record["kind"])]
        aux = batch.kinds[int(record["aux"])]
        edge = (src, dst, kind)
        happening = Happening(int(record["ev"]))
        if happening is Happening.SENT:
            task.sends[edge] = task.sends.get(edge, 0) + 1
            task.sizes.setdefault(edge, []).append(int(record["size"]))
            if src:
                move = (src, aux, dst, kind)
                task.moves[move] = task.moves.get(move, 0) + 1
            task.max_hop = max(task.max_hop, int(record["hop"]))
            fans[key][int(record["inv"])] += 1
            digest = int(record["dig"])
            if digest in failed_before[key]:
                task.retries += 1
                failed_before[key].discard(digest)
            sent_at[key].append(t)
            if int(record["flags"]) & 3:
                open_asks[int(record["msg"])] = key, edge
        elif happening in ENDS:
            open_asks.pop(int(record["msg"]), None)
            if src == "":
                ended.setdefault(key, t)
            if happening in FAILED:
                task.failed[edge] = task.failed.get(edge, 0) + 1
                failed_before[key].add(int(record["dig"]))
            if happening is Happening.REPLIED:
                task.latency_ms.setdefault(edge, []).append(max(int(record["dur"]), 1) / 1e6)
                move = (dst, kind, "reply", aux or "reply")
                task.moves[move] = task.moves.get(move, 0) + 1
    for key, edge in open_asks.values():
        sketches[key].unanswered[edge] = sketches[key].unanswered.get(edge, 0) + 1
    for key, task in sketches.items():
        task.fan_out = max(fans[key].values(), default=0)
        late = ended.get(key, float("inf")) + LATE_NS
        task.late_sends = sum(t >= late for t in sent_at[key])
    return rows_of(sketches.values())
