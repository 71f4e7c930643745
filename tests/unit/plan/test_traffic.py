"""What plans learn from the interaction graph about the traffic."""

import networkx as nx
import pytest

from rolewise.coordinator.judge.planning import USUAL
from rolewise.coordinator.traffic import read_traffic


def a_graph(tasks: int, *, failures: int = 0, tool_errors: int = 0) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    graph.add_node("", tool_errors=0)
    graph.add_node("desk", tool_errors=tool_errors)
    graph.add_node("pricing", tool_errors=0)
    for kind, share in (("order", 0.75), ("quote", 0.25)):
        n = int(tasks * share)
        graph.add_edge("", "desk", kind, n=n, rate=n / 20.0, failures=int(failures * share))
    graph.add_edge("desk", "pricing", "price", n=9 * tasks, rate=99.0, failures=tasks)
    return graph


@pytest.mark.parametrize("graph", [None, nx.MultiDiGraph()])
def test_without_traffic_nothing_is_known(graph) -> None:
    traffic = read_traffic(graph)
    assert (traffic.tasks_per_s, traffic.baseline) == (None, USUAL)


def test_tasks_are_what_comes_from_outside() -> None:
    traffic = read_traffic(a_graph(400, failures=40, tool_errors=100))
    assert traffic.tasks_per_s == pytest.approx(20.0)
    assert traffic.baseline.failure_rate == pytest.approx(0.1)
    assert traffic.baseline.tool_error_rate == pytest.approx(0.25)


def test_a_handful_of_tasks_says_nothing_of_their_failures() -> None:
    traffic = read_traffic(a_graph(40, failures=40))
    assert traffic.tasks_per_s == pytest.approx(2.0)
    assert traffic.baseline == USUAL
