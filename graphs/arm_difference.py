"""Two arms of the interaction graph side by side: same, more, fewer, new and gone edges.

Per task, since arms differ in their number of tasks. This is for the eye: it tells chance from
change only where a test stands beside it (`rolewise.graphs.patterns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Change = Literal["new", "gone", "more", "fewer", "same"]
CHANGES: Final[tuple[Change, ...]] = ("new", "gone", "more", "fewer", "same")
"""In the order in which they are shown."""

NOTABLE: Final = 1.25
"""A ratio inside 1/1.25 to 1.25 is shown as the same."""

Edge = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEdge:
    """What one arm did on one edge.

    Attributes:
        sent: Messages.
        failed: Of these, failed or timed out.
        latency_ms: Of the replies, as the caller measures it (median or mean); None without one.
    """

    sent: float = 0.0
    failed: float = 0.0
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeDifference:
    """One edge in both arms.

    Attributes:
        ratio: Canary to baseline, messages per task; None where the baseline has none.
        baseline_per_task: Messages per task of the baseline.
        canary_per_task: Messages per task of the canary.
    """

    edge: Edge
    change: Change
    baseline: ArmEdge
    canary: ArmEdge
    baseline_per_task: float
    canary_per_task: float

    @property
    def ratio(self) -> float | None:
        """Canary to baseline; None where the baseline has none."""
        if not self.baseline_per_task:
            return None
        return self.canary_per_task / self.baseline_per_task


def compare_arms(
    baseline: Mapping[Edge, ArmEdge],
    canary: Mapping[Edge, ArmEdge],
    *,
    tasks_baseline: float,
    tasks_canary: float,
) -> tuple[EdgeDifference, ...]:
    """Return every edge of both arms, changes first, and the largest of each kind first.

    Args:
        baseline: Edges of the one arm, (sender, receiver, kind) in the role view.
        canary: Edges of the other.
        tasks_baseline: Tasks of the one; without any, no edge can be called new.
        tasks_canary: Tasks of the other; without any, none can be called gone.
    """
    nothing = ArmEdge()
    found = [
        _difference(
            edge,
            baseline.get(edge, nothing),
            canary.get(edge, nothing),
            tasks_baseline,
            tasks_canary,
        )
        for edge in sorted(baseline.keys() | canary.keys())
    ]
    return tuple(
        sorted(found, key=lambda one: (CHANGES.index(one.change), -_extent(one), one.edge))
    )


def count_changes(differences: Iterable[EdgeDifference]) -> dict[Change, int]:
    """Return how many edges changed in which way, in the order of `CHANGES`."""
    changes = [difference.change for difference in differences]
    return {change: changes.count(change) for change in CHANGES}


def _difference(
    edge: Edge, baseline: ArmEdge, canary: ArmEdge, tasks_baseline: float, tasks_canary: float
) -> EdgeDifference:
    before = baseline.sent / tasks_baseline if tasks_baseline else 0.0
    now = canary.sent / tasks_canary if tasks_canary else 0.0
    change: Change = "same"
    if tasks_baseline and tasks_canary:
        if not before:
            change = "new" if now else "same"
        elif not now:
            change = "gone"
        elif now > before * NOTABLE:
            change = "more"
        elif now * NOTABLE < before:
            change = "fewer"
    return EdgeDifference(
        edge=edge,
        change=change,
        baseline=baseline,
        canary=canary,
        baseline_per_task=before,
        canary_per_task=now,
    )


def _extent(difference: EdgeDifference) -> float:
    return abs(difference.canary_per_task - difference.baseline_per_task)
