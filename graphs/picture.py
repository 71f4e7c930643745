"""The interaction graph as a picture: SVG, drawn here, so that nothing need be installed.

Boxes stand in layers from the outside to the right, the versions of a role below each other. An
arrow is what one node sends another, as thick as it is often; what only the canary's tasks do is
violet and dashed, and red is where a hundredth or more failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from math import log10

import networkx as nx

from rolewise.graphs.layers import lay_out
from rolewise.graphs.picture_places import Arrow, Box, find_places

FAILED_FROM = 0.01
_OUTSIDE = "(outside)"
_LETTER, _SMALL_LETTER, _LINE, _SMALL_LINE = 7.9, 6.7, 20.0, 15.0
_BOX_PADDING, _MARGIN, _LEGEND = 24.0, 24.0, 34.0
_KINDS_SHOWN = 2

_HEADS = "".join(
    f'<marker id="head{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="10" '
    f'markerHeight="10" markerUnits="userSpaceOnUse" orient="auto">'
    f'<path class="head{name and " "}{name}" d="M0 0 L8 4 L0 8 z"/></marker>'
    for name in ("", "canary", "failed")
)

_STYLE = """\
    .page { fill: #fff; }
    text { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; fill: #1b2430; }
    .label, .legend { font-size: 11px; fill: #45505e; }
    .label.failed { fill: #b3261e; }
    .box { fill: #f3f6fa; stroke: #5b6b7f; }
    .box.canary { fill: #f6effc; stroke: #7a3ea8; stroke-width: 1.5; }
    .way { fill: none; stroke: #5b6b7f; }
    .way.canary { stroke: #7a3ea8; stroke-dasharray: 7 4; }
    .way.failed { stroke: #b3261e; }
    .head { fill: #5b6b7f; } .head.canary { fill: #7a3ea8; } .head.failed { fill: #b3261e; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #12161c; }
      text { fill: #e6ebf2; } .label, .legend { fill: #b6c1cf; } .label.failed { fill: #ff8a80; }
      .box { fill: #1e2630; stroke: #8a9bb0; } .box.canary { fill: #2a2036; stroke: #c79bf0; }
      .way { stroke: #8a9bb0; } .way.canary { stroke: #c79bf0; } .way.failed { stroke: #ff8a80; }
      .head { fill: #8a9bb0; } .head.canary { fill: #c79bf0; } .head.failed { fill: #ff8a80; }
    }"""


@dataclass(frozen=True, slots=True)
class _Sent:
    """All that one node sends another."""

    count: int
    failures: int
    only_canary: bool
    label: str
    title: str

    @property
    def fails(self) -> bool:
        """Whether so much of it failed that it must be seen."""
        return self.failures >= max(1.0, FAILED_FROM * self.count)


def to_svg(graph: nx.MultiDiGraph) -> str:
    """Draw the graph, either view of it; equal graphs give equal text."""
    nodes = ([""] if "" in graph else []) + [node for node in sorted(graph) if node]
    sent = {(src, dst): _sum_up(graph, src, dst) for src, dst in sorted(set(graph.edges()))}
    teams = {node: node.partition("@")[0] for node in nodes}
    own = {node: f"↻ {what.label}" for (node, dst), what in sent.items() if node == dst}
    wide = _BOX_PADDING + max(
        (
            max(_LETTER * len(node or _OUTSIDE), _SMALL_LETTER * len(own.get(node, "")))
            for node in nodes
        ),
        default=0.0,
    )
    places = find_places(
        lay_out(nodes, sent, teams),
        wide=wide,
        high={node: _LINE + _SMALL_LINE * (node in own) for node in nodes},
        label_wide={way: _SMALL_LETTER * len(what.label) + 14 for way, what in sent.items()},
        margin=_MARGIN,
    )
    legend = list(_legend(graph, sent, places.height))
    size = f"{max(places.width, 640.0):.0f}", f"{places.height + _LEGEND * bool(legend):.0f}"
    on_trial = {
        node
        for node in nodes
        if (to := [what for (_, dst), what in sent.items() if dst == node])
        and all(what.only_canary for what in to)
    }
    lines = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Interaction graph"',
        f'  width="{size[0]}" height="{size[1]}" viewBox="0 0 {size[0]} {size[1]}">',
        "  <title>Interaction graph</title>",
        f"  <desc>{escape(_told(nodes, sent))}</desc>",
        f"  <style>\n{_STYLE}\n  </style>",
        f"  <defs>{_HEADS}</defs>",
        '  <rect class="page" width="100%" height="100%"/>',
        *(_arrow(edge, sent[edge], arrow) for edge, arrow in places.arrows.items()),
        *(
            _box(node, places.boxes[node], own.get(node, ""), is_canary=node in on_trial)
            for node in nodes
        ),
        *legend,
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


def _box(node: str, box: Box, own: str, *, is_canary: bool) -> str:
    x, y = box.x + box.wide / 2, box.y + box.high / 2 + (4.5 if not own else -3.0)
    name = f'<text text-anchor="middle" x="{x:.1f}" y="{y:.1f}">{escape(node or _OUTSIDE)}</text>'
    if own:
        name += (
            f'<text class="label" text-anchor="middle" x="{x:.1f}" y="{y + _SMALL_LINE:.1f}">'
            f"{escape(own)}</text>"
        )
    if not node:
        return f"  <g>{name}</g>"
    classes = "box" + " canary" * is_canary
    frame = f'<rect class="{classes}" x="{box.x:.1f}" y="{box.y:.1f}" rx="6" '
    return f'  <g>{frame}width="{box.wide:.1f}" height="{box.high:.1f}"/>{name}</g>'


def _arrow(edge: tuple[str, str], sent: _Sent, arrow: Arrow) -> str:
    classes = "way" + " canary" * sent.only_canary + " failed" * sent.fails
    head = "failed" if sent.fails else "canary" if sent.only_canary else ""
    thick = 1 + min(3.0, 0.75 * log10(max(sent.count, 1)))
    way = (
        f'<path class="{classes}" stroke-width="{thick:.1f}" marker-end="url(#head{head})" '
        f'd="{_path(arrow)}"/>'
    )
    x, y = arrow.label
    anchor = "end" if arrow.leads_back else "start"
    text = f'<text class="label{" failed" * sent.fails}" text-anchor="{anchor}" '
    text += f'x="{x:.1f}" y="{y:.1f}">{escape(sent.label)}</text>'
    names = f"{edge[0] or _OUTSIDE} to {edge[1] or _OUTSIDE}"
    return f"  <g><title>{escape(names)}\n{escape(sent.title)}</title>{way}{text}</g>"


def _path(arrow: Arrow) -> str:
    (x0, y0), *rest = arrow.points
    path = f"M{x0:.1f} {y0:.1f}"
    for number, (x, y) in enumerate(rest):
        if number % 2:
            bend = (x - x0) / 2
            path += f" C{x0 + bend:.1f} {y0:.1f} {x - bend:.1f} {y:.1f} {x:.1f} {y:.1f}"
        else:
            path += f" L{x:.1f} {y:.1f}"
        x0, y0 = x, y
    return path


def _legend(
    graph: nx.MultiDiGraph, sent: Mapping[tuple[str, str], _Sent], top: float
) -> Iterator[str]:
    """Yield what the lines mean, for those that occur."""
    if not sent:
        return
    kinds = [("", "sent (✗ failed); thicker: more often")]
    if any(what.only_canary for what in sent.values()):
        kinds.append(("canary", "only by the canary's tasks"))
    if any(what.fails for what in sent.values()):
        kinds.append(("failed", f"{FAILED_FROM:.0%} or more failed"))
    x, y = _MARGIN, top + _LEGEND / 2 - 8
    for name, words in kinds:
        yield (
            f'  <line class="way{name and " "}{name}" stroke-width="2" '
            f'x1="{x:.1f}" y1="{y:.1f}" x2="{x + 34:.1f}" y2="{y:.1f}"/>'
        )
        yield f'  <text class="legend" x="{x + 42:.1f}" y="{y + 4:.1f}">{words}</text>'
        x += 42 + _SMALL_LETTER * len(words) + 26
    if span := graph.graph.get("span_s"):
        yield f'  <text class="legend" x="{x:.1f}" y="{y + 4:.1f}">in {span:,.0f} s</text>'


def _told(nodes: list[str], sent: Mapping[tuple[str, str], _Sent]) -> str:
    ways = "; ".join(
        f"{src or _OUTSIDE} to {dst or _OUTSIDE}: {what.label}" for (src, dst), what in sent.items()
    )
    return f"{len(nodes)} nodes. {ways}"
