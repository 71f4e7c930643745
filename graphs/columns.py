"""A batch of records in columns: contiguous, with dense numbers for names, and with its edges.

Made once for a batch; the sums over edges and over tasks both start from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rolewise.graphs.grouping import Ints, Keys, group
from rolewise.graphs.interactions import Arm, Batch, Happening, Records

HAPPENINGS = len(Happening)
MIRRORED = 8  # bit 3 of `flags`
AWAITED = 3  # bits 0 and 1
ATTEMPT = 5  # first bit of the attempt

_SIDES = 8  # arm (2 bits) and mirrored (1 bit)


class Edge(NamedTuple):
    """What tells one edge from another; nodes are `role@version`, '' is the outside."""

    src: str
    dst: str
    kind: str
    arm: Arm = Arm.NONE
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """One batch.

    Attributes:
        records: The batch's records, for the fields that are used only once.
        nodes: Names by the numbers in `src` and `dst`.
        kinds: Names by the numbers in `kind` and `aux`.
        happening: `ev` of each record.
        flags: `flags` of each record.
        edges: The distinct edges.
        row: For each record its place in `edges`.
        counts: Records by edge and happening.
        tasks: The distinct tasks.
        task: For each record its place in `tasks`.
        sent: Places of the records of a sending.
        replied: Places of the records of a reply.
        took_log2: Of each reply: log2 of the ns since its request was sent.
    """

    records: Records
    nodes: list[str]
    kinds: list[str]
    src: Ints
    dst: Ints
    kind: Ints
    aux: Ints
    happening: Ints
    flags: npt.NDArray[np.uint8]
    edges: tuple[Edge, ...]
    row: Ints
    counts: Ints
    tasks: Keys
    task: Ints
    sent: Ints
    replied: Ints
    took_log2: npt.NDArray[np.float64]

    def where(self, *happenings: Happening) -> Ints:
        """Return the places of the records of these happenings."""
        mask = self.happening == happenings[0]
        for happening in happenings[1:]:
            mask |= self.happening == happening
        places: Ints = np.flatnonzero(mask)
        return places

    def by_task(self, places: Ints) -> list[tuple[int, int]]:
        """Return the tasks of these records, and how many each has."""
        counts = np.bincount(self.task[places], minlength=len(self.tasks))
        used = np.flatnonzero(counts)
        return list(zip(self.tasks[used].tolist(), counts[used].tolist(), strict=True))


def in_columns(batch: Batch) -> Columns:
    """Bring a batch into columns.

    Raises:
        ValueError: A record uses a node or a kind that the batch's tables do not name, or a
            happening or an arm that does not exist.

    Notes:
        No Python code runs per record. Fields are copied out of the records first, because
        strided columns are slow.
    """
    records = batch.records
    nodes, src, dst = _canonical(batch.nodes, "node", records["src"], records["dst"])
    kinds, kind, aux = _canonical(batch.kinds, "kind", records["kind"], records["aux"])
    happening = records["ev"].astype(np.int64)
    arm, flags = np.ascontiguousarray(records["arm"]), np.ascontiguousarray(records["flags"])
    if len(records) and (happening.max() >= HAPPENINGS or arm.max() > max(Arm)):
        raise ValueError("batch holds a record with an unknown happening or arm")
    side = (arm & 3) | ((flags & MIRRORED) >> 1)

    shape = (len(nodes), len(nodes), len(kinds), _SIDES)
    code = ((src * shape[1] + dst) * shape[2] + kind) * shape[3] + side
    used, row, counts = _count(code, happening, int(np.prod(shape)))
    places = np.unravel_index(used, shape)
    edges = tuple(
        Edge(nodes[s], nodes[d], kinds[k], Arm(a & 3), bool(a & 4))
        for s, d, k, a in zip(*(column.tolist() for column in places), strict=True)
    )
    keys = np.ascontiguousarray(records["task"])
    heads, task = group(keys)
    replied = np.flatnonzero(happening == Happening.REPLIED)
    took = np.maximum(records["dur"][replied], 1).astype(np.float64)
    return Columns(
        records=records,
        nodes=nodes,
        kinds=kinds,
        src=src,
        dst=dst,
        kind=kind,
        aux=aux,
        happening=happening,
        flags=flags,
        edges=edges,
        row=row,
        counts=counts,
        tasks=keys[heads],
        task=task,
        sent=np.flatnonzero(happening == Happening.SENT),
        replied=replied,
        took_log2=np.log2(took),
    )


def _canonical(
    names: Mapping[int, str], what: str, *columns: npt.NDArray[np.uint16]
) -> tuple[Any, ...]:
    """Renumber columns of interned names densely; two numbers of one name become one."""
    columns = tuple(np.ascontiguousarray(column) for column in columns)
    highest = max((int(column.max()) for column in columns if len(column)), default=0)
    lookup = np.full(highest + 1, -1, np.int64)
    places: dict[str, int] = {}
    for number, name in {0: "", **names}.items():
        if number <= highest:
            lookup[number] = places.setdefault(name, len(places))
    renumbered = [lookup.take(column) for column in columns]
    if lookup.min() >= 0:
        return (list(places), *renumbered)
    for before, after in zip(columns, renumbered, strict=True):
        if len(after) and after.min() < 0:
            number = int(before[after.argmin()])
            raise ValueError(f"batch uses {what} {number}, which its table does not name")
    return (list(places), *renumbered)


def _count(code: Ints, happening: Ints, cells: int) -> tuple[Ints, Ints, Ints]:
    """Return the codes that occur, each record's row among them, and the counts by happening."""
    heads, row = group(code, below=cells)
    used = code[heads]
    counts = np.bincount(row * HAPPENINGS + happening, minlength=len(used) * HAPPENINGS)
    return used, row, counts.reshape(-1, HAPPENINGS)
