"""Gives recorded tasks to the judge as a live fleet would, and notes when it comes to a word.

The clock of the recording is run from end to end of tasks. At each of them the judge gets what is
then known: it counts a task only when all that started before have ended, so that fast failures
are not counted before slow ones are known. Counting in order of arrival looks alike and is wrong:
two arms that fail equally often, one of them sooner, would be told apart.

How often it looks: after each of the first `LOOK_ALWAYS` tasks, then whenever their number has
grown by `LOOK_GROWTH`; while a task that hangs holds back the rest, whenever `WAIT_TASKS` more (and
`WAIT_GROWTH` of all) have ended behind it. The judge's evidence holds for any schedule; a coarser
one is late at most.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log

from rolewise.coordinator.backtest.recorded import (
    ROLE,
    SALT,
    Accounts,
    answerable,
    why_unanswered,
    without_figures,
)
from rolewise.coordinator.backtest.rows import Row
from rolewise.coordinator.judge.analysis import Analysis, harm_threshold, safe_threshold
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence, Verdict
from rolewise.fleet.task import TaskRecord

LOOK_ALWAYS = 1000
LOOK_GROWTH = 0.002
WAIT_TASKS, WAIT_GROWTH = 50, 0.05
ASK_AGAIN_GROWTH = 0.01
"""A verdict costs much more than a look; where the evidence is there but something else is missing
(canary tasks, say), it is asked for again when the tasks have grown by this."""

ENDS = (Ruling.HARM, Ruling.SAFE)
"""What a signal can come to, in the order of `Judge.levels`."""

FINAL = frozenset({Ruling.SAFE, Ruling.HARM, Ruling.UNSURE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something was known.

    Attributes:
        tasks: Tasks (or sessions, users) of both arms that were counted by then.
        at_s: On the recording's clock.
    """

    tasks: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What stood at one moment, for a curve.

    Attributes:
        levels: Signal -> logarithms of the evidence of harm and of safety.
        shown: Signal -> its evidence in full.
    """

    tasks: int
    levels: Mapping[str, tuple[float, float]]
    shown: Mapping[str, SignalEvidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the judge would have said of a recording.

    Attributes:
        analysis: As it was judged.
        verdict: The first word that ends a trial; without one, how things stand at the end.
        decided: When it came; None without one.
        end: How things stand when all tasks are counted, as if nobody had acted on the verdict.
        first: Signal -> when it first said `safe`, and when `harm`; also behind the verdict.
        held_back: Tasks that were never counted, since one before them never ends.
        looks: How often the judge looked.
        began_s: Start of the first task.
    """

    analysis: Analysis
    verdict: Verdict
    decided: Moment | None
    end: Verdict
    first: Mapping[str, Mapping[Ruling, Moment]]
    held_back: int
    looks: int
    began_s: float
    points: tuple[Point, ...] = ()


def replay(rows: Sequence[Row], analysis: Analysis, *, points: int = 0) -> Replay:
    """Judge a recording.

    Args:
        rows: Tasks in start order.
        analysis: Its budget of time does not apply: a recording has no steps.
        points: How many points of a curve to note; 0: none.
    """
    if any(row.unit for row in rows):
        analysis = replace(analysis, is_grouped=True)
    run = _Run(rows, analysis, points=points)
    run.go()
    end = run.verdict()
    return Replay(
        analysis=analysis,
        verdict=run.word or end,
        decided=run.decided,
        end=end,
        first=run.first,
        held_back=len(rows) - run.closed,
        looks=run.looks,
        began_s=rows[0].started_s if rows else 0.0,
        points=tuple(run.points),
    )


class _Run:
    """One pass over a recording."""

    def __init__(self, rows: Sequence[Row], analysis: Analysis, *, points: int) -> None:
        self.closed = 0
        self.looks = 0
        self.word: Verdict | None = None
        self.decided: Moment | None = None
        self.first: dict[str, dict[Ruling, Moment]] = {
            signal.name: {} for signal in analysis.signals
        }
        self.points: list[Point] = []
        self._rows = rows
        self._accounts = Accounts(rows)
        self._batch: list[TaskRecord] = []
        self._whole = analysis
        self._unanswered = why_unanswered(analysis, rows)
        self._analysis = answerable(analysis, self._unanswered)
        self._judge = Judge(self._analysis, role=ROLE, salt=SALT)
        self._enough = [
            (log(harm_threshold(self._analysis, signal)), log(safe_threshold(analysis, "full")))
            for signal in self._analysis.signals
        ]
        self._look_at = 1
        self._ask_at = 0
        self._every = len(rows) / points if points else inf
        self._point_at = 0.0 if points else inf
        self._settles = any(one.metric == "task.latency" for one in analysis.signals)

    def go(self) -> None:
        """Run the clock from one end of a task to the next."""
        rows = self._rows
        starts = [row.started_s for row in rows]
        has_ended = bytearray(len(rows))
        looked_ahead = 0
        order = sorted(
            (one for one in range(len(rows)) if rows[one].ended_s < inf),
            key=lambda one: rows[one].ended_s,
        )
        for ended, index in enumerate(order, start=1):
            at_s = rows[index].ended_s
            has_ended[index] = True
            while self.closed < len(rows) and has_ended[self.closed]:
                self._count(at_s)
            if self._settles and ended - max(self.closed, looked_ahead) >= _wait(ended):
                looked_ahead = ended
                self._look_ahead(has_ended, bisect_right(starts, at_s), at_s)
        self._feed()
        if self._settles and self.closed < len(rows):
            last_s = max(starts[-1], rows[order[-1]].ended_s if order else starts[-1])
            self._look_ahead(has_ended, len(rows), last_s)

    def verdict(self) -> Verdict:
        """Return the judge's word as things stand, with the signals that it was not given."""
        verdict = self._judge.verdict()
        given = {one.name: one for one in verdict.signals}
        shown = [
            given.get(one.name) or without_figures(one, self._unanswered[one.name])
            for one in self._whole.signals
        ]
        verdict = replace(verdict, signals=tuple(shown))
        if not given:
            reason = "no data: the recording answers no signal of the analysis"
            return replace(verdict, ruling=Ruling.NO_DATA, reason=reason)
        barred = next((one.name for one in shown if one.required and one.name not in given), "")
        if verdict.ruling is not Ruling.SAFE or not barred:
            return verdict
        reason = f"{barred} is required and was not recorded; all others are safe"
        return replace(verdict, ruling=Ruling.CONTINUE, reason=reason)

    def _count(self, at_s: float) -> None:
        """Count the next task; several are given together while nobody looks between them."""
        self._batch.append(self._accounts.final(self.closed))
        self.closed += 1
        if self.closed >= self._look_at:
            self._look_at = self.closed + 1
            if self.closed > LOOK_ALWAYS:
                self._look_at = max(self._look_at, int(self.closed * (1.0 + LOOK_GROWTH)))
            self._feed()
            self._look(at_s)
        if self.closed >= self._point_at or self.closed == len(self._rows):
            self._feed()
            self._note_point()

    def _feed(self) -> None:
        self._judge.feed(self._batch)
        self._batch = []

    def _look_ahead(self, has_ended: Sequence[int], started: int, at_s: float) -> None:
        """Let signals that know a hung task to be late go on before it ends."""
        self._feed()
        window = [
            self._accounts.final(one) if has_ended[one] else self._accounts.running(one)
            for one in range(self.closed, started)
        ]
        self._judge.feed(window, now_s=at_s)
        self._look(at_s)

    def _look(self, at_s: float) -> None:
        self.looks += 1
        levels = self._judge.levels()
        crossed = [
            (signal.name, ruling)
            for signal, level, enough in zip(
                self._analysis.signals, levels, self._enough, strict=True
            )
            for ruling, have, need in zip(ENDS, level, enough, strict=True)
            if have >= need and ruling not in self.first[signal.name]
        ]
        asks = bool(crossed) or (self.word is None and self._judge.may_decide(levels=levels))
        if not asks or self.closed < self._ask_at:
            return
        verdict = self.verdict()
        is_news = self.word is None and verdict.ruling in FINAL
        if is_news:
            self.word = verdict
            tasks = verdict.tasks_baseline + verdict.tasks_canary
            self.decided = Moment(tasks=tasks, at_s=at_s)
            if self._every < inf:
                self._note_point()
        for one in verdict.signals:
            if (one.name, one.ruling) in crossed:
                is_news = True
                tasks = one.tasks_baseline + one.tasks_canary
                self.first[one.name][one.ruling] = Moment(tasks=tasks, at_s=at_s)
        if not is_news:
            self._ask_at = max(self.closed + 1, int(self.closed * (1.0 + ASK_AGAIN_GROWTH)))

    def _note_point(self) -> None:
        """Note what stands for the curves."""
        names = [signal.name for signal in self._analysis.signals]
        levels = dict(zip(names, self._judge.levels(), strict=True))
        verdict = self._judge.verdict()
        shown = {one.name: one for one in verdict.signals}
        tasks = verdict.tasks_baseline + verdict.tasks_canary
        self.points.append(Point(tasks=tasks, levels=levels, shown=shown))
        self._point_at = max(self._point_at + self._every, self.closed + 1)


def _wait(ended: int) -> float:
    """Return how many tasks end behind one that runs before it is worth to look past it."""
    return max(WAIT_TASKS, WAIT_GROWTH * ended)
