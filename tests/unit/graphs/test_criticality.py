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


def role_graph(*edges: tuple, tasks: int = 1000) -> nx.MultiDiGraph:
    """Build a role view; an edge is (src, dst, sent, replied)."""
    graph = nx.MultiDiGraph()
    for src, dst, sent, replied in (("", "orchestrator", tasks, tasks), *edges):
        graph.add_edge(
            src, dst, n=sent, replied=replied, failed=0, timed_out=0, cancelled=0
        )  # fmt: skip
    return graph


OBSERVED = (
    ("orchestrator", "robot", 900, 900),
    ("orchestrator", "negotiator", 300, 300),
    ("orchestrator", "carrier", 950, 950),
    ("negotiator", "pricing", 300, 300),
    ("negotiator", "supplier", 2400, 2400),  # eight rounds of bargaining in each task
)


def order(
    *,
    entry=("orchestrator",),
    configured=None,
    declared=DECLARED,
    before=None,
    graph=None,
    roles=ROLES,
):
    return order_roles(
        roles=roles,
        entry=entry,
        configured=configured or {},
        declared=declared,
        before=before,
        graph=graph,
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
        "by declared calls: used in about 33% of tasks; waits for pricing, supplier; "
        "is waited for by orchestrator; the only way to pricing, supplier"
    )


def test_by_observed_traffic_rare_work_comes_first():
    places = order(graph=role_graph(*OBSERVED))
    assert names(places) == [
        "pricing", "supplier", "negotiator", "robot", "carrier", "orchestrator",
    ]  # fmt: skip
    assert {place.source for place in places} == {"observed"}
    assert places[1].reason == (
        "used in up to 30% of 1000 tasks; up to 30% of all tasks would be lost without it; "
        "is waited for by negotiator"
    )


def test_many_messages_in_few_tasks_are_few_tasks():
    assert figures_from_graph(role_graph(*OBSERVED))["supplier"].use == pytest.approx(0.3)


def test_what_nobody_waits_for_loses_no_task():
    figures = figures_from_graph(role_graph(*OBSERVED, ("orchestrator", "audit", 1000, 0)))
    assert (figures["audit"].use, figures["audit"].blast) == (1.0, 0.0)
    graph = role_graph(*OBSERVED, ("orchestrator", "audit", 1000, 0))
    assert names(order(graph=graph, roles=(*ROLES, "audit")))[0] == "audit"


def test_a_question_back_does_not_count_as_new_work():
    back = ("supplier", "negotiator", 2400, 2400)
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
    assert names(places) == names(order())
    assert {place.source for place in places} == {"declared"}


def test_a_role_seldom_seen_keeps_its_declared_place_and_says_so():
    places = order(graph=role_graph(*OBSERVED[:1], ("orchestrator", "negotiator", 49, 49)))
    place = next(place for place in places if place.role == "negotiator")
    assert place.source == "declared"
    assert "few observations: 49 tasks with it" in place.reason
    undeclared = order(
        graph=role_graph(("orchestrator", "negotiator", 49, 49)), declared={}, roles=ROLES[:3]
    )
    assert next(p for p in undeclared if p.role == "negotiator").reason.startswith(
        "used in up to 5% of 1000 tasks"
    )


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
            "criticality 7 as configured; computed 0.33: by declared calls: used in about 33% of "
            "tasks; is waited for by orchestrator"
        )

    @pytest.mark.parametrize("value", [-1, 101])
    def test_it_is_between_0_and_100(self, value):
        with pytest.raises(ValueError, match=f"criticality of robot is {value}"):
            order(configured={"robot": value})

    def test_before_beats_every_level(self):
        before = {"orchestrator": ["carrier"], "robot": ["pricing"]}
        places = order(before=before, configured={"robot": 100})
        got = names(places)
        assert got.index("orchestrator") < got.index("carrier")
        assert got.index("robot") < got.index("pricing")
        reason = next(place.reason for place in places if place.role == "orchestrator")
        assert reason.startswith("before carrier as configured; by declared calls")

    def test_the_others_keep_their_places(self):
        plain = names(order())
        moved = names(order(before={"robot": ["supplier"]}))
        assert [role for role in moved if role != "robot"] == [r for r in plain if r != "robot"]
        assert moved.index("robot") == plain.index("supplier")

    def test_a_circle_of_before_is_refused_with_its_roles(self):
        with pytest.raises(ValueError, match=r"before goes in a circle: (\w+ → )+\w+") as refused:
            order(before={"robot": ["carrier"], "carrier": ["pricing"], "pricing": ["robot"]})
        told = str(refused.value).removeprefix("before goes in a circle: ").split(" → ")
        assert told[0] == told[-1]
        assert set(told) == {"robot", "carrier", "pricing"}

    @given(
        st.dictionaries(st.sampled_from(ROLES), st.integers(0, 100)),
        st.permutations(ROLES),
        st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6),
    )
    def test_before_always_wins(self, configured, line, pairs):
        before = {}
        for first, second in pairs:
            if first < second:
                before.setdefault(line[first], []).append(line[second])
        got = names(order(configured=configured, before=before, graph=role_graph(*OBSERVED)))
        assert sorted(got) == sorted(ROLES)
        for role, later in before.items():
            assert all(got.index(role) < got.index(other) for other in later)

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
    records = [*ask("", "negotiator@v1") * 120, *ask("negotiator@v1", "supplier@v1") * 60]
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


class TestTies:
    """Equal criticality: callees first; then by betweenness, messages sent, name."""

    def test_a_caller_comes_after_its_equal_callee(self):
        chain = (("orchestrator", "robot", 600, 600), ("robot", "arm", 600, 600))
        roles = ("orchestrator", "robot", "arm")
        places = order(graph=role_graph(*chain), declared={}, roles=roles)
        robot, arm = places[1], places[0]
        assert (robot.role, arm.role) == ("robot", "arm")

    def test_busy_relays_come_later(self):
        edges = (
            ("orchestrator", "robot", 600, 0),
            ("orchestrator", "arm", 600, 0),
            ("robot", "log", 5, 0),
        )
        roles = ("orchestrator", "arm", "robot", "log")
        got = names(order(graph=role_graph(*edges), declared={}, roles=roles))
        assert got.index("arm") < got.index("robot")

    def test_roles_that_talk_both_ways_go_by_blast_radius_and_say_so(self):
        both = (
            ("orchestrator", "robot", 600, 600),
            ("robot", "arm", 600, 600),
            ("arm", "robot", 600, 600),
        )
        places = order(graph=role_graph(*both), declared={}, roles=("orchestrator", "robot", "arm"))
        arm = next(place for place in places if place.role == "arm")
        assert "robot and it talk both ways: order between them is by blast radius" in arm.reason
