"""Compares how canary and baseline tasks talk, while a trial runs; see `rolewise.graphs.patterns`.

It remembers which tasks have ended in which arm, and looks when there are twice as many of the
canary's as at the last look: 25, 50, 100. A look may give a false alarm with a part of a chance
that sums to 1 % over all looks of a stage. A controller that comes after a crash begins to count
anew, so each costs at most that chance once more.

Each look also asks whether the comparison can be believed: whether baseline tasks fare worse than
tasks did before the trial because canary tasks crowd what both share.

A look may take seconds, so it runs beside the controller, which must not miss its lease; what it
found counts from the pass after its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.patterns import interference_facts, pattern_facts
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.runtime import Runtime
from rolewise.fleet.scoring import Aside, InThreads
from rolewise.fleet.task import Outcome, TaskRecord, task_key
from rolewise.graphs.expectations import Expectations
from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns import (
    Interference,
    PatternReport,
    alpha_at,
    find_interference,
    look,
    look_due,
)
from rolewise.graphs.task_rows import Marks, TaskRows, select

log = logging.getLogger(__name__)

TASKS_KEPT = 50_000
BEFORE_KEPT = 1000
"""Tasks from before the trial, the latest: what was usual an hour ago need not be so now."""
_FULL_WEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """One task: its arm, what it may be compared with, and whether it loops.

    One from before the trial has no arm and no stratum.
    """

    canary: bool
    stratum: tuple[float, int]
    flagged: bool


@dataclass(frozen=True, slots=True)
class _Looked:
    """What one look has found."""

    report: PatternReport
    interference: tuple[Interference, ...]


class PatternWatch:
    """The looks of one fleet.

    Args:
        runtime: The fleet.
        aside: How a look is called.

    Attributes:
        report: What the last look said; None before the first.
        interference: Where it found that the baseline suffers too.
        facts: What follows from both.
    """

    def __init__(self, runtime: Runtime, *, aside: Aside | None = None) -> None:
        self._runtime = runtime
        self._aside = aside or InThreads()
        self._ended: dict[int, _Ended] = {}
        self._canary = 0
        self._looks = 0
        self._before: dict[int, None] = {}
        self._first = inf
        self._looking: asyncio.Task[_Looked] | None = None
        self.report: PatternReport | None = None
        self.interference: tuple[Interference, ...] = ()
        self.facts: tuple[HardFact, ...] = ()

    @property
    def alerts(self) -> tuple[str, ...]:
        """What is different, one sentence each, for status pages."""
        if self.report is None:
            return ()
        return (
            *(f"interference: {one.sentence}" for one in self.interference),
            *(f"pattern: {one.sentence}" for one in self.report.findings if one.is_alarm),
        )

    def forget(self) -> None:
        """Begin anew: another trial, or none."""
        if self._looking is not None:
            self._looking.cancel()
        self._ended, self._canary, self._looks, self._looking = {}, 0, 0, None
        self._before, self._first = {}, inf
        self.report, self.interference, self.facts = None, (), ()

    async def look(self, trial: Trial, analysis: Analysis, tasks: Sequence[TaskRecord]) -> None:
        """Take in tasks that have ended, and compare the arms if it is time to.

        Args:
            trial: Who is on trial.
            analysis: What is expected of edges, and what follows from differences.
            tasks: Accounts as they were read now; those that come again count once.
        """
        reactions = analysis.on_pattern_harm, analysis.on_pattern_different
        if {*reactions, analysis.on_interference} == {"hold"}:
            return
        self._take(trial, tasks)
        due = look_due(self._canary)
        if self._looking is None and due is not None and due >= self._looks:
            self._looks = due + 1
            looking = self._compare(trial, analysis, due)
            self._looking = asyncio.get_running_loop().create_task(looking)
            await asyncio.sleep(0)
        if self._looking is None or not self._looking.done():
            return
        looked, self._looking = self._looking, None
        if error := looked.exception():
            log.warning("patterns of %s cannot be compared now: %s", trial.version, error)
            return
        result = looked.result()
        self.report, self.interference = result.report, result.interference
        self.facts = pattern_facts(
            self.report,
            harm=analysis.on_pattern_harm,
            different=analysis.on_pattern_different,
        ) + interference_facts(self.interference, reaction=analysis.on_interference)

    async def _compare(self, trial: Trial, analysis: Analysis, number: int) -> _Looked:
        rows = await self._runtime.task_rows()
        ended, before = dict(self._ended), dict(self._before)
        seed = int.from_bytes(hashlib.blake2b(trial.salt.encode(), digest_size=8).digest())

        def compare() -> _Looked:
            return _Looked(
                _compare(select(rows, _among(rows, ended)), ended, analysis, number, seed),
                _find_interference(rows, ended, before, number, seed),
            )

        looked: _Looked = await self._aside(compare)
        return looked

    def _take(self, trial: Trial, tasks: Sequence[TaskRecord]) -> None:
        for record in tasks:
            draw = next(
                (
                    one
                    for one in record.assignments
                    if one.role == trial.role and one.salt == trial.salt and not one.unit
                ),
                None,
            )
            if record.outcome is Outcome.RUNNING:
                continue
            key = task_key(record.task)
            if draw is None or draw.arm is Arm.NONE:
                self._take_before(key, record)
                continue
            self._first = min(self._first, record.number)
            if key in self._ended or not 0.0 < draw.weight < _FULL_WEIGHT:
                continue
            canary = draw.arm is Arm.CANARY
            stratum = draw.weight, self._looks
            self._ended[key] = _Ended(canary, stratum, bool(record.flags))
            self._canary += canary
        while len(self._ended) > TASKS_KEPT:
            del self._ended[next(iter(self._ended))]

    def _take_before(self, key: int, record: TaskRecord) -> None:
        """Remember a task that met stable versions only, if the trial had not begun."""
        settled = all(draw.weight >= _FULL_WEIGHT for draw in record.assignments)
        if settled and record.number < self._first:
            self._before[key] = None
            if len(self._before) > BEFORE_KEPT:
                del self._before[next(iter(self._before))]


def _among(rows: TaskRows, chosen: Container[int]) -> Marks:
    return np.fromiter((key in chosen for key in rows.task.tolist()), np.bool_, len(rows))


def _find_interference(
    rows: TaskRows, ended: dict[int, _Ended], before: dict[int, None], number: int, seed: int
) -> tuple[Interference, ...]:
    # What the canary does to others grows with its weight: earlier steps would dilute it.
    weight = max((one.stratum[0] for one in ended.values()), default=0.0)
    now = {key: one for key, one in ended.items() if one.stratum[0] == weight}
    return find_interference(
        rows,
        before=_among(rows, before),
        baseline=_among(rows, {key for key, one in now.items() if not one.canary}),
        canary=_among(rows, {key for key, one in now.items() if one.canary}),
        rng=np.random.default_rng([seed, number, 1]),
        alpha=alpha_at(number),
    )


def _compare(
    rows: TaskRows, ended: dict[int, _Ended], analysis: Analysis, number: int, seed: int
) -> PatternReport:
    tasks = [ended[key] for key in rows.task.tolist()]
    strata = {
        stratum: place for place, stratum in enumerate(dict.fromkeys(t.stratum for t in tasks))
    }
    return look(
        rows,
        canary=np.array([task.canary for task in tasks], np.bool_),
        stratum=np.array([strata[task.stratum] for task in tasks], np.int32),
        flagged=np.array([task.flagged for task in tasks], np.bool_),
        rng=np.random.default_rng([seed, number]),
        number=number,
        expectations=Expectations(
            declared=analysis.declared_edges, forbidden=analysis.forbidden_edges
        ),
    )
