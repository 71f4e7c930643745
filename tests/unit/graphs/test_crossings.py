"""Faults of routing are told from single records: mixed versions, leaks of mirrored work."""

from __future__ import annotations

import numpy as np

from rolewise.graphs.crossings import find_leaks, find_mixed
from rolewise.graphs.interactions import DTYPE, Batch, Happening

NODES = {0: "", 1: "a@v1", 2: "b@v1", 3: "b@v2", 4: "c@v2"}


def batch(*rows, source="s"):
    records = np.zeros(len(rows), DTYPE)
    for place, row in enumerate(rows):
        for name, value in row.items():
            records[place][name] = value
    return Batch(source=source, first_seq=0, records=records, nodes=NODES, kinds={0: "", 1: "ask"})


def test_a_task_that_meets_two_versions_of_a_role_is_told_over_all_batches():
    one = batch({"task": 7, "dst": 2}, {"task": 8, "dst": 2})
    other = batch({"task": 7, "dst": 3}, {"task": 8, "dst": 4}, source="t")

    (crossing,) = find_mixed([one, other])

    assert (crossing.task, crossing.kind) == (7, "mixed")
    assert "b in versions v1 and v2" in crossing.sentence


def test_versions_of_different_roles_may_meet_and_mirrors_may_meet_anything():
    fine = batch({"task": 7, "dst": 2}, {"task": 7, "dst": 4}, {"task": 7, "dst": 3, "flags": 8})

    assert list(find_mixed([fine])) == []


def test_only_what_mirrored_work_sends_to_the_live_fleet_leaks():
    mirrored = batch({"msg": 5, "task": 7, "dst": 3, "flags": 8})
    live = {"task": 7, "src": 3, "dst": 4, "kind": 1}
    sent = batch(
        {**live, "msg": 6, "inv": 5},
        {**live, "msg": 7, "inv": 5, "flags": 8},
        {**live, "msg": 8, "inv": 9},
        {**live, "msg": 9, "inv": 5, "ev": Happening.STARTED},
        source="t",
    )

    (leak,) = find_leaks([mirrored, sent])

    assert leak.sentence == "b@v2 sent 'ask' to the live c@v2 while it handled mirrored work"


def test_nothing_recorded_is_no_fault():
    assert list(find_mixed([])) == list(find_leaks([])) == list(find_leaks([batch()])) == []
