"""What a fleet's traffic is like, read from its interaction graph: plans are foretold by it."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx

from rolewise.coordinator.judge.planning import USUAL, Baseline

LEAST_TASKS = 50
"""With fewer tasks seen, shares of bad ones are taken to be as usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How many tasks come, and what they are like.

    Attributes:
        tasks_per_s: Tasks that come in a second; None when none has come.
        baseline: What they are like.
    """

    tasks_per_s: float | None = None
    baseline: Baseline = USUAL


def read_traffic(graph: nx.MultiDiGraph | None) -> Traffic:
    """Return what the graph tells of the traffic.

    Args:
        graph: The interaction graph; tasks are what comes from outside, the node with no name.
    """
    if graph is None or "" not in graph:
        return Traffic()
    entering = [data for _, _, data in graph.out_edges("", data=True)]
    tasks = sum(data["n"] for data in entering)
    rate = sum(data["rate"] for data in entering)
    if tasks < LEAST_TASKS:
        return Traffic(tasks_per_s=rate or None)
    failed = sum(data["failures"] for data in entering)
    errors = sum(data["tool_errors"] for _, data in graph.nodes(data=True))
    return Traffic(
        tasks_per_s=rate,
        baseline=Baseline(
            failure_rate=min(1.0, failed / tasks), tool_error_rate=min(1.0, errors / tasks)
        ),
    )
