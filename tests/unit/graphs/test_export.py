"""What is exported is read back as the same graph, and equal graphs give equal text."""

import io
import json

import networkx as nx
import pytest
from hypothesis import given

from rolewise.graphs.export import from_node_link, to_dot, to_graphml, to_node_link
from rolewise.graphs.interaction_graph import InteractionWindows
from rolewise.graphs.interactions import Arm, Happening
from tests.unit.graphs.builders import Record, batch_of
from tests.unit.graphs.test_edge_table import many_records


def graph_of(*records: Record, view="version") -> nx.MultiDiGraph:
    windows = InteractionWindows()
    windows.fold(batch_of(*records), now_s=20)
    return windows.to_networkx(view=view)


@pytest.fixture
def graph():
    return graph_of(
        Record(dst="negotiator@v2", arm=Arm.CANARY),
        Record(ev=Happening.STARTED, dst="negotiator@v2", arm=Arm.CANARY),
        Record(src="negotiator@v2", arm=Arm.CANARY),
        Record(src="negotiator@v2", arm=Arm.CANARY, ev=Happening.FAILED),
        Record(src="negotiator@v2", kind="offer"),
    )


def same(one: nx.MultiDiGraph, other: nx.MultiDiGraph) -> bool:
    return (
        one.graph == other.graph
        and dict(one.nodes(data=True)) == dict(other.nodes(data=True))
        and {edge[:3]: edge[3] for edge in one.edges(keys=True, data=True)}
        == {edge[:3]: edge[3] for edge in other.edges(keys=True, data=True)}
    )


@given(many_records)
def test_node_link_survives_json(records):
    for view in ("version", "role"):
        graph = graph_of(*records, view=view)
        assert same(from_node_link(json.loads(json.dumps(to_node_link(graph)))), graph)


def test_networkx_reads_node_link(graph):
    read = nx.node_link_graph(to_node_link(graph), edges="edges")
    assert read["negotiator@v2"]["supplier@v1"]["rfq/canary"]["n"] == 1
    assert read.nodes["negotiator@v2"]["started"] == 1


@given(many_records)
def test_networkx_reads_graphml_with_types(records):
    graph = graph_of(*records)
    read = nx.read_graphml(io.BytesIO(to_graphml(graph).encode()), force_multigraph=True)
    assert {name or "(outside)": data for name, data in graph.nodes(data=True)} == dict(
        read.nodes(data=True)
    )
    assert sorted(
        (src or "(outside)", dst or "(outside)", sorted(data.items()))
        for src, dst, data in graph.edges(data=True)
    ) == sorted(
        (src, dst, sorted((name, value) for name, value in data.items() if name != "id"))
        for src, dst, data in read.edges(data=True)
    )


def test_dot(graph):
    assert to_dot(graph) == (
        "digraph interactions {\n"
        "  rankdir=LR;\n"
        "  node [shape=box];\n"
        '  "" [label="(outside)", shape=plaintext];\n'
        '  "negotiator@v2";\n'
        '  "supplier@v1";\n'
        '  "" -> "negotiator@v2" [label="rfq (canary)\\n1, 0.1/s"];\n'
        '  "negotiator@v2" -> "supplier@v1" [label="offer\\n1, 0.1/s"];\n'
        '  "negotiator@v2" -> "supplier@v1" '
        '[label="rfq (canary)\\n1, 0.1/s\\n1 failed", color=red];\n'
        "}\n"
    )


def test_dot_escapes_what_names_hold():
    graph = nx.MultiDiGraph()
    graph.add_node('rôle "a"\\b@v1')
    assert '"rôle \\"a\\"\\\\b@v1";' in to_dot(graph)


@pytest.mark.parametrize("write", [to_node_link, to_graphml, to_dot])
def test_text_does_not_depend_on_the_order_of_building(graph, write):
    turned = nx.MultiDiGraph(**graph.graph)
    turned.add_nodes_from(reversed(list(graph.nodes(data=True))))
    turned.add_edges_from(reversed(list(graph.edges(keys=True, data=True))))
    assert write(turned) == write(graph)
