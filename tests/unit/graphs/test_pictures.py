"""The graph drawn: every node once, every way once, circles and all; equal graphs, equal text."""

import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.graphs.layers import lay_out
from rolewise.graphs.outline import outline
from rolewise.graphs.picture import to_svg

SVG = "{http://www.w3.org/2000/svg}"


def graph_of(*edges):
    """Build a graph; an edge is (src, dst, kind, sent) and optionally failures and arm."""
    graph = nx.MultiDiGraph()
    for src, dst, kind, sent, *more in edges:
        failures, arm = (*more, 0, "none")[:2] if len(more) < 2 else more
        key = (kind, arm)
        graph.add_edge(src, dst, key, kind=kind, n=sent, failures=failures, arm=arm, rate=0.5)
    return graph


SHOP = graph_of(
    ("", "planner@v1", "task", 100),
    ("planner@v1", "robot@v1", "pick", 90),
    ("planner@v1", "negotiator@v2", "procure", 30, 2, "canary"),
    ("planner@v1", "negotiator@v2", "procure", 70, 0, "baseline"),
    ("negotiator@v2", "supplier@v1", "quote", 240),
    ("supplier@v1", "negotiator@v2", "confirm", 3),
)

SHOP_ON_TRIAL = graph_of(
    ("", "planner@v1", "task", 100),
    ("planner@v1", "negotiator@v1", "procure", 70, 0, "baseline"),
    ("planner@v1", "negotiator@v2", "procure", 30, 2, "canary"),
    ("negotiator@v1", "supplier@v1", "quote", 240),
    ("supplier@v1", "negotiator@v2", "confirm", 3),
)


def test_the_outline_reads_from_the_outside_inwards():
    assert outline(SHOP) == [
        "(outside)",
        "└─▶ planner@v1                    task 100",
        "    ├─▶ negotiator@v2             procure 100 ✗2",
        "    │   └─▶ supplier@v1           quote 240",
        "    │       └─▶ negotiator@v2 ↑   confirm 3",
        "    └─▶ robot@v1                  pick 90",
    ]


def test_more_kinds_than_fit_are_counted():
    kinds = [("a", "b", f"k{i}", 10 - i) for i in range(5)]
    assert outline(graph_of(*kinds))[1].endswith("k0 10, k1 9, k2 8, 2 more kinds")


def read(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 (our own text)


def boxes(svg: str) -> list[str]:
    return [text.text for text in read(svg).iter(f"{SVG}text") if not text.get("class")]


def test_the_picture_has_every_node_and_every_way_with_names_for_readers():
    root = read(to_svg(SHOP))
    assert sorted(boxes(to_svg(SHOP))) == [
        "(outside)",
        "negotiator@v2",
        "planner@v1",
        "robot@v1",
        "supplier@v1",
    ]
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert "planner@v1 to negotiator@v2" in titles[3]
    assert "procure (canary): 30, 0.5/s, 2 failed" in titles[3]
    assert root.find(f"{SVG}desc").text.startswith("5 nodes. (outside) to planner@v1: task 100")
    ways = [path for path in root.iter(f"{SVG}path") if "way" in path.get("class")]
    assert len(ways) == 5
    assert sum("failed" in way.get("class") for way in ways) == 1


def test_what_only_the_canary_does_stands_out_and_so_does_what_fails():
    svg = to_svg(
        graph_of(
            ("a@v1", "b@v2", "new", 3, 0, "canary"),
            ("a@v1", "b@v1", "old", 300, 3),
            ("a@v1", "c@v1", "old", 301, 3),
        )
    )
    ways = {
        group.find(f"{SVG}title").text.splitlines()[0]: path.get("class")
        for group in read(svg).iter(f"{SVG}g")
        for path in group.iter(f"{SVG}path")
    }
    assert ways == {
        "a@v1 to b@v1": "way failed",  # one in a hundred
        "a@v1 to b@v2": "way canary",
        "a@v1 to c@v1": "way",
    }
    on_trial = [box for box in read(svg).iter(f"{SVG}rect") if box.get("class") == "box canary"]
    assert len(on_trial) == 1
    legend = [text.text for text in read(svg).iter(f"{SVG}text") if text.get("class") == "legend"]
    assert len(legend) == 3


def test_versions_of_a_role_stand_below_each_other():
    svg = to_svg(SHOP_ON_TRIAL)
    left = {
        group.find(f"{SVG}text").text: group.find(f"{SVG}rect").get("x")
        for group in read(svg).iter(f"{SVG}g")
        if group.find(f"{SVG}rect") is not None
    }
    assert left["negotiator@v1"] == left["negotiator@v2"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=25))
def test_no_label_lies_on_another_or_on_a_box(edges):
    root = read(to_svg(graph_of(*((src, dst, "kind", 9) for src, dst in set(edges)))))
    taken = [
        tuple(float(box.get(name)) for name in ("x", "y", "width", "height"))
        for box in root.iter(f"{SVG}rect")
        if box.get("class") != "page"
    ]
    for text in root.iter(f"{SVG}text"):
        if text.get("class") == "label" and text.get("text-anchor") != "middle":
            wide = 6.6 * len(text.text)
            x = float(text.get("x")) - (wide if text.get("text-anchor") == "end" else 0)
            taken.append((x, float(text.get("y")) - 10, wide, 11))
    for place, (x, y, wide, high) in enumerate(taken):
        for other_x, other_y, other_wide, other_high in taken[:place]:
            apart = (
                x + wide <= other_x
                or other_x + other_wide <= x
                or y + high <= other_y
                or other_y + other_high <= y
            )
            assert apart, f"{(x, y)} on {(other_x, other_y)}"


def test_names_are_escaped():
    svg = to_svg(graph_of(("a<b", 'c"&d', "<k>", 1)))
    assert sorted(boxes(svg)) == ["a<b", 'c"&d']


def test_nothing_to_draw_is_an_empty_picture():
    assert outline(nx.MultiDiGraph()) == []
    assert boxes(to_svg(nx.MultiDiGraph())) == []


NAMES = st.sampled_from("abcdefgh")
EDGES = st.lists(st.tuples(NAMES, NAMES), max_size=25)


@given(EDGES)
def test_any_graph_is_laid_out(edges):
    nodes = sorted({node for edge in edges for node in edge})
    layout = lay_out(nodes, edges)
    places = [place for layer in layout.layers for place in layer]
    assert sorted(place for place in places if isinstance(place, str)) == nodes
    assert len(places) == len(set(places))
    assert set(layout.ways) == {(src, dst) for src, dst in edges if src != dst}
    layer_of = {place: i for i, layer in enumerate(layout.layers) for place in layer}
    for (src, dst), way in layout.ways.items():
        assert (way[0], way[-1]) == (src, dst)
        steps = {layer_of[b] - layer_of[a] for a, b in pairwise(way)}
        assert steps in ({1}, {-1}), "from layer to layer, one way"


@given(EDGES)
def test_without_a_circle_all_leads_forward(edges):
    forward = [(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]]
    layout = lay_out(sorted({node for edge in forward for node in edge}), forward)
    layer_of = {place: i for i, layer in enumerate(layout.layers) for place in layer}
    assert all(layer_of[src] < layer_of[dst] for src, dst in forward)


@given(EDGES, st.randoms(use_true_random=False))
def test_any_graph_is_drawn_the_same_whatever_the_order_of_its_edges(edges, random):
    drawn = [(src, dst, "k", 1) for src, dst in set(edges)]
    graph = graph_of(*sorted(drawn))
    random.shuffle(drawn)
    other = graph_of(*drawn)
    assert to_svg(graph) == to_svg(other)
    lines = outline(graph)
    assert lines == outline(other)
    shown = sum("─▶" in line for line in lines)
    assert shown == len({edge[:2] for edge in drawn}), "every way once"
    named = {name for line in lines for name in re.findall(r"(?:▶ |^)([a-h])", line)}
    assert named == set(graph)


@pytest.mark.parametrize("nodes", [300])
def test_long_chains_are_not_too_deep(nodes):
    graph = graph_of(*((f"n{i:05}", f"n{i + 1:05}", "k", 1) for i in range(nodes)))
    assert len(outline(graph)) == nodes + 1
    assert len(boxes(to_svg(graph))) == nodes + 1
