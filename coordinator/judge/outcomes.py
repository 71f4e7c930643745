"""What a closed task is worth to a signal, always oriented so that large is bad.

A failed task's latency is the time it took. It is not taken for endless, because a fleet that
fails more than 5 % of its tasks would then have no 95th percentile to compare and could never be
promoted; that a canary fails fast is for completion to find. Where the analysis has no completion
signal, nothing else would find it, so there a failure is endless.
"""

from __future__ import annotations

from math import inf

from rolewise.coordinator.judge.analysis import Metric
from rolewise.fleet.task import Outcome, TaskRecord


def outcome_of(metric: Metric, record: TaskRecord, *, failure_is_endless: bool) -> float:
    """Return 1 for a bad task and 0 for a good one; for latency, seconds.

    Args:
        metric: What the signal measures.
        record: A task that has ended. One that timed out has an endless latency.
        failure_is_endless: Treat a failure as one that timed out.
    """
    match metric:
        case "task.completed":
            return 0.0 if record.outcome is Outcome.COMPLETED else 1.0
        case "tool.error":
            return 1.0 if record.tool_errors else 0.0
        case "task.latency":
            if record.outcome is Outcome.TIMED_OUT or record.latency_s is None:
                return inf
            if record.outcome is Outcome.FAILED and failure_is_endless:
                return inf
            return record.latency_s
