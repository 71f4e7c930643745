"""The two worked fleets of the design: figures to two digits, and the order that follows."""

from itertools import permutations

import pytest

from rolewise.graphs.criticality import Tier, order_roles
from rolewise.graphs.task_trees import Call, Failures, Invocation, criticality_of_tasks


def inv(role, *calls):
    return Invocation(role, calls)


def ask(*to, need=None):
    return Call(to, len(to) if need is None else need)


def tell(*to):
    return Call(to, 0)


def buy():
    """The negotiator asks the supplier twice and needs one; the second asks back."""
    return ask(
        inv("negotiator", ask(inv("supplier"), inv("supplier", ask(inv("negotiator"))), need=1))
    )


SUPPLY_CHAIN = {
    inv("planner", ask(inv("warehouse", ask(inv("robot"))))): 50,
    inv("planner", buy(), ask(inv("warehouse", ask(inv("robot")), ask(inv("carrier"))))): 25,
    inv("planner", ask(inv("carrier")), tell(inv("warehouse"))): 15,
    inv("planner", buy(), tell(inv("robot"))): 10,
}
SUPPLY_FAILURES = {
    "carrier": Failures(tasks=12, lost=9),
    "robot": Failures(tasks=40, lost=10),
    "supplier": Failures(tasks=30, lost=6),
}


def directed(*calls, by="orchestrator"):
    return inv(by, *calls)


RESEARCH = {
    directed(*[ask(inv("web"))] * 3): 40,
    directed(*[ask(inv("coder")), ask(inv("terminal"))] * 2): 25,
    directed(ask(inv("web")), ask(inv("file"))): 15,
    directed(ask(inv("file")), ask(inv("coder")), ask(inv("terminal"))): 10,
    directed(ask(inv("web"), inv("coder"), need=1)): 10,
}
RESEARCH_FAILURES = {"web": Failures(tasks=60, lost=33), "terminal": Failures(tasks=30, lost=6)}


def order(figures, entry, **configured):
    places = order_roles(
        roles=tuple(figures),
        entry={entry},
        configured=configured,
        declared={},
        from_tasks=figures,
    )
    return [place.role for place in places]


@pytest.mark.parametrize(
    ("role", "use", "propagation", "blast", "span", "criticality"),
    [
        ("supplier", 0.35, 0.40, 0.14, 0.24, 0.18),
        ("robot", 0.85, 0.38, 0.32, 0, 0.32),
        ("carrier", 0.40, 0.86, 0.35, 0, 0.35),
        ("negotiator", 0.35, 1.00, 0.35, 0.24, 0.38),
        ("warehouse", 0.90, 0.83, 0.75, 0.39, 0.79),
        ("planner", 1.00, 1.00, 1.00, 0.89, 1.00),
    ],
)
def test_supply_chain_figures(role, use, propagation, blast, span, criticality):
    found = criticality_of_tasks(SUPPLY_CHAIN, SUPPLY_FAILURES)[role]
    assert [
        round(value, 2)
        for value in (found.use, found.propagation, found.blast, found.span, found.criticality)
    ] == [use, propagation, blast, span, criticality]


def test_supply_chain_order():
    figures = criticality_of_tasks(SUPPLY_CHAIN, SUPPLY_FAILURES)
    assert order(figures, "planner") == [
        "supplier", "robot", "carrier", "negotiator", "warehouse", "planner",
    ]  # fmt: skip
    assert figures["warehouse"].initiated == pytest.approx(0.28, abs=0.005)
    assert not figures["warehouse"].orchestrates
    assert figures["negotiator"].only_way_to == ("supplier",)


def test_by_structure_alone_the_robot_comes_later():
    figures = criticality_of_tasks(SUPPLY_CHAIN, {})
    assert order(figures, "planner") == [
        "supplier", "negotiator", "carrier", "robot", "warehouse", "planner",
    ]  # fmt: skip
    assert figures["robot"].blast == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("role", "use", "propagation", "criticality"),
    [
        ("terminal", 0.35, 0.40, 0.14),
        ("file", 0.25, 1.00, 0.25),
        ("coder", 0.45, 0.78, 0.35),
        ("web", 0.65, 0.59, 0.39),
        ("orchestrator", 1.00, 1.00, 1.00),
    ],
)
def test_research_figures(role, use, propagation, criticality):
    found = criticality_of_tasks(RESEARCH, RESEARCH_FAILURES)[role]
    assert (round(found.use, 2), round(found.propagation, 2), round(found.criticality, 2)) == (
        use, propagation, criticality,
    )  # fmt: skip


def test_an_orchestrator_behind_the_entry_role_comes_right_before_it():
    behind = {inv("user", ask(tree)): count for tree, count in RESEARCH.items()}
    figures = criticality_of_tasks(behind, RESEARCH_FAILURES)
    orchestrator = figures["orchestrator"]
    assert (orchestrator.initiated, round(orchestrator.span, 2)) == (0.75, 0.61)
    assert orchestrator.orchestrates
    assert order(figures, "user") == ["terminal", "file", "coder", "web", "orchestrator", "user"]


def test_the_order_of_tasks_does_not_matter():
    trees = list(SUPPLY_CHAIN.items())
    expected = criticality_of_tasks(SUPPLY_CHAIN, SUPPLY_FAILURES)
    for turned in permutations(trees):
        assert criticality_of_tasks(dict(turned), SUPPLY_FAILURES) == expected


def test_words():
    places = order_roles(
        roles=["robot", "planner"],
        entry=["planner"],
        configured={},
        declared={},
        from_tasks=criticality_of_tasks(SUPPLY_CHAIN, SUPPLY_FAILURES),
    )
    assert [(place.tier, place.reason) for place in places] == [
        (
            Tier.MEMBER,
            (
                "in 85% of 100 tasks; 32% of all tasks would be lost without it; "
                "called by planner, warehouse"
            ),
        ),
        (
            Tier.ENTRY,
            (
                "in 100% of 100 tasks; 100% of all tasks would be lost without it; "
                "calls carrier, negotiator, robot, warehouse; "
                "the only way to carrier, negotiator, robot, supplier, warehouse; "
                "entry role, so it comes last"
            ),
        ),
    ]
