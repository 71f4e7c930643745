"""The interaction graph as a picture: SVG, drawn here, so that nothing need be installed.

Boxes stand in layers from the outside to the right; an arrow is what one node sends another, as
thick as it is often, dashed when only the canary's tasks sent it, red when some of it failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import log10

import networkx as nx

from rolewise.graphs.layers import Layout, Place, lay_out

_OUTSIDE = "(outside)"
_LETTER, _BOX_HEIGHT, _BOX_PADDING = 7.3, 34.0, 24.0
_LAYER_GAP, _ROW, _MARGIN = 150.0, 62.0, 24.0
_KINDS_SHOWN = 2

Point = tuple[float, float]

_HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" '
    'markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0 L8 4 L0 8 z"/></marker>'
)

_STYLE = """\
    text { font: 13px ui-monospace, monospace; fill: #1b2430; }
    .label { font-size: 11px; fill: #45505e; paint-order: stroke; stroke: #fff; stroke-width: 3px; }
    .box { fill: #f3f6fa; stroke: #5b6b7f; }
    .way { fill: none; stroke: #5b6b7f; }
    .failed { stroke: #b3261e; }
    .canary { stroke-dasharray: 6 4; }
    .head { fill: #5b6b7f; }
    @media (prefers-color-scheme: dark) {
      svg { background: #12161c; }
      text { fill: #e6ebf2; } .label { fill: #b6c1cf; stroke: #12161c; }
      .box { fill: #1e2630; stroke: #8a9bb0; } .way { stroke: #8a9bb0; }
      .failed { stroke: #ff8a80; } .head { fill: #8a9bb0; }
    }"""


@dataclass(frozen=True, slots=True)
class _Sent:
    """All that one node sends another."""

    count: int
    failures: int
    only_canary: bool
    label: str
    title: str


def to_svg(graph: nx.MultiDiGraph) -> str:
    """Draw the graph, either view of it; equal graphs give equal text."""
    nodes = ([""] if "" in graph else []) + [node for node in sorted(graph) if node]
    sent = {(src, dst): _sum_up(graph, src, dst) for src, dst in sorted(set(graph.edges()))}
    layout = lay_out(nodes, sent)
    wide = _BOX_PADDING + _LETTER * max((len(node or _OUTSIDE) for node in nodes), default=0)
    at = _places(layout, wide)
    width = 2 * _MARGIN + len(layout.layers) * (wide + _LAYER_GAP) - _LAYER_GAP
    height = 2 * _MARGIN + max((y for _, y in at.values()), default=0.0) + _BOX_HEIGHT
    size = f"{max(width, 200):.0f}", f"{height:.0f}"
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Interaction graph"',
        f'  width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}">',
        "  <title>Interaction graph</title>",
        f"  <desc>{escape(_told(nodes, sent))}</desc>",
        f"  <style>\n{_STYLE}\n  </style>",
        f"  <defs>{_HEAD}</defs>",
        *(line for edge, what in sent.items() for line in _arrow(edge, what, layout, at, wide)),
        *(line for node in nodes for line in _box(node, at[node], wide)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _sum_up(graph: nx.MultiDiGraph, src: str, dst: str) -> _Sent:
    counts: dict[str, int] = defaultdict(int)
    failures = 0
    arms = set()
    title = []
    for _, edge in sorted(graph.get_edge_data(src, dst).items()):
        counts[edge["kind"]] += edge["n"]
        failures += edge["failures"]
        arms.add(edge["arm"])
        arm = "" if edge["arm"] == "none" else f" ({edge['arm']})"
        failed = f", {edge['failures']} failed" if edge["failures"] else ""
        title.append(f"{edge['kind']}{arm}: {edge['n']}, {edge['rate']:.3g}/s{failed}")
    kinds = sorted(counts, key=lambda kind: (-counts[kind], kind))
    label = ", ".join(f"{kind} {counts[kind]}" for kind in kinds[:_KINDS_SHOWN])
    more = len(kinds) - _KINDS_SHOWN
    label += f" +{more}" if more > 0 else ""
    label += f" ✗{failures}" if failures else ""
    return _Sent(sum(counts.values()), failures, arms == {"canary"}, label, "\n".join(title))


def _places(layout: Layout, wide: float) -> dict[Place, Point]:
    """Return the upper left corner of each place; short layers stand in the middle."""
    tallest = max((len(layer) for layer in layout.layers), default=0)
    return {
        place: (
            _MARGIN + number * (wide + _LAYER_GAP),
            _MARGIN + (row + (tallest - len(layer)) / 2) * _ROW,
        )
        for number, layer in enumerate(layout.layers)
        for row, place in enumerate(layer)
    }


def _box(node: str, corner: Point, wide: float) -> list[str]:
    x, y = corner
    middle = f'x="{x + wide / 2:.1f}" y="{y + _BOX_HEIGHT / 2 + 4.5:.1f}"'
    box = f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_BOX_HEIGHT:g}"'
    text = f'<text text-anchor="middle" {middle}>{escape(node or _OUTSIDE)}</text>'
    return [f'  <g>{box} rx="6"/>{text}</g>' if node else f"  <g>{text}</g>"]


def _arrow(
    edge: tuple[str, str],
    sent: _Sent,
    layout: Layout,
    at: Mapping[Place, Point],
    wide: float,
) -> list[str]:
    classes = "way" + " failed" * bool(sent.failures) + " canary" * sent.only_canary
    path, (x, y) = _path(edge, layout, at, wide)
    thick = 1 + min(4.0, log10(max(sent.count, 1)))
    way = f'<path class="{classes}" stroke-width="{thick:.1f}" marker-end="url(#head)" d="{path}"/>'
    label = f'<text class="label" text-anchor="middle" x="{x:.1f}" y="{y:.1f}">'
    names = f"{edge[0] or _OUTSIDE} to {edge[1] or _OUTSIDE}"
    title = f"<title>{escape(names)}\n{escape(sent.title)}</title>"
    return [f"  <g>{title}{way}{label}{escape(sent.label)}</text></g>"]


def _path(
    edge: tuple[str, str], layout: Layout, at: Mapping[Place, Point], wide: float
) -> tuple[str, Point]:
    """Return the path of an arrow, and where its label stands."""
    half = _BOX_HEIGHT / 2
    if edge[0] == edge[1]:
        x, y = at[edge[0]]
        loop = f"M{x + wide / 3:.1f} {y:.1f} c-10 -26 {wide / 3 + 20:.1f} -26 {wide / 3:.1f} 0"
        return loop, (x + wide / 2, y - 8)
    way = layout.ways[edge]
    leads_back = at[way[0]][0] > at[way[-1]][0]
    # A way back stands a little lower, so that it does not cover the way there.
    down = half + (8 if leads_back else -4 if edge[::-1] in layout.ways else 0)
    points: list[Point] = []
    for place in way:
        x, y = at[place]
        ends = (x + wide, x) if leads_back else (x, x + wide)
        if place != edge[0]:
            points.append((ends[0], y + down))
        if place != edge[1]:
            points.append((ends[1], y + down))
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for i in range(len(points) - 1):
        (x0, y0), (x1, y1) = points[i], points[i + 1]
        if i % 2:  # across a layer that it passes through
            path += f" L{x1:.1f} {y1:.1f}"
            continue
        bend = (x1 - x0) / 2
        path += f" C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    (x0, y0), (x1, y1) = points[0], points[1]
    return path, ((x0 + x1) / 2, (y0 + y1) / 2 + (14 if leads_back else -5))


def _told(nodes: list[str], sent: Mapping[tuple[str, str], _Sent]) -> str:
    ways = "; ".join(
        f"{src or _OUTSIDE} to {dst or _OUTSIDE}: {what.label}" for (src, dst), what in sent.items()
    )
    return f"{len(nodes)} nodes. {ways}"
