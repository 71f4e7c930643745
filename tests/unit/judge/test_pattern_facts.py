"""Worse rolls back, different pauses, expected does nothing."""

from __future__ import annotations

import pytest

from rolewise.coordinator.patterns import flood_facts, pattern_facts
from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns import PatternFinding, PatternReport
from rolewise.graphs.patterns.flood import PATIENCE, Flood, Split


def finding(what, direction):
    return PatternFinding(
        family="features", what=what, direction=direction, sentence=f"{what} differs", p=0.0001
    )


def report(*findings, changed=(), affected=()):
    return PatternReport(
        state="alarm", reason="", findings=findings, changed=changed, affected=affected
    )


def test_worse_and_different_are_two_facts():
    facts = pattern_facts(
        report(
            finding("failures", "harm"),
            finding("sends", "neutral"),
            finding("new edge", "neutral"),
            finding("declared edge", "expected"),
            changed=("supplier",),
            affected=("planner",),
        )
    )

    assert [(fact.kind, fact.reaction) for fact in facts] == [
        ("pattern", "rollback"),
        ("pattern", "pause"),
    ]
    assert facts[0].sentence == ("failures differs; choices changed at supplier; felt at planner")
    assert facts[1].sentence.startswith("sends differs, and 1 more;")
    assert facts[1].details == ("sends differs", "new edge differs")


def test_what_was_found_before_has_the_same_key_whatever_its_figures():
    once = pattern_facts(report(finding("sends", "neutral"), finding("new edge", "neutral")))
    again = pattern_facts(report(finding("new edge", "neutral"), finding("sends", "neutral")))
    other = pattern_facts(report(finding("sends", "neutral")))

    assert once[0].key == again[0].key != other[0].key


def test_silence_and_what_is_expected_are_no_facts():
    assert pattern_facts(report()) == ()
    assert pattern_facts(report(finding("declared edge", "expected"))) == ()


def flood(**fields):
    split = Split(canary=5, share=0.2)
    usual = {"messages": 500, "usual": 5.0, "ticks": 3, "tasks": 8, "flooding": 5, "is_own": True}
    return Flood(edge=("a", "b", "k"), arm=Arm.CANARY, **(usual | {"split": split} | fields))


def test_the_canarys_own_flood_rolls_back_and_says_why():
    (fact,) = flood_facts([flood()])

    assert (fact.kind, fact.reaction) == ("flood", "rollback")
    assert "a -> b: k of canary tasks: 500 messages in a second, 100 times" in fact.sentence
    assert fact.details == flood().details


@pytest.mark.parametrize(
    ("fields", "reaction", "follows"),
    [
        ({}, "pause", ["pause"]),
        ({}, "hold", []),
        ({"is_own": False}, "rollback", []),  # a few seconds may show that it is
        ({"is_own": False, "ticks": PATIENCE}, "rollback", ["pause"]),
        ({"is_own": False, "is_in_both": True}, "rollback", ["pause"]),
        ({"is_own": False, "flooding": 2}, "rollback", []),
    ],
)
def test_what_else_follows_from_a_flood(fields, reaction, follows):
    facts = flood_facts([flood(**fields)], reaction=reaction)

    assert [fact.reaction for fact in facts] == follows
