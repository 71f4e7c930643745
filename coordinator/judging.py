"""Keeps the judge of the trial that runs: begins it, feeds it, carries it over a restart.

It also has the tasks scored that the trial's signals want scored.

What the judge has counted is kept in the store from time to time. A controller that comes after a
crash goes on from there, and reads again only what ended since; so evidence outlives the accounts
of the tasks that it came from.

A new attempt at the same rollout has new cohorts but the same build, so its evidence goes on: who
resets it at every attempt gets as many chances of a false verdict as attempts. Only when the last
attempt ended in proven harm, and somebody said `retry` all the same, does it begin anew, each time
with half the chance of a false rollback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.rollout.state import Rollout, Trial
from rolewise.coordinator.scoring import Scoring
from rolewise.coordinator.store.port import Lease, Store
from rolewise.fleet.runtime import Observation, Runtime
from rolewise.fleet.scoring import Aside
from rolewise.fleet.task import TaskRecord

SAVE_S = 5.0
"""Time between two savings of what the judge has counted."""

NO_ORPHANS: Mapping[str, int] = {}

HARM_RETRIED = 0.5
"""What is left of alpha each time that a build proven harmful is tried again."""


class Judging:
    """The judge of one fleet's running trial.

    Args:
        store: Keeps what the judge has counted, as long as `lease` is the latest.
        runtime: The fleet.
        aside: How scorers that are not async are called; see `Scoring`.
    """

    def __init__(self, store: Store, runtime: Runtime, *, aside: Aside | None = None) -> None:
        self._store = store
        self._runtime = runtime
        self._scoring = Scoring(runtime, aside=aside)
        self._trial: Trial | None = None
        self._key = ""
        self._harms = 0
        self._passed = 0
        self._saved_at = float("-inf")
        self.lease: Lease | None = None
        """Under which it saves; set by whoever leads."""
        self.judge: Judge | None = None
        """None while no trial runs."""

    async def meet(self, state: Rollout) -> bool:
        """Have a judge for the trial that the state is in; return whether it is another one."""
        if state.trial == self._trial:
            return False
        await self.forget()
        trial, stage = state.trial, state.current_stage
        if trial is not None and stage is not None:
            self._key = f"judge/{state.id}/{trial.role}"
            self.judge = await self._begin(trial, stage.analysis)
            self._trial = trial
            self._scoring.begin(stage.analysis.signals, salt=trial.salt)
        return True

    async def observe(self, orphans: Mapping[str, int] = NO_ORPHANS) -> Observation:
        """Feed the judge with all that is new, and return all that was read.

        Args:
            orphans: Task -> waits in it for replies that could no longer come: only whoever
                looks at waits knows them.
        """
        assert self.judge is not None  # noqa: S101 (its caller has met a trial)
        tasks: list[TaskRecord] = []
        while True:
            before = self.judge.last_number
            observation = await self._runtime.observe(before)
            if 0 < observation.counts.submitted < before:
                # The fleet's accounts began anew, from 1: what was counted stays counted.
                self.judge.pass_over(0)
                continue
            read = [
                replace(one, orphans=orphans[one.task]) if one.task in orphans else one
                for one in observation.tasks
            ]
            self.judge.feed(read, now_s=observation.now_s)
            self._scoring.offer(read)
            tasks += read
            self._passed = self.judge.last_number
            if self._passed == before or self._passed < read[-1].number:
                break
        if observation.now_s - self._saved_at >= SAVE_S:
            self._saved_at = observation.now_s
            await self.save()
        return replace(observation, tasks=tuple(tasks))

    async def save(self) -> None:
        """Keep what the judge has counted.

        Raises:
            LeaseLost: Somebody else leads, and counts on from what was kept before.
        """
        if self.judge is not None:
            kept = {"harms": self._harms, "state": self.judge.to_json()}
            value = json.dumps(kept, separators=(",", ":")).encode()
            await self._store.put(self._key, value, lease=self.lease)

    async def forget(self) -> None:
        """Let go of the trial."""
        # Tasks that were passed were drawn before the next trial begins: they have no part in it.
        self._trial, self.judge, self._harms = None, None, 0
        await self._scoring.end()

    async def _begin(self, trial: Trial, analysis: Analysis) -> Judge:
        kept = await self._store.get(self._key)
        if kept is not None:
            stored = json.loads(kept)
            self._harms = stored["harms"]
            sharper = _sharpen(analysis, self._harms)
            is_same = stored["state"]["salt"] == trial.salt
            try:
                judge = Judge.from_json(stored["state"], analysis=sharper, salt=trial.salt)
            except ValueError:
                return self._anew(trial, sharper)
            if is_same:
                return judge
            if judge.verdict().ruling is not Ruling.HARM:
                judge.pass_over(self._passed)
                return judge
            self._harms += 1
        return self._anew(trial, _sharpen(analysis, self._harms))

    def _anew(self, trial: Trial, analysis: Analysis) -> Judge:
        judge = Judge(analysis, role=trial.role, salt=trial.salt)
        judge.pass_over(self._passed)
        return judge


def _sharpen(analysis: Analysis, harms: int) -> Analysis:
    return replace(analysis, alpha=analysis.alpha * HARM_RETRIED**harms)
