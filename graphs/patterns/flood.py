"""Floods, seen within seconds: far more messages on an edge than its past explains.

Like MIDAS, but on exact counts, and per task in flight instead of per second, so that more
traffic is no flood, and a canary whose weight rises is none either.

That there is a flood is said by the edge's own past. Whose it is, only the other arm can say: its
tasks are alike and live at the same time. So a flood is the canary's own when its tasks flood,
those of the baseline do not, and chance would not split them so.

References:
    S. Bhatia, B. Hooi, M. Yoon, K. Shin, C. Faloutsos, "MIDAS: Microcluster-Based Detector of
    Anomalies in Edge Streams", AAAI 2020. https://doi.org/10.1609/aaai.v34i04.5724
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import comb
from typing import Final

from rolewise.graphs.interactions import Arm
from rolewise.graphs.patterns.columns import edge_in_words
from rolewise.graphs.patterns.report import PatternFinding
from rolewise.graphs.pulse import Beat, Edge, EdgeArm, Sent

CHI_SQUARE: Final = 23.93
"""One degree of freedom, one in a million."""
LEAST_TIMES: Final = 5.0
OWN_TIMES: Final = 15.0
"""A task that goes round in circles sends some times as much too; flags tell that, by its name."""
TICKS_RUNNING: Final = 3
KNOWN_AFTER: Final = 5
"""Ticks with traffic on the edge before its past says anything,"""
KNOWN_FROM: Final = 30
"""and tasks that sent there, counted in each tick."""
LEAST_TASKS: Final = 3
"""One task, or two, that send very much are for the guard that ends tasks."""
PATIENCE: Final = 2 * TICKS_RUNNING
"""Ticks after which a flood in canary tasks alone that is not shown to be theirs pauses."""
SPLIT_P: Final = 0.01
"""Chance of so uneven a split of the flooding tasks, below which the flood is the canary's own."""

QUIET_S: Final = 10
"""A run ends when no task of its arm was seen for so long."""

_NOTHING = Sent(messages=0)


@dataclass(slots=True)
class _Past:
    """What an edge did with stable versions: messages, task-ticks, ticks with traffic.

    `users` counts a task in each tick in which it sent here, `exposure` in each in which it lives.
    """

    messages: float = 0.0
    exposure: float = 0.0
    ticks: int = 0
    users: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether it says what is usual."""
        return self.ticks >= KNOWN_AFTER and self.users >= KNOWN_FROM and self.exposure > 0


@dataclass(slots=True)
class _Run:
    """A flood so far: its ticks with tasks of its arm, the last of them, and who is in it.

    Attributes:
        flooding: Keys of the tasks of each arm that flood the edge.
        lived: Task-ticks of each arm.
    """

    ticks: int = 0
    at: int = 0
    flooding: dict[Arm, set[int]] = field(default_factory=lambda: {arm: set() for arm in Arm})
    lived: dict[Arm, int] = field(default_factory=lambda: dict.fromkeys(Arm, 0))

    @property
    def split(self) -> Split:
        """Whose tasks flood."""
        canary, baseline = (self.lived[arm] for arm in (Arm.CANARY, Arm.BASELINE))
        return Split(
            canary=len(self.flooding[Arm.CANARY]),
            baseline=len(self.flooding[Arm.BASELINE]),
            share=canary / (canary + baseline) if canary + baseline else 1.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Whose tasks flood, since the flood began; each task counts once.

    Attributes:
        canary: Tasks of the canary that flood.
        baseline: Tasks of the baseline that flood.
        share: The canary's part of all tasks in flight meanwhile.
    """

    canary: int = 0
    baseline: int = 0
    share: float = 1.0

    @property
    def p(self) -> float:
        """Chance that so many or more of them are the canary's, if the arms are alike."""
        tasks = self.canary + self.baseline
        return min(
            1.0,
            sum(
                comb(tasks, k) * self.share**k * (1.0 - self.share) ** (tasks - k)
                for k in range(self.canary, tasks + 1)
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """One flood.

    Attributes:
        messages: In the last tick.
        tasks: Of the arm, in flight in the last tick.
        usual: What the past makes expect of a tick with so many tasks.
        ticks: How long it lasts.
        other: Messages of the other arm of the trial in the last tick, for each of its tasks;
            None without such tasks.
        flooding: Tasks of the arm that flood, since it began.
        split: See there.
        is_in_both: The baseline floods the edge as well.
        is_own: It is the canary's: see the module.
    """

    edge: Edge
    arm: Arm
    messages: int
    usual: float
    ticks: int
    tasks: int = 0
    other: float | None = None
    flooding: int = 0
    split: Split = Split()
    is_in_both: bool = False
    is_own: bool = False

    @property
    def is_common(self) -> bool:
        """Whether more than a task or two flood."""
        return self.flooding >= LEAST_TASKS

    @property
    def is_open(self) -> bool:
        """Whether the next seconds may still show that it is the canary's own."""
        return (
            self.arm is Arm.CANARY
            and not (self.is_own or self.is_in_both)
            and self.ticks < PATIENCE
        )

    @property
    def sentence(self) -> str:
        """Who floods whom, in figures."""
        times = self.messages / self.usual if self.usual else float("inf")
        arm = "" if self.arm is Arm.NONE else f" of {self.arm.name.lower()} tasks"
        each, other = self.messages / max(self.tasks, 1), ""
        if self.other is not None:
            others = Arm.BASELINE if self.arm is Arm.CANARY else Arm.CANARY
            other = f"; {each:.1f} each, {others.name.lower()} tasks {self.other:.2f}"
        return (
            f"flood on {edge_in_words(self.edge)}{arm}: {self.messages} messages in a second, "
            f"{times:.0f} times what so many tasks usually send, for {self.ticks} s{other}"
        )

    @property
    def details(self) -> tuple[str, ...]:
        """What it rests on: rates of both arms and of the past, and whose tasks flood."""
        each = self.messages / max(self.tasks, 1)
        usual = self.usual / max(self.tasks, 1)
        arm = "tasks" if self.arm is Arm.NONE else f"{self.arm.name.lower()} tasks"
        others = {Arm.CANARY: "baseline tasks", Arm.BASELINE: "canary tasks"}.get(self.arm, "")
        rate = "are not there" if self.other is None else f"{self.other:.2f}"
        rates = f"{arm} send {each:.1f} messages a second each{others and f', {others} {rate}'}"
        split = self.split
        whose = "the canary's own" if self.is_own else "not the canary's beyond doubt"
        tasks = (
            f"{split.canary} canary and {split.baseline} baseline tasks flood, while "
            f"{split.share:.0%} of both were the canary's (p {split.p:.2g}): {whose}"
        )
        return f"{edge_in_words(self.edge)}: {rates}; usual is {usual:.2f}", tasks

    @property
    def finding(self) -> PatternFinding:
        """The flood as a finding: harm where it is the canary's own."""
        return PatternFinding(
            family="flood",
            what=f"flood {edge_in_words(self.edge)}",
            direction="harm" if self.is_own else "neutral",
            sentence=self.sentence,
            p=1e-6,
            alpha=1e-6,
            effect=self.messages / max(self.usual, 1e-9),
            baseline=self.usual,
            canary=float(self.messages),
            role=self.edge[0],
        )


class FloodGuard:
    """Watches all edges; give it each second in which anything was sent."""

    def __init__(self) -> None:
        self._past: dict[Edge, _Past] = {}
        self._running: dict[EdgeArm, _Run] = {}

    def tick(self, beat: Beat) -> tuple[Flood, ...]:
        """Take one second; return the floods that go on."""
        self._count_on(beat)
        floods = tuple(
            self._flood(where, run, beat)
            for where, run in sorted(self._running.items(), key=lambda item: item[0])
            if run.at == beat.at and run.ticks >= TICKS_RUNNING and run.flooding[where.arm]
        )
        self._learn(beat)
        return floods

    def _count_on(self, beat: Beat) -> None:
        """Count for how long each edge floods, and which tasks do it."""
        # A tick in which no task of the arm is in flight says nothing: it ends no run.
        running = {
            where: run
            for where, run in self._running.items()
            if where.arm not in beat.tasks and beat.at - run.at <= QUIET_S
        }
        for where, sent in beat.sent.items():
            past = self._past.get(where.edge)
            tasks = beat.tasks.get(where.arm, 0)
            if past is None or not past.is_known or tasks <= 0:
                continue
            usual = past.messages / past.exposure * tasks
            if (
                sent.messages >= LEAST_TIMES * usual
                and _surprise(sent.messages, tasks, past) >= CHI_SQUARE
            ):
                run = running[where] = self._running.get(where) or _Run()
                run.ticks, run.at = run.ticks + 1, beat.at
                for arm in Arm:
                    here = beat.sent.get(EdgeArm(where.edge, arm), _NOTHING)
                    run.flooding[arm] |= here.tasks_from(LEAST_TIMES * past.messages / past.users)
                    run.lived[arm] += beat.tasks.get(arm, 0)
        self._running = running

    def _flood(self, where: EdgeArm, run: _Run, beat: Beat) -> Flood:
        past, tasks = self._past[where.edge], beat.tasks[where.arm]
        opposite = {Arm.CANARY: Arm.BASELINE, Arm.BASELINE: Arm.CANARY}.get(where.arm)
        others = 0 if opposite is None else beat.tasks.get(opposite, 0)
        their = beat.sent.get(EdgeArm(where.edge, opposite or Arm.NONE), _NOTHING)
        theirs = self._running.get(EdgeArm(where.edge, Arm.BASELINE))
        is_theirs_too = theirs is not None and theirs.ticks >= TICKS_RUNNING
        sent, usual = beat.sent[where], past.messages / past.exposure * tasks
        return Flood(
            edge=where.edge,
            arm=where.arm,
            messages=sent.messages,
            tasks=tasks,
            usual=usual,
            ticks=run.ticks,
            other=their.messages / others if others else None,
            flooding=len(run.flooding[where.arm]),
            split=run.split,
            is_in_both=where.arm is Arm.CANARY and is_theirs_too,
            is_own=(
                where.arm is Arm.CANARY
                and not is_theirs_too
                and sent.messages >= OWN_TIMES * usual
                and run.split.p < SPLIT_P
            ),
        )

    def _learn(self, beat: Beat) -> None:
        """Let the tasks of stable versions say what is usual; a flood must not become it."""
        suspects = {where.edge for where in self._running if where.arm is not Arm.CANARY}
        arms = [arm for arm in beat.tasks if arm is not Arm.CANARY]
        exposure = sum(beat.tasks[arm] for arm in arms)
        seen = {where.edge for where in beat.sent if where.arm is not Arm.CANARY}
        for edge in (seen | self._past.keys()) - suspects:
            past = self._past.setdefault(edge, _Past())
            here = [beat.sent.get(EdgeArm(edge, arm), _NOTHING) for arm in arms]
            messages = sum(sent.messages for sent in here)
            past.messages += messages
            past.users += sum(sent.tasks for sent in here)
            past.exposure += exposure
            past.ticks += messages > 0


def _surprise(messages: int, exposure: float, past: _Past) -> float:
    """Return MIDAS's chi-square of this tick against all, with tasks in place of time."""
    total, whole = messages + past.messages, exposure + past.exposure
    if total == 0 or exposure >= whole:
        return 0.0
    excess = messages - total * exposure / whole
    return excess**2 * whole**2 / (total * exposure * (whole - exposure))
