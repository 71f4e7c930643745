"""What the nodes and edges of the networkx graph say of themselves: plain numbers and strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rolewise.graphs.columns import Edge
from rolewise.graphs.edge_table import LATENCY_BUCKETS, EdgeSums, quantile_ms
from rolewise.graphs.grouping import Ints
from rolewise.graphs.interactions import Happening

_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the invocations of one node used. Money is whole nano-dollars: sums stay exact."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    tool_calls: int = 0
    tool_errors: int = 0

    def plus(self, other: Usage) -> Usage:
        """Return the sum of both."""
        names = (column.name for column in fields(self))
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in names})


def split_node(node: str) -> tuple[str, str]:
    """Return role and version of a node `role@version`."""
    role, _, version = node.partition("@")
    return role, version


def node_attributes(
    name: str, used: Usage, received: Iterable[tuple[Edge, EdgeSums]]
) -> dict[str, Any]:
    """Return a node's attributes; see `InteractionWindows.to_networkx`.

    Args:
        name: `role@version`, or the role.
        used: What its invocations used.
        received: The edges that lead to it.
    """
    role, version = split_node(name)
    attributes: dict[str, Any] = {
        "role": role,
        "version": version,
        "entry": False,
        "started": 0,
        "in_flight": 0,
        "busy_s": 0.0,
        "lost": 0,
        "tokens": used.input_tokens + used.output_tokens,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost_usd": used.cost_nano_usd / _NANO,
        "tool_calls": used.tool_calls,
        "tool_errors": used.tool_errors,
    }
    queue = np.zeros(LATENCY_BUCKETS, np.int64)
    busy_ns = 0
    for edge, sums in received:
        attributes["entry"] |= edge.src == ""
        attributes["started"] += sums.count(Happening.STARTED)
        # In a part of the time, more may end than was sent.
        attributes["in_flight"] += max(0, sums.unanswered)
        busy_ns += sums.busy_ns
        queue += sums.queue
    attributes["busy_s"] = busy_ns / _NANO
    return attributes | _durations("queue", queue)


def edge_attributes(edge: Edge, sums: EdgeSums, span_s: float) -> dict[str, Any]:
    """Return an edge's attributes; see `InteractionWindows.to_networkx`.

    Args:
        edge: The edge.
        sums: Its sums.
        span_s: Seconds that they cover.
    """
    sent = sums.count(Happening.SENT)
    attributes: dict[str, Any] = {
        "kind": edge.kind,
        "arm": edge.arm.name.lower(),
        "n": sent,
        **{
            happening.name.lower(): sums.count(happening)
            for happening in Happening
            if happening is not Happening.SENT
        },
        "failures": sums.failures,
        "rate": sent / span_s,
        "bytes": sums.size,
        "bytes_sq": float(sums.size_squared),
        "bytes_mean": sums.size / max(sent, 1),
        "bytes_sd": sums.size_deviation,
        "unanswered": sums.unanswered,
        "max_hop": sums.max_hop,
        "first_seen_s": sums.first_ns / _NANO,
        "last_seen_s": sums.last_ns / _NANO,
    }
    if sums.count(Happening.REPLIED):
        attributes["latency_ms_sum"] = sums.latency_ns / 1e6
    attributes |= _durations("latency", sums.latency)
    for code, count in sorted(sums.errors.items()):
        attributes[f"error_{code or 'unknown'}"] = count
    return attributes


def _durations(what: str, histogram: Ints) -> dict[str, Any]:
    buckets = np.flatnonzero(histogram).tolist()
    if not buckets:
        return {}
    told: dict[str, Any] = {
        f"{what}_ms_p{percent}": quantile_ms(histogram, percent / 100) for percent in (50, 95, 99)
    }
    told[f"{what}_buckets"] = " ".join(f"{b}:{histogram[b]}" for b in buckets)
    return told
