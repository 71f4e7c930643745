"""Edges of two arms side by side: what each is called, and in which order they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs.arm_difference import CHANGES, ArmEdge, compare_arms, count_changes

NAMES = st.sampled_from([("a", "b", k) for k in "uvwxyz"])
ARM = st.dictionaries(NAMES, st.integers(1, 500).map(lambda n: ArmEdge(sent=n)), max_size=6)


def changes(baseline, canary, *, tasks=(100, 100)):
    found = compare_arms(
        {("a", "b", kind): ArmEdge(sent=sent) for kind, sent in baseline.items()},
        {("a", "b", kind): ArmEdge(sent=sent) for kind, sent in canary.items()},
        tasks_baseline=tasks[0],
        tasks_canary=tasks[1],
    )
    return {one.edge[2]: one.change for one in found}


def test_edges_are_called_by_what_became_of_them_per_task():
    assert changes(
        {"gone": 10, "same": 100, "more": 100, "fewer": 100},
        {"new": 5, "same": 11, "more": 14, "fewer": 7},
        tasks=(100, 10),
    ) == {"new": "new", "gone": "gone", "same": "same", "more": "more", "fewer": "fewer"}


def test_the_largest_change_of_each_kind_stands_first():
    found = compare_arms(
        {("a", "b", "x"): ArmEdge(sent=10), ("a", "b", "y"): ArmEdge(sent=10)},
        {
            ("a", "b", "x"): ArmEdge(sent=20),
            ("a", "b", "y"): ArmEdge(sent=90),
            ("a", "b", "z"): ArmEdge(sent=1),
        },
        tasks_baseline=10,
        tasks_canary=10,
    )

    assert [one.edge[2] for one in found] == ["z", "y", "x"]
    assert [one.ratio for one in found] == [None, 9.0, 2.0]


@pytest.mark.parametrize("tasks", [(0, 50), (50, 0), (0, 0)])
def test_without_tasks_of_both_nothing_is_new_or_gone(tasks):
    assert set(changes({"x": 5}, {"y": 5}, tasks=tasks).values()) == {"same"}


@given(ARM, ARM, st.integers(1, 90), st.integers(1, 90))
def test_every_edge_is_told_once_and_arms_that_change_places_turn_the_words(one, other, n, m):
    found = compare_arms(one, other, tasks_baseline=n, tasks_canary=m)
    turned = {d.edge: d.change for d in compare_arms(other, one, tasks_baseline=m, tasks_canary=n)}
    words = {"new": "gone", "gone": "new", "more": "fewer", "fewer": "more", "same": "same"}

    assert {d.edge for d in found} == one.keys() | other.keys()
    assert {d.edge: words[d.change] for d in found} == turned
    assert [CHANGES.index(d.change) for d in found] == sorted(
        CHANGES.index(d.change) for d in found
    )
    assert sum(count_changes(found).values()) == len(found)
