"""One look at the patterns of closed tasks: all families, under one chance of a false alarm.

A stage may be looked at again and again. Looks come when 25, 50, 100, ... canary tasks have
closed, and look j may spend alpha / ((j + 1)(j + 2)); these sum to alpha over any number of looks,
so that it holds whenever one stops. Silence is not sameness: with few tasks only large changes
can be seen, and the report says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import expm1, log1p
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from rolewise.graphs.expectations import Expectations
from rolewise.graphs.patterns.columns import build_columns, edge_in_words
from rolewise.graphs.patterns.distance import graph_distance
from rolewise.graphs.patterns.edges import find_edges, find_forbidden
from rolewise.graphs.patterns.exact import fisher
from rolewise.graphs.patterns.features import find_features
from rolewise.graphs.patterns.report import PatternReport
from rolewise.graphs.patterns.strata import Strata
from rolewise.graphs.patterns.transitions import find_transitions
from rolewise.graphs.task_rows import Marks, TaskRows

FIRST_LOOK: Final = 25
ALPHA: Final = 0.01
SHARES: Final = {"features": 0.5, "transitions": 0.25, "edges": 0.25}
"""How the families share alpha."""
MOST_PARTIAL: Final = 0.02
UNEVEN_LOSS: Final = 0.01
_POWER: Final = 0.8


def next_look_at(looks: int) -> int:
    """Return at how many closed canary tasks the look comes that follows `looks` looks."""
    return FIRST_LOOK << looks


def look_due(tasks_canary: int) -> int | None:
    """Return the number of the look that so many closed canary tasks allow; None: too few yet."""
    return (tasks_canary // FIRST_LOOK).bit_length() - 1 if tasks_canary >= FIRST_LOOK else None


def alpha_at(look: int | None, alpha: float = ALPHA) -> float:
    """Return what look number `look` may spend; all of it when it is planned as the only one."""
    return alpha if look is None else alpha / ((look + 1) * (look + 2))


def look(
    rows: TaskRows,
    *,
    canary: Marks,
    stratum: npt.NDArray[np.integer],
    flagged: Marks,
    rng: np.random.Generator,
    number: int | None = None,
    alpha: float = ALPHA,
    expectations: Expectations | None = None,
) -> PatternReport:
    """Compare the canary tasks with the baseline tasks.

    Args:
        rows: Closed tasks of both arms, those that were ended or timed out among them.
        canary: Which are on canary; the others are baseline.
        stratum: Number of each task's stratum: task type, routing rule and time (tasks between
            two looks). Arms must have been drawn at random within strata.
        flagged: Which have a livelock flag.
        rng: The only source of chance: equal state, equal report.
        number: Of this look in its stage, see `look_due`; None when it is the only one.
        alpha: Chance of a false alarm in the stage, over all families and looks.
        expectations: What the fleet's file and the past say of edges.

    Returns:
        `inconclusive` when more than 2 % of an arm's tasks have gaps in their telemetry, or the
        arms differ in it: what is missing looks like what did not happen.
    """
    known = expectations or Expectations()
    forbidden = find_forbidden(rows, canary, known)
    report = PatternReport(
        state="quiet",
        reason="",
        findings=tuple(forbidden),
        tasks_canary=int((canary & ~rows.partial).sum()),
        tasks_baseline=int((~canary & ~rows.partial).sum()),
        look=number,
    )
    gaps = _gaps(rows.partial, canary)
    if gaps and not forbidden:
        return replace(report, state="inconclusive", reason=gaps)
    whole = np.flatnonzero(~rows.partial)
    strata = _whole_only(Strata(canary[whole], stratum[whole]), whole)
    if len(strata) == 0 and not forbidden:
        return replace(
            report, state="inconclusive", reason="no stratum has closed tasks of both arms"
        )
    found = _Families(rows, strata, flagged, known, alpha_at(number, alpha), rng)
    return _concluded(replace(report, findings=(*forbidden, *found.findings)), found)


class _Families:
    """What the three families find, and what is needed to tell about it."""

    def __init__(
        self,
        rows: TaskRows,
        strata: Strata,
        flagged: Marks,
        known: Expectations,
        alpha: float,
        rng: np.random.Generator,
    ) -> None:
        self.strata = strata
        expected = {edge for edge in rows.edges if known.is_declared(edge)}
        self.columns = build_columns(rows, flagged, strata, expected)
        self.alpha = alpha * SHARES["features"]
        features, self.test = find_features(self.columns, strata, alpha=self.alpha, rng=rng)
        self.transitions = find_transitions(
            rows,
            strata,
            alpha=alpha * SHARES["transitions"],
            rng=rng,
            # A role that sends one thing more sends others less often next: as it was declared.
            changing={src for src, _, _ in expected},
        )
        edges = find_edges(rows, strata, alpha=alpha * SHARES["edges"], expectations=known)
        self.findings = [*features, *self.transitions, *edges]
        self.distance = graph_distance(rows, strata, rng=rng)


def _concluded(report: PatternReport, found: _Families) -> PatternReport:
    order = {"harm": 0, "neutral": 1, "expected": 2}
    findings = sorted(report.findings, key=lambda finding: (order[finding.direction], finding.p))
    alarms = [finding for finding in findings if finding.is_alarm]
    changed = tuple(sorted({finding.role for finding in found.transitions}))
    affected = {finding.role for finding in alarms} - set(changed) - {""}
    could_see = _could_see(found)
    if alarms:
        reason = alarms[0].sentence + _who(changed, tuple(sorted(affected)))
    else:
        reason = f"no pattern differs beyond chance; {could_see}"
    return replace(
        report,
        state="alarm" if alarms else "quiet",
        reason=reason,
        findings=tuple(findings),
        changed=changed,
        affected=tuple(sorted(affected)),
        could_see=could_see,
        distance=found.distance,
    )


def _who(changed: Sequence[str], affected: Sequence[str]) -> str:
    parts = []
    if changed:
        parts.append(f"choices changed at {', '.join(changed)}")
    if affected:
        parts.append(f"felt at {', '.join(affected)}")
    return f"; {', '.join(parts)}" if parts else ""


def _could_see(found: _Families) -> str:
    """Say which change at the most used edge this look would see four times in five."""
    sends = [
        (place, column) for place, column in enumerate(found.columns) if column.what == "sends"
    ]
    strata = found.strata
    if not sends:
        return "too few messages to see anything"
    place, column = max(sends, key=lambda pair: float(pair[1].raw.sum()))
    normal = NormalDist()
    needed = normal.inv_cdf(1 - found.alpha / (2 * len(found.columns))) + normal.inv_cdf(_POWER)
    n, c = strata.sizes.astype(np.float64), strata.canaries.astype(np.float64)
    shift = needed * float(found.test.deviation[place]) / float((c * (n - c) / n).sum())
    usual = float(np.median(column.raw[column.raw > 0])) if column.raw.any() else 1.0
    ratio = expm1(log1p(usual) + shift) / usual
    edge = edge_in_words(column.edge) if column.edge else ""
    return (
        f"with {strata.tasks_canary} canary and {strata.tasks_baseline} baseline tasks a change "
        f"by x{ratio:.2g} on {edge}, the most used edge, would mostly be seen"
    )


def _whole_only(strata: Strata, whole: npt.NDArray[np.intp]) -> Strata:
    """Let the strata of a selection speak of the rows that were selected from."""
    strata.rows = whole[strata.rows]
    return strata


def _gaps(partial: Marks, canary: Marks) -> str:
    """Say why missing telemetry forbids a comparison; empty when it does not."""
    for arm, words in ((canary, "canary"), (~canary, "baseline")):
        tasks = int(arm.sum())
        lost = int((partial & arm).sum())
        if lost > max(1.0, MOST_PARTIAL * tasks):
            return f"telemetry of {lost} of {tasks} {words} tasks has gaps: more than 2 %"
    on_canary, on_baseline = int((partial & canary).sum()), int((partial & ~canary).sum())
    tasks, others = int(canary.sum()), int((~canary).sum())
    more = fisher(on_canary, tasks, on_baseline, others)
    fewer = fisher(on_baseline, others, on_canary, tasks)
    if 2 * min(more, fewer) < UNEVEN_LOSS:
        return (
            f"telemetry has gaps in {on_canary} canary and {on_baseline} baseline tasks: "
            "more in one arm than chance gives"
        )
    return ""
