"""Least critical first: from declared calls, from the observed graph, and as configured."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.graphs.criticality import Tier, order_roles
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.interactions import Happening
from rolewise.graphs.role_figures import figures_from_declared, figures_from_graph
from tests.unit.graphs.builders import Record, batch_of

ROLES = ("orchestrator", "robot", "negotiator", "carrier", "pricing", "supplier")
DECLARED = {
    "orchestrator": ("robot", "negotiator", "carrier"),
    "negotiator": ("pricing", "supplier"),
}


def role_graph(*edges: tuple, tasks: int = 100) -> nx.MultiDiGraph:
    """Build a role view; an edge is (src, dst, sent, replied)."""
    graph = nx.MultiDiGraph()
    for src, dst, sent, replied in (("", "orchestrator", tasks, tasks), *edges):
        graph.add_edge(
            src, dst, n=sent, replied=replied, failed=0, timed_out=0, cancelled=0
        )  # fmt: skip
    return graph


OBSERVED = (
    ("orchestrator", "robot", 90, 90),
    ("orchestrator", "negotiator", 30, 30),
    ("orchestrator", "carrier", 95, 95),
    ("negotiator", "pricing", 30, 30),
    ("negotiator", "supplier", 240, 240),  # eight rounds of bargaining in each task
)


def order(*, entry=("orchestrator",), configured=None, declared=DECLARED, graph=None, roles=ROLES):
    return order_roles(
        roles=roles, entry=entry, configured=configured or {}, declared=declared, graph=graph
    )


def names(places) -> list[str]:
    return [place.role for place in places]


def test_by_declared_calls_leaves_come_first_and_the_entry_last():
    places = order()
    assert names(places) == [
        "pricing", "supplier", "carrier", "robot", "negotiator", "orchestrator",
    ]  # fmt: skip
    assert [place.place for place in places] == [1, 2, 3, 4, 5, 6]
    assert {place.source for place in places} == {"declared"}
    assert places[4].reason == (
        "by declared calls: in about 33% of tasks; called by orchestrator; "
        "calls pricing, supplier; the only way to pricing, supplier"
    )


def test_by_observed_traffic_rare_work_comes_first():
    places = order(graph=role_graph(*OBSERVED))
    assert names(places) == [
        "pricing", "supplier", "negotiator", "robot", "carrier", "orchestrator",
    ]  # fmt: skip
    assert {place.source for place in places} == {"observed"}
    assert places[1].reason == (
        "in up to 30% of 100 tasks; up to 30% of all tasks would be lost without it; "
        "called by negotiator"
    )


def test_many_messages_in_few_tasks_are_few_tasks():
    assert figures_from_graph(role_graph(*OBSERVED))["supplier"].use == pytest.approx(0.3)


def test_what_nobody_waits_for_loses_no_task():
    figures = figures_from_graph(role_graph(*OBSERVED, ("orchestrator", "audit", 100, 0)))
    assert (figures["audit"].use, figures["audit"].blast) == (1.0, 0.0)
    graph = role_graph(*OBSERVED, ("orchestrator", "audit", 100, 0))
    assert names(order(graph=graph, roles=(*ROLES, "audit")))[0] == "audit"


def test_a_question_back_does_not_count_as_new_work():
    back = ("supplier", "negotiator", 240, 240)
    plain = figures_from_graph(role_graph(*OBSERVED))
    asked_back = figures_from_graph(role_graph(*OBSERVED, back))
    assert asked_back["negotiator"].use == plain["negotiator"].use
    assert asked_back["supplier"].span == 0
    declared = figures_from_declared({**DECLARED, "supplier": ["negotiator"]}, ["orchestrator"])
    assert declared["negotiator"].use == pytest.approx(1 / 3)


def test_an_orchestrator_that_is_not_the_entry_comes_right_before_it():
    declared = {"gateway": ["orchestrator"], **DECLARED}
    places = order(entry=["gateway"], declared=declared, roles=("gateway", *ROLES))
    assert names(places)[-2:] == ["orchestrator", "gateway"]
    assert [place.tier for place in places[-2:]] == [Tier.ORCHESTRATOR, Tier.ENTRY]
    assert places[-2].reason.endswith("orchestrator, so it comes after those that it directs")


@pytest.mark.parametrize("tasks", [0, 49])
def test_too_few_tasks_leave_the_declared_order(tasks):
    places = order(graph=role_graph(*OBSERVED, tasks=tasks))
    assert places == order()


def test_a_role_never_seen_keeps_its_declared_figures():
    places = {place.role: place for place in order(graph=role_graph(*OBSERVED[:3]))}
    assert places["pricing"].source == "declared"
    assert places["robot"].source == "observed"


def test_a_role_that_nobody_calls_comes_first():
    places = order(roles=("lonely", *ROLES))
    assert (places[0].role, places[0].criticality) == ("lonely", 0.0)
    assert places[0].reason == "no call to it was seen or is declared"


class TestConfigured:
    @pytest.mark.parametrize(
        ("configured", "expected"),
        [
            ({"carrier": 0}, ["carrier", "pricing", "supplier", "robot", "negotiator"]),
            ({"robot": 1, "carrier": 2}, ["robot", "carrier", "pricing", "supplier"]),
            ({"orchestrator": 0}, ["orchestrator", "pricing"]),
            ({"pricing": None}, ["pricing", "supplier"]),
        ],
    )
    def test_it_beats_the_computed_place(self, configured, expected):
        assert names(order(configured=configured))[: len(expected)] == expected

    def test_a_hundred_comes_after_the_entry_role(self):
        assert names(order(configured={"pricing": 100}))[-2:] == ["orchestrator", "pricing"]

    def test_the_computed_reason_stays_visible(self):
        place = order(configured={"carrier": 7})[0]
        assert (place.source, place.criticality) == ("configured", 0.07)
        assert place.reason == (
            "criticality 7 as configured; computed: by declared calls: in about 33% of tasks; "
            "called by orchestrator"
        )

    @pytest.mark.parametrize("value", [-1, 101])
    def test_it_is_between_0_and_100(self, value):
        with pytest.raises(ValueError, match=f"criticality of robot is {value}"):
            order(configured={"robot": value})

    @given(st.dictionaries(st.sampled_from(ROLES), st.integers(0, 100), min_size=6))
    def test_all_configured_is_all_that_counts(self, configured):
        places = order(configured=configured, graph=role_graph(*OBSERVED))
        values = [configured[place.role] for place in places]
        assert values == sorted(values)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(ROLES), st.sampled_from(ROLES), st.integers(0, 500), st.integers(0, 500)
        ),
        max_size=12,
    ),
    st.permutations(ROLES),
)
def test_any_graph_gives_every_role_one_place(edges, roles):
    graph = role_graph(*edges)
    places = order(graph=graph, roles=roles)
    assert sorted(names(places)) == sorted(ROLES)
    assert places[-1].role == "orchestrator"
    assert all(0 <= place.criticality <= 1 for place in places)
    turned = nx.MultiDiGraph()
    turned.add_edges_from(reversed(list(graph.edges(data=True))))
    assert order(graph=turned) == places


def test_it_reads_the_role_view_of_folded_records():
    def ask(src, dst):
        return [
            Record(src=src, dst=dst),
            Record(ev=Happening.REPLIED, src=src, dst=dst, dur=10**7),
        ]

    windows = InteractionWindows()
    records = [*ask("", "negotiator@v1") * 60, *ask("negotiator@v1", "supplier@v1") * 30]
    windows.fold(batch_of(*records), now_s=0)
    places = order_roles(
        roles=["negotiator", "supplier"],
        entry=["negotiator"],
        configured={},
        declared={},
        graph=windows.to_networkx(view="role"),
    )
    assert [(place.role, place.criticality) for place in places] == [
        ("supplier", 0.5),
        ("negotiator", 1.0),
    ]
