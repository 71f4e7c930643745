"""Compares how canary and baseline tasks talk, while a trial runs; see `rolewise.graphs.patterns`.

It remembers which tasks have ended in which arm, and looks when there are twice as many of the
canary's as at the last look: 25, 50, 100. A look may give a false alarm with a part of a chance
that sums to 1 % over all looks of a stage. A controller that comes after a crash begins to count
anew, so each costs at most that chance once more.

A look may take seconds, so it runs beside the controller, which must not miss its lease; what it
found counts from the pass after its end.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact
from rolewise.coordinator.patterns import pattern_facts
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.runtime import Runtime
from rolewise.fleet.scoring import Aside, InThreads
from rolewise.fleet.task import Outcome, TaskRecord, task_key
from rolewise.graphs.expectations import Expectations
from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns import PatternReport, look, look_due
from rolewise.graphs.task_rows import TaskRows, select

log = logging.getLogger(__name__)

TASKS_KEPT = 50_000
_FULL_WEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class _Ended:
    """One task of the trial: its arm, what it may be compared with, and whether it loops."""

    canary: bool
    stratum: tuple[float, int]
    flagged: bool


class PatternWatch:
    """The looks of one fleet.

    Args:
        runtime: The fleet.
        aside: How a look is called.

    Attributes:
        report: What the last look said; None before the first.
        facts: What follows from it.
    """

    def __init__(self, runtime: Runtime, *, aside: Aside | None = None) -> None:
        self._runtime = runtime
        self._aside = aside or InThreads()
        self._ended: dict[int, _Ended] = {}
        self._canary = 0
        self._looks = 0
        self._looking: asyncio.Task[PatternReport] | None = None
        self.report: PatternReport | None = None
        self.facts: tuple[HardFact, ...] = ()

    @property
    def alerts(self) -> tuple[str, ...]:
        """What is different, one sentence each, for status pages."""
        if self.report is None:
            return ()
        return tuple(f"pattern: {one.sentence}" for one in self.report.findings if one.is_alarm)

    def forget(self) -> None:
        """Begin anew: another trial, or none."""
        if self._looking is not None:
            self._looking.cancel()
        self._ended, self._canary, self._looks, self._looking = {}, 0, 0, None
        self.report, self.facts = None, ()

    async def look(self, trial: Trial, analysis: Analysis, tasks: Sequence[TaskRecord]) -> None:
        """Take in tasks that have ended, and compare the arms if it is time to.

        Args:
            trial: Who is on trial.
            analysis: What is expected of edges, and what follows from differences.
            tasks: Accounts as they were read now; those that come again count once.
        """
        if analysis.on_pattern_harm == analysis.on_pattern_different == "hold":
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
        self.report = looked.result()
        self.facts = pattern_facts(
            self.report,
            harm=analysis.on_pattern_harm,
            different=analysis.on_pattern_different,
        )

    async def _compare(self, trial: Trial, analysis: Analysis, number: int) -> PatternReport:
        rows = await self._runtime.task_rows()
        ended = dict(self._ended)
        known = np.fromiter((key in ended for key in rows.task.tolist()), np.bool_, len(rows))
        seed = int.from_bytes(hashlib.blake2b(trial.salt.encode(), digest_size=8).digest())
        chosen = select(rows, known)
        report: PatternReport = await self._aside(
            lambda: _compare(chosen, ended, analysis, number, seed)
        )
        return report

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
            if record.outcome is Outcome.RUNNING or draw is None or draw.arm is Arm.NONE:
                continue
            key = task_key(record.task)
            if key in self._ended or not 0.0 < draw.weight < _FULL_WEIGHT:
                continue
            canary = draw.arm is Arm.CANARY
            stratum = draw.weight, self._looks
            self._ended[key] = _Ended(canary, stratum, bool(record.flags))
            self._canary += canary
        while len(self._ended) > TASKS_KEPT:
            del self._ended[next(iter(self._ended))]


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
