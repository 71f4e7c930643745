"""The interaction graph as a small drawing in text: from the outside inwards, like a tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx

_OUTSIDE = "(outside)"
_KINDS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Line:
    """One line: what stands left of the name, the name, and what is said of the way there."""

    branch: str
    name: str
    label: str


def outline(graph: nx.MultiDiGraph) -> list[str]:
    """Draw the graph, one line for each node that another one sends to.

    A node that has its line already gets a short one with an arrow up, so that every way is shown
    once. What nobody sends to begins a tree of its own.

    Args:
        graph: Either view of the interaction graph.

    Returns:
        Lines without an end of line.
    """
    targets: dict[str, list[str]] = defaultdict(list)
    for src, dst in sorted({(src, dst) for src, dst in graph.edges()}):
        targets[src].append(dst)
    drawn: set[str] = set()
    lines: list[_Line] = []
    roots = [""] if "" in graph else []
    roots += [node for node in sorted(graph) if node and not graph.in_degree(node)]
    # What only a circle leads to comes last.
    for root in (*roots, *sorted(graph)):
        if root not in drawn:
            lines.append(_Line("", root or _OUTSIDE, ""))
            lines += _below(graph, root, targets, drawn)
    wide = max((len(line.branch) + len(line.name) for line in lines), default=0)
    return [f"{line.branch + line.name:{wide}}   {line.label}".rstrip() for line in lines]


def _below(
    graph: nx.MultiDiGraph, root: str, targets: dict[str, list[str]], drawn: set[str]
) -> Iterator[_Line]:
    """Yield the lines below a node; no recursion, for chains may be long."""
    drawn.add(root)
    work = [(root, "", target) for target in reversed(targets[root])]
    left = {root: len(targets[root])}
    while work:
        parent, indent, node = work.pop()
        left[parent] -= 1
        is_last = not left[parent]
        branch = f"{indent}{'└' if is_last else '├'}─▶ "
        is_known = node in drawn
        name = f"{node or _OUTSIDE}{' ↑' if is_known and targets[node] else ''}"
        yield _Line(branch, name, _label(graph, parent, node))
        if is_known:
            continue
        drawn.add(node)
        left[node] = len(targets[node])
        inner = f"{indent}{' ' if is_last else '│'}   "
        work += [(node, inner, target) for target in reversed(targets[node])]


def _label(graph: nx.MultiDiGraph, src: str, dst: str) -> str:
    """Say what is sent, the most first; arms of a comparison together."""
    sent: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for edge in graph.get_edge_data(src, dst).values():
        sent[edge["kind"]] += edge["n"]
        failed[edge["kind"]] += edge["failures"]
    kinds = sorted(sent, key=lambda kind: (-sent[kind], kind))
    parts = [
        f"{kind} {sent[kind]}" + (f" ✗{failed[kind]}" if failed[kind] else "")
        for kind in kinds[:_KINDS_SHOWN]
    ]
    more = len(kinds) - len(parts)
    return ", ".join(parts) + (f", {more} more kinds" if more else "")
