"""What the terminal shows of the interaction graph, as plain lines; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rolewise.coordinator.views import GraphView

_OUTSIDE = "(outside)"
_SHORTEST_MS = 1.2  # histograms tell no shorter times apart


def graph_lines(graph: GraphView) -> Iterator[str]:
    """Tell the interaction graph: a line for each kind of message between two nodes, then nodes."""
    if not graph.edges:
        yield f"{graph.fleet}: no message yet"
        return
    rows: list[tuple[str, ...]] = [
        ("from", "to", "kind", "count", "rate/s", "failed", "p50", "p95", "bytes")
    ]
    rows += [
        (
            edge["source"] or _OUTSIDE,
            edge["target"] or _OUTSIDE,
            _kind(edge),
            str(edge["n"]),
            f"{edge['rate']:.3g}",
            str(edge["failures"]),
            _time(edge.get("latency_ms_p50")),
            _time(edge.get("latency_ms_p95")),
            _sizes(edge),
        )
        for edge in graph.edges
    ]
    yield from _table(rows, right_from=3)
    yield ""
    rows = [("node", "begun", "in flight", "busy", "queue p95", "tokens", "tool errors")]
    rows += [
        (
            node["id"],
            str(node["started"]),
            str(node["in_flight"]),
            _time(1000 * node["busy_s"]),
            _time(node.get("queue_ms_p95")),
            str(node["tokens"]),
            f"{node['tool_errors']} of {node['tool_calls']}" if node["tool_calls"] else "-",
        )
        for node in graph.nodes
        if node["id"]
    ]
    yield from _table(rows, right_from=1)


def _kind(edge: Mapping[str, Any]) -> str:
    """Return the kind as its schema where that is declared, with the arm."""
    arm = edge["arm"]
    kind: str = edge.get("schema", edge["kind"])
    return kind if arm == "none" else f"{kind} ({arm})"


def _sizes(edge: Mapping[str, Any]) -> str:
    if not edge["bytes"]:
        return "-"  # not measured
    return f"{edge['bytes_mean']:.0f} ± {edge['bytes_sd']:.0f}"


def _time(ms: float | None) -> str:
    if ms is None:
        return "-"
    if 0 < ms <= _SHORTEST_MS:
        return f"< {_SHORTEST_MS} ms"
    if ms < 1000:  # noqa: PLR2004
        return f"{ms:.3g} ms"
    return f"{ms / 1000:.3g} s" if ms < 1e5 else f"{ms / 1000:,.0f} s"  # noqa: PLR2004


def _table(rows: Sequence[tuple[str, ...]], *, right_from: int) -> Iterator[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:>{wide}}" if place >= right_from else f"{cell:{wide}}"
            for place, (cell, wide) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
