"""Baseline and canary side by side, as people and programs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np

from rolewise.coordinator.views.base import Figure, View
from rolewise.fleet.harness.trace_comparison import TraceComparison
from rolewise.graphs.arm_difference import (
    ArmEdge,
    Change,
    Edge,
    EdgeDifference,
    compare_arms,
    count_changes,
)
from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns import PatternReport


class ArmEdgeView(View):
    """What one arm did on an edge."""

    sent: float
    per_task: float
    failed: float
    latency_ms: Figure
    """Of the replies: the median of a live fleet, the geometric mean of recordings."""


class EdgeDifferenceView(View):
    """One kind of message between two roles, in both arms."""

    source: str
    """Role that sends; empty for the outside."""
    target: str
    kind: str
    change: Change
    ratio: Figure
    """Canary to baseline, messages per task; null where the baseline has none."""
    baseline: ArmEdgeView
    canary: ArmEdgeView


class FindingView(View):
    """One thing in which the arms differ beyond chance."""

    what: str
    family: str
    direction: str
    """`harm`, `neutral` or `expected`."""
    p: float
    effect: Figure
    effect_unit: str
    sentence: str


class PatternView(View):
    """What the pattern tests say."""

    state: str
    """`alarm`, `quiet` or `inconclusive`."""
    follows: str
    """`rollback`, `pause` or `nothing`."""
    reason: str
    changed: tuple[str, ...]
    """Roles that choose otherwise."""
    affected: tuple[str, ...]
    """Roles that feel it."""
    could_see: str
    findings: tuple[FindingView, ...]
    distance: Figure
    """Between the graphs: 0 alike, 1 nothing in common."""
    distance_p: Figure


class GraphDifferenceView(View):
    """Baseline and canary side by side."""

    fleet: str
    """Name of a fleet, or of a file of recordings."""
    baseline: str
    """What the one arm is."""
    canary: str
    tasks_baseline: int
    tasks_canary: int
    changes: dict[Change, int]
    edges: tuple[EdgeDifferenceView, ...]
    flagged_baseline: int | None
    """Tasks with a livelock flag; null where it is not known."""
    flagged_canary: int | None
    patterns: PatternView | None
    """Null where no test was made: a live fleet's are in its rollout's verdict."""


def view_live_difference(fleet: str, graph: nx.MultiDiGraph) -> GraphDifferenceView:
    """Return the arms of a running trial side by side.

    Args:
        fleet: Its name.
        graph: The role view, edges told apart by arm.
    """
    arms: dict[Arm, dict[Edge, ArmEdge]] = {arm: {} for arm in Arm}
    for src, dst, (kind, arm), edge in graph.edges(keys=True, data=True):
        arms[arm][src, dst, kind] = ArmEdge(
            sent=edge["n"], failed=edge["failures"], latency_ms=edge.get("latency_ms_p50")
        )
    tasks = {
        arm: sum(edge.sent for (src, _, _), edge in edges.items() if not src)
        for arm, edges in arms.items()
    }
    return _view(
        fleet,
        ("baseline", "canary"),
        arms[Arm.BASELINE],
        arms[Arm.CANARY],
        (int(tasks[Arm.BASELINE]), int(tasks[Arm.CANARY])),
    )


def view_trace_difference(
    file: str, names: tuple[str, str], comparison: TraceComparison
) -> GraphDifferenceView:
    """Return two recorded versions side by side.

    Args:
        file: The recordings.
        names: What was chosen as stable and as canary.
        comparison: Of the two.
    """
    rows, canary = comparison.rows, comparison.canary
    return (
        _view(
            file,
            names,
            _edges(comparison, ~canary),
            _edges(comparison, canary),
            (int((~canary).sum()), int(canary.sum())),
            flagged=(
                int((comparison.flagged & ~canary).sum()),
                int((comparison.flagged & canary).sum()),
            ),
            report=comparison.report,
        )
        if len(rows)
        else _view(file, names, {}, {}, (0, 0), report=comparison.report)
    )


def _view(
    fleet: str,
    names: tuple[str, str],
    baseline: Mapping[Edge, ArmEdge],
    canary: Mapping[Edge, ArmEdge],
    tasks: tuple[int, int],
    *,
    flagged: tuple[int, int] | None = None,
    report: PatternReport | None = None,
) -> GraphDifferenceView:
    found = compare_arms(baseline, canary, tasks_baseline=tasks[0], tasks_canary=tasks[1])
    return GraphDifferenceView(
        fleet=fleet,
        baseline=names[0],
        canary=names[1],
        tasks_baseline=tasks[0],
        tasks_canary=tasks[1],
        changes=count_changes(found),
        edges=tuple(_edge(one) for one in found),
        flagged_baseline=flagged[0] if flagged else None,
        flagged_canary=flagged[1] if flagged else None,
        patterns=None if report is None else view_patterns(report),
    )


def view_patterns(report: PatternReport) -> PatternView:
    """Return what the pattern tests say."""
    alarm = report.state == "alarm"
    return PatternView(
        state=report.state,
        follows="rollback" if report.is_harm else "pause" if alarm else "nothing",
        reason=report.reason,
        changed=report.changed,
        affected=report.affected,
        could_see=report.could_see,
        findings=tuple(
            FindingView(
                what=finding.what,
                family=finding.family,
                direction=finding.direction,
                p=finding.p,
                effect=finding.effect,
                effect_unit=finding.effect_unit,
                sentence=finding.sentence,
            )
            for finding in report.findings
        ),
        distance=None if report.distance is None else report.distance.value,
        distance_p=None if report.distance is None else report.distance.p,
    )


def _edge(one: EdgeDifference) -> EdgeDifferenceView:
    source, target, kind = one.edge
    return EdgeDifferenceView(
        source=source,
        target=target,
        kind=kind,
        change=one.change,
        ratio=one.ratio,
        baseline=_arm(one.baseline, one.baseline_per_task),
        canary=_arm(one.canary, one.canary_per_task),
    )


def _arm(edge: ArmEdge, per_task: float) -> ArmEdgeView:
    return ArmEdgeView(
        sent=edge.sent, per_task=per_task, failed=edge.failed, latency_ms=edge.latency_ms
    )


def _edges(comparison: TraceComparison, chosen: np.ndarray) -> dict[Edge, ArmEdge]:
    rows = comparison.rows
    inside = chosen[rows.edge_row]
    columns = rows.edge_col[inside]

    def summed(values: np.ndarray) -> Sequence[float]:
        sums: list[float] = np.bincount(columns, values[inside], len(rows.edges)).tolist()
        return sums

    sums = zip(
        summed(rows.sends),
        summed(rows.failed),
        summed(rows.log2_latency_sum),
        summed(rows.latency_count),
        strict=True,
    )
    return {
        edge: ArmEdge(
            sent=sent, failed=failed, latency_ms=2.0 ** (logs / count) / 1e6 if count else None
        )
        for edge, (sent, failed, logs, count) in zip(rows.edges, sums, strict=True)
        if sent
    }
