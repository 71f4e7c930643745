"""Hard limits of a task, and edges that are expected or forbidden, in the fleet's file."""

from __future__ import annotations

import pytest

from rolewise.fleet.spec import SpecError, expected_edges, guard_limits, parse_fleet
from rolewise.fleet.spec.edges import parse_edge
from rolewise.graphs.guard_limits import GuardLimits
from tests.unit.spec.fleets import FLEET, broken


def with_lines(*lines: str) -> str:
    return FLEET + "".join(f"{line}\n" for line in lines)


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_fleet(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_limits_are_the_usual_ones_until_the_file_says_otherwise() -> None:
    assert guard_limits(parse_fleet(FLEET).guards) == GuardLimits(
        hops=32, messages=1000, stalled=90
    )
    spec = parse_fleet(with_lines("guards: {hops: 8, stalled: 0}"))
    assert guard_limits(spec.guards) == GuardLimits(hops=8, messages=1000, stalled=0)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("guards: {hops: -1}", "guards.hops = -1: want a whole number from 0"),
        ("guards: {hops: many}", 'guards.hops = "many": want a whole number from 0'),
        ("guards: {hop: 3}", "guards.hop: unknown key: did you mean hops?"),
        (
            'forbidden_edges: ["supplier > negotiator"]',
            (
                'forbidden_edges[0] = "supplier > negotiator": want an edge, '
                "'sender -> receiver: kind', each of which may be *"
            ),
        ),
        (
            'forbidden_edges: ["suplier -> *: *"]',
            (
                'forbidden_edges[0] = "suplier -> *: *": no such role as suplier: '
                "did you mean supplier?"
            ),
        ),
    ],
)
def test_what_is_no_limit_or_edge_is_told(line: str, problem: str) -> None:
    (told,) = problems_of(with_lines(line))
    assert told.endswith(problem)


def test_a_new_edge_to_no_role_is_told_at_its_version() -> None:
    text = broken("config: {rounds: 3}", 'new_edges: ["negotiator -> bank: pay"]')
    (told,) = problems_of(text)
    assert 'roles.negotiator.versions.v2.new_edges[0] = "negotiator -> bank: pay"' in told
    assert "no such role as bank" in told


def test_a_versions_trial_knows_its_new_edges_and_the_fleets_forbidden_ones() -> None:
    text = broken("config: {rounds: 3}", 'new_edges: ["negotiator -> orchestrator: hint: big"]')
    spec = parse_fleet(text + 'forbidden_edges: ["* -> supplier: *"]\n')

    known = expected_edges(spec, "negotiator", "v2")

    assert known.is_declared(("negotiator", "orchestrator", "hint: big"))
    assert not known.is_declared(("negotiator", "orchestrator", "hint"))
    assert known.is_forbidden(("orchestrator", "supplier", "anything"))
    assert not known.is_forbidden(("orchestrator", "negotiator", "anything"))
    assert not expected_edges(spec, "negotiator", "v1").declared


@pytest.mark.parametrize(
    "text", ["", "a->b: c", "a -> b", "a -> b:c", "a -> b: ", "-> b: c", "a b -> c: d"]
)
def test_what_does_not_read_as_an_edge_is_none(text: str) -> None:
    assert parse_edge(text) is None
