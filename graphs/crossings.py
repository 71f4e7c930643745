"""Traffic on a way where it must not be: two versions of a role in one task, mirrors that leak.

Both break an invariant of routing, so no statistics are needed: one case is a fault, of the
routing and not of the version on trial. Versions of different roles may well meet in one task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rolewise.graphs.interaction_graph import split_node
from rolewise.graphs.interactions import Batch, Happening

_MIRRORED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One fault of routing.

    Attributes:
        task: Key of the task.
        kind: `mixed`: versions of one role in one task; `leak`: a mirrored message caused a live
            one.
        sentence: What happened, in words.
    """

    task: int
    kind: str
    sentence: str


def find_mixed(batches: Iterable[Batch]) -> Iterator[Crossing]:
    """Yield the tasks that have met more than one version of a role, live messages only.

    A table that withdraws a version sends its tasks to the stable one: after a rollback this is
    no fault, so look at what was recorded before.
    """
    versions: dict[tuple[int, str], set[str]] = {}
    for batch in batches:
        records = batch.records[(batch.records["flags"] & _MIRRORED) == 0]
        pairs = np.unique(records[["task", "dst"]])
        for task, node in pairs.tolist():
            role, version = split_node(batch.nodes.get(node, ""))
            if role:
                versions.setdefault((task, role), set()).add(version)
    for (task, role), met in sorted(versions.items()):
        if len(met) > 1:
            names = " and ".join(sorted(met))
            yield Crossing(
                task=task,
                kind="mixed",
                sentence=f"one task met {role} in versions {names}: its lane is broken",
            )


def find_leaks(batches: Iterable[Batch]) -> Iterator[Crossing]:
    """Yield live messages that the handling of a mirrored one has sent."""
    kept = list(batches)
    mirrored: set[int] = set()
    for batch in kept:
        is_mirrored = (batch.records["flags"] & _MIRRORED) != 0
        mirrored |= set(batch.records["msg"][is_mirrored].tolist())
    for batch in kept:
        records = batch.records
        live = (records["flags"] & _MIRRORED) == 0
        sent = records[live & (records["ev"] == Happening.SENT)]
        for record in sent[np.isin(sent["inv"], list(mirrored) or [0]) & (sent["inv"] != 0)]:
            src, dst = batch.nodes[int(record["src"])], batch.nodes[int(record["dst"])]
            kind = batch.kinds[int(record["kind"])]
            yield Crossing(
                task=int(record["task"]),
                kind="leak",
                sentence=f"{src} sent {kind!r} to the live {dst} while it handled mirrored work",
            )
