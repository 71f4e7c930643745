"""The interaction graph for other programs: node-link JSON, GraphML, DOT.

Equal graphs give equal text: nodes and edges come in order of their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from rolewise.graphs.interactions import Arm

_OUTSIDE = "(outside)"


def to_node_link(graph: nx.MultiDiGraph) -> dict[str, Any]:
    """Return the graph as plain dicts, in networkx's node-link form.

    An edge's `key` is `kind/arm`, since JSON has no pairs; `networkx.node_link_graph(data,
    edges="edges")` reads it with such keys, `from_node_link` with the pairs.
    """
    return {
        "directed": True,
        "multigraph": True,
        "graph": dict(graph.graph),
        "nodes": [{"id": node, **graph.nodes[node]} for node in sorted(graph)],
        "edges": [
            {"source": src, "target": dst, "key": _key_in_words(key), **attributes}
            for src, dst, key, attributes in _ordered_edges(graph)
        ],
    }


def from_node_link(data: Mapping[str, Any]) -> nx.MultiDiGraph:
    """Build the graph that `to_node_link` was given.

    Raises:
        KeyError: A node lacks its id, or an edge its ends, kind or arm.
    """
    graph = nx.MultiDiGraph(**data["graph"])
    for node in data["nodes"]:
        graph.add_node(node["id"], **_without(node, "id"))
    for edge in data["edges"]:
        key = (edge["kind"], Arm[edge["arm"].upper()])
        attributes = _without(edge, "source", "target", "key")
        graph.add_edge(edge["source"], edge["target"], key, **attributes)
    return graph


def to_graphml(graph: nx.MultiDiGraph) -> str:
    """Return the graph as GraphML, with typed attributes."""
    # Some readers refuse an empty id, so the outside gets a name.
    ordered = nx.MultiDiGraph(**graph.graph)
    ordered.add_nodes_from((node or _OUTSIDE, graph.nodes[node]) for node in sorted(graph))
    for src, dst, key, attributes in _ordered_edges(graph):
        ordered.add_edge(src or _OUTSIDE, dst or _OUTSIDE, _key_in_words(key), **attributes)
    return "\n".join(nx.generate_graphml(ordered)) + "\n"


def to_dot(graph: nx.MultiDiGraph) -> str:
    """Return the graph in Graphviz's language: an edge says kind, arm, count, rate and failures."""
    lines = ["digraph interactions {", "  rankdir=LR;", "  node [shape=box];"]
    for node in sorted(graph):
        look = "" if node else f" [label={_quoted(_OUTSIDE)}, shape=plaintext]"
        lines.append(f"  {_quoted(node)}{look};")
    for src, dst, _, edge in _ordered_edges(graph):
        arm = "" if edge["arm"] == "none" else f" ({edge['arm']})"
        label = f"{edge['kind']}{arm}\n{edge['n']}, {edge['rate']:.3g}/s"
        colour = ""
        if edge["failures"]:
            label += f"\n{edge['failures']} failed"
            colour = ", color=red"
        lines.append(f"  {_quoted(src)} -> {_quoted(dst)} [label={_quoted(label)}{colour}];")
    return "\n".join([*lines, "}"]) + "\n"


def _ordered_edges(graph: nx.MultiDiGraph) -> Iterable[tuple[str, str, Any, dict[str, Any]]]:
    edges: list[tuple[str, str, Any, dict[str, Any]]] = sorted(
        graph.edges(keys=True, data=True), key=lambda edge: edge[:3]
    )
    return edges


def _key_in_words(key: tuple[str, Arm]) -> str:
    kind, arm = key
    return f"{kind}/{arm.name.lower()}"


def _without(attributes: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in names}


def _quoted(text: str) -> str:
    # JSON's escapes of quotes, backslashes and line ends are DOT's too; others stay as they are.
    return json.dumps(text, ensure_ascii=False)
