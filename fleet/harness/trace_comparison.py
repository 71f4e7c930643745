"""Compares two recorded versions: how they talk, and how often they loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rolewise.fleet.harness.trace_loops import figures_of_traces
from rolewise.fleet.harness.trace_rows import rows_of_traces
from rolewise.fleet.harness.traces import Trace
from rolewise.graphs.loops import raised_flags
from rolewise.graphs.patterns import PatternReport, look
from rolewise.graphs.task_rows import Marks, TaskRows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TraceComparison:
    """Two recorded versions side by side.

    Attributes:
        rows: Their tasks, stable first.
        canary: Which of the rows are the canary's.
        flagged: Which raise a livelock flag.
        is_paired: Whether tasks that both have tried are compared with each other only.
        report: What the pattern tests say.
    """

    rows: TaskRows
    canary: Marks
    flagged: Marks
    is_paired: bool
    report: PatternReport


def compare_traces(
    stable: Sequence[Trace], canary: Sequence[Trace], *, seed: int = 0
) -> TraceComparison:
    """Compare two versions in one look.

    Args:
        stable: Recorded tasks of the one.
        canary: Recorded tasks of the other.
        seed: Draws the relabellings: equal seeds, equal reports.

    Notes:
        Tasks with one id (and one revision) are compared with each other where at least half of
        the canary's have a partner; else all with all.
    """
    both = [*stable, *canary]
    rows = rows_of_traces(both)
    is_canary = np.arange(len(both)) >= len(stable)
    flagged: Marks = np.asarray(raised_flags(figures_of_traces(both)).any(axis=1))
    strata = _tasks_alike(both)
    partners = np.isin(strata[is_canary], strata[~is_canary])
    is_paired = len(canary) > 0 and partners.mean() >= 0.5  # noqa: PLR2004
    report = look(
        rows,
        canary=is_canary,
        stratum=strata if is_paired else np.zeros(len(both), np.int64),
        flagged=flagged,
        rng=np.random.default_rng(seed),
    )
    return TraceComparison(
        rows=rows, canary=is_canary, flagged=flagged, is_paired=bool(is_paired), report=report
    )


def _tasks_alike(traces: Sequence[Trace]) -> npt.NDArray[np.int64]:
    """Return one number for each task and revision."""
    numbers: dict[tuple[str, str, str], int] = {}
    keys = [(t.fleet, t.task_id, str(t.attributes.get("task_rev"))) for t in traces]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
