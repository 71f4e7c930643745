"""The interaction graph as people and programs read it."""

from __future__ import annotations

from typing import Any

import networkx as nx

from rolewise.coordinator.views.base import View
from rolewise.graphs.export import to_node_link


class GraphView(View):
    """The interaction graph in networkx's node-link form."""

    fleet: str
    directed: bool
    multigraph: bool
    graph: dict[str, Any]
    """`view`, `span_s` (seconds that the sums cover) and `lost` (records that never came)."""
    nodes: tuple[dict[str, Any], ...]
    """`id` (`role@version`, or the role), what was started there, requests in flight, time spent,
    time in the queue, tokens, cost, tool calls."""
    edges: tuple[dict[str, Any], ...]
    """`source`, `target`, `key` (`kind/arm`), `schema` where it is declared, counts, rate,
    failures, bytes (sum, mean, deviation), latencies."""


def view_graph(fleet: str, graph: nx.MultiDiGraph) -> GraphView:
    """Return a graph, nodes and edges in order of their names."""
    return GraphView(fleet=fleet, **to_node_link(graph))
