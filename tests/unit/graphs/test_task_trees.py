"""The two worked fleets of the design: figures to two digits, and the order that follows."""

from itertools import permutations

import pytest

from rolewise.graphs.criticality import Tier, order_roles
from rolewise.graphs.role_figures import Failures
from rolewise.graphs.task_trees import (
    Call,
    Invocation,
    criticality_of_tasks,
    resample_criticality,
)


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
                "used in 85% of 100 tasks; 32% of all tasks would be lost without it "
                "(10 of 40 observed failures took the task with them); "
                "is waited for by warehouse"
            ),
        ),
        (
            Tier.ENTRY,
            (
                "used in 100% of 100 tasks; 100% of all tasks would be lost without it; "
                "waits for carrier, negotiator, warehouse; tells robot; "
                "the only way to carrier, negotiator, robot, supplier, warehouse; "
                "entry role, so it comes last"
            ),
        ),
    ]


class TestCertainty:
    """How sure the order of neighbours is, by tasks drawn anew."""

    def places(self, tasks, failures, entry):
        return order_roles(
            roles=tuple(criticality_of_tasks(tasks, failures)),
            entry={entry},
            configured={},
            declared={},
            from_tasks=criticality_of_tasks(tasks, failures),
            resamples=resample_criticality(tasks, failures, seed=1),
        )

    def test_neighbours_that_few_tasks_tell_apart_are_a_toss_up(self):
        tasks = {inv("p", ask(inv("a"))): 31, inv("p", ask(inv("b"))): 30, inv("p"): 39}
        first, second, last = self.places(tasks, {}, "p")
        assert (first.role, second.role, last.role) == ("b", "a", "p")
        assert first.sure is not None
        assert 0.3 < first.sure < 0.8
        assert first.reason.endswith(f"order of b and a is a toss-up ({first.sure:.0%})")
        assert second.sure == 1.0, "the entry role is last whatever is drawn"
        assert "toss-up" not in second.reason
        assert last.sure is None

    def test_those_that_many_tasks_tell_apart_are_not(self):
        tasks = {inv("p", ask(inv("a"))): 900, inv("p", ask(inv("b"))): 300}
        assert [place.sure for place in self.places(tasks, {}, "p")] == [1.0, 1.0, None]

    def test_failures_are_drawn_along(self):
        tasks = {inv("p", ask(inv("a"))): 500, inv("p", ask(inv("b"))): 500}
        few = {"a": Failures(tasks=20, lost=10), "b": Failures(tasks=20, lost=9)}
        many = {role: Failures(tasks=500, lost=lost) for role, lost in (("a", 400), ("b", 100))}
        assert self.places(tasks, few, "p")[0].sure < 0.8
        assert self.places(tasks, many, "p")[0].sure > 0.95

    def test_what_was_caused_on_purpose_is_as_often_as_it_was(self):
        failures = {"a": Failures(tasks=50, lost=50, injected=True)}
        tasks = {inv("p", ask(inv("a"))): 100}
        for figures in resample_criticality(tasks, failures, seed=2, times=20):
            assert figures["a"].failures == failures["a"]
        (place, _) = self.places(tasks, failures, "p")
        assert "50 of 50 injected failures took the task with them" in place.reason

    def test_the_worked_fleet_is_surer_with_more_tasks(self):
        sure = self.places(SUPPLY_CHAIN, SUPPLY_FAILURES, "planner")
        assert [place.role for place in sure][-2:] == ["warehouse", "planner"]
        assert sure[-2].sure == 1.0
        more = {tree: 20 * count for tree, count in SUPPLY_CHAIN.items()}
        failures = {
            role: Failures(tasks=20 * seen.tasks, lost=20 * seen.lost)
            for role, seen in SUPPLY_FAILURES.items()
        }
        surer = self.places(more, failures, "planner")
        assert all((a.sure or 0) <= (b.sure or 0) + 0.1 for a, b in zip(sure, surer, strict=True))
