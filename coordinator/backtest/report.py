"""What came of a backtest, as programs read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rolewise.coordinator.backtest.replay import Moment, Replay
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence, Verdict
from rolewise.coordinator.views.base import Figure, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the lines of a recording.

    Attributes:
        tasks: Tasks of both arms, counted or not.
        tried_again: Tasks with more than one attempt.
        changed_arm: Of them, those that the other arm finished.
        timed_out: Tasks that the deadline has ended.
        running: Tasks that never end.
        undrawn: Tasks with a weight of 0 or 100: no coin was thrown, so they compare nothing.
        changed: Ids that were left out, since each side means another task by it.
    """

    tasks: int
    tried_again: int = 0
    changed_arm: int = 0
    timed_out: int = 0
    running: int = 0
    undrawn: int = 0
    changed: tuple[str, ...] = field(default=())


class ArmsView(View):
    """A number of tasks of each arm."""

    baseline: int
    canary: int


class MomentView(View):
    """When a signal came to a word of its own."""

    tasks: int
    """Tasks of both arms that it had counted."""
    after_s: float
    """Since the start of the first task."""


class FirstView(View):
    """When a signal first said either, also behind the verdict; null: not by the end."""

    harm: MomentView | None
    safe: MomentView | None


class JudgedSignalView(View):
    """One signal's figures; see `SignalEvidence`. What is not known or has no bound is null."""

    name: str
    verdict: Ruling
    baseline: Figure
    canary: Figure
    difference: Figure
    interval: tuple[Figure, Figure] | None
    limit: Figure
    e_harm: Figure
    e_safe: Figure
    sentence: str
    harm_at: Figure
    safe_at: Figure
    required: bool
    tasks: ArmsView
    tasks_needed: int | None
    left_out: dict[str, int]
    first: FirstView


class EndView(View):
    """How all of the recording stands, as if nobody had acted on the verdict."""

    tasks: ArmsView
    signals: tuple[JudgedSignalView, ...]


class AccountView(View):
    """What became of the lines."""

    tasks: int
    counted: int
    held_back: int
    """Never counted, since a task before them never ends."""
    tried_again: int
    changed_arm: int
    timed_out: int
    running: int
    undrawn: int
    changed: tuple[str, ...]


class JudgementView(View):
    """The judge's word on a recording, and when it would have come."""

    verdict: Ruling
    decided_at: int | None
    """Tasks of both arms that were counted; null when nothing was decided by the end."""
    tasks: ArmsView
    signals: tuple[JudgedSignalView, ...]
    """As they stood when the verdict came."""
    reason: str
    decided_after_s: float | None
    examples: tuple[str, ...]
    end: EndView
    recording: AccountView
    alpha: float
    beta: float
    looks: int


def view_judgement(replay: Replay, account: Account) -> JudgementView:
    """Return the judge's word on a recording."""
    verdict, decided = replay.verdict, replay.decided
    return JudgementView(
        verdict=verdict.ruling,
        decided_at=None if decided is None else decided.tasks,
        tasks=_arms(verdict),
        signals=_signals(verdict, replay),
        reason=verdict.reason,
        decided_after_s=None if decided is None else decided.at_s - replay.began_s,
        examples=verdict.examples,
        end=EndView(tasks=_arms(replay.end), signals=_signals(replay.end, replay)),
        recording=AccountView(
            tasks=account.tasks,
            counted=account.tasks - replay.held_back,
            held_back=replay.held_back,
            tried_again=account.tried_again,
            changed_arm=account.changed_arm,
            timed_out=account.timed_out,
            running=account.running,
            undrawn=account.undrawn,
            changed=account.changed,
        ),
        alpha=replay.analysis.alpha,
        beta=replay.analysis.beta,
        looks=replay.looks,
    )


def _arms(verdict: Verdict) -> ArmsView:
    return ArmsView(baseline=verdict.tasks_baseline, canary=verdict.tasks_canary)


def _signals(verdict: Verdict, replay: Replay) -> tuple[JudgedSignalView, ...]:
    return tuple(_signal(one, replay.first[one.name], replay.began_s) for one in verdict.signals)


def _signal(
    evidence: SignalEvidence, first: Mapping[Ruling, Moment], began_s: float
) -> JudgedSignalView:
    return JudgedSignalView(
        name=evidence.name,
        verdict=evidence.ruling,
        baseline=evidence.baseline,
        canary=evidence.canary,
        difference=evidence.difference,
        interval=evidence.interval,
        limit=evidence.limit,
        e_harm=evidence.e_harm,
        e_safe=evidence.e_safe,
        sentence=evidence.sentence,
        harm_at=evidence.harm_at,
        safe_at=evidence.safe_at,
        required=evidence.required,
        tasks=ArmsView(baseline=evidence.tasks_baseline, canary=evidence.tasks_canary),
        tasks_needed=evidence.tasks_needed,
        left_out=dict(evidence.left_out),
        first=FirstView(
            harm=_moment(first.get(Ruling.HARM), began_s),
            safe=_moment(first.get(Ruling.SAFE), began_s),
        ),
    )


def _moment(moment: Moment | None, began_s: float) -> MomentView | None:
    if moment is None:
        return None
    return MomentView(tasks=moment.tasks, after_s=moment.at_s - began_s)
