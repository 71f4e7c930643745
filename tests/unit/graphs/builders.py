"""Records and batches for the tests of the interaction graph."""

from dataclasses import dataclass

import numpy as np

from rolewise.graphs.interactions import DTYPE, Arm, Batch, Happening

NODES = ("", "negotiator@v1", "negotiator@v2", "supplier@v1")
KINDS = ("", "rfq", "offer")


@dataclass(frozen=True)
class Record:
    """One record in words."""

    ev: Happening = Happening.SENT
    src: str = ""
    dst: str = "supplier@v1"
    kind: str = "rfq"
    arm: Arm = Arm.NONE
    mirrored: bool = False
    size: int = 0
    dur: int = 0
    t: int = 0
    task: int = 0
    inv: int = 0
    hop: int = 0
    aux: str = ""
    awaited: bool = False
    attempt: int = 0

    @property
    def flags(self) -> int:
        return self.awaited + 8 * self.mirrored + (self.attempt << 5)


def batch_of(
    *records: Record,
    source: str = "negotiator@v1#1.0",
    first_seq: int = 0,
    lost: int = 0,
    shift: int = 0,
) -> Batch:
    """Pack records; `shift` turns the numbering of names, as another writer's table would."""
    nodes = {(place + shift) % 4 + 1: name for place, name in enumerate(NODES)}
    kinds = {(place + shift) % 3 + 1: name for place, name in enumerate(KINDS)}
    number_of_node = {name: number for number, name in nodes.items()}
    number_of_kind = {name: number for number, name in kinds.items()}
    packed = np.zeros(len(records), DTYPE)
    for place, record in enumerate(records):
        row = packed[place]
        row["seq"] = (first_seq + place) & 0xFFFF_FFFF
        row["ev"], row["arm"], row["flags"] = record.ev, record.arm, record.flags
        row["src"], row["dst"] = number_of_node[record.src], number_of_node[record.dst]
        row["kind"], row["aux"] = number_of_kind[record.kind], number_of_kind[record.aux]
        row["task"], row["inv"], row["hop"] = record.task, record.inv, record.hop
        row["size"], row["dur"], row["t"] = record.size, record.dur, record.t
    return Batch(
        source=source, first_seq=first_seq, records=packed, nodes=nodes, kinds=kinds, lost=lost
    )
