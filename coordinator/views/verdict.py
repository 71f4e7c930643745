"""A verdict as people and programs read it."""

from __future__ import annotations

from rolewise.coordinator.judge.verdict import HardFact, Ruling, Verdict
from rolewise.coordinator.views.base import Figure, View


class FactView(View):
    """Something that was seen, beside the signals: it rolls back at once, or pauses."""

    kind: str
    """`deadlock`, `crash_loop`, `flood`, `pattern` or `interference`."""
    sentence: str
    details: tuple[str, ...]
    """Lines that show it, such as the cycle, one wait a line."""


class SignalView(View):
    """One signal's figures. Shares are between 0 and 1, latencies in seconds."""

    name: str
    ruling: Ruling
    required: bool
    """Promotion needs it to be safe."""
    baseline: Figure
    canary: Figure
    difference: Figure
    """Canary minus baseline; relative for a latency; to the limit for an absolute signal."""
    interval: tuple[Figure, Figure] | None
    """Where the difference surely is, whenever one looks; null on one side: no bound yet."""
    limit: Figure
    """What is tolerated."""
    e_harm: Figure
    """Evidence of harm; `harm_at` of it is enough."""
    harm_at: Figure
    e_safe: Figure
    """Evidence of being no worse than tolerated; `safe_at` of it is enough."""
    safe_at: Figure
    tasks_baseline: int
    tasks_canary: int
    tasks_needed: int | None
    """Of both arms, until it is safe, as it looks now; null if that cannot be said."""
    left_out: dict[str, int]
    """Why and how many tasks of the trial did not count here."""
    examples_baseline: tuple[str, ...]
    """Ids of the newest bad tasks of the baseline."""
    examples_canary: tuple[str, ...]
    metric: str
    """What is measured."""
    sentence: str
    """All of it in words."""


class VerdictView(View):
    """What the judge says, and why."""

    ruling: Ruling
    reason: str
    tasks_baseline: int
    tasks_canary: int
    signals: tuple[SignalView, ...]
    facts: tuple[FactView, ...]
    examples: tuple[str, ...]
    """Ids of a few tasks that show it, canary first."""
    named: tuple[str, ...]
    """Where a signal is harm: all that are shown to be worse."""
    watermark: int
    """Number of the last task up to which all have ended and were looked at."""
    left_out: dict[str, int]
    """Why and how many tasks did not count at all."""


def view_verdict(verdict: Verdict) -> VerdictView:
    """Return the judge's word with its figures."""
    return VerdictView(
        ruling=verdict.ruling,
        reason=verdict.reason,
        tasks_baseline=verdict.tasks_baseline,
        tasks_canary=verdict.tasks_canary,
        signals=tuple(
            SignalView(
                name=signal.name,
                ruling=signal.ruling,
                required=signal.required,
                baseline=signal.baseline,
                canary=signal.canary,
                difference=signal.difference,
                interval=signal.interval,
                limit=signal.limit,
                e_harm=signal.e_harm,
                harm_at=signal.harm_at,
                e_safe=signal.e_safe,
                safe_at=signal.safe_at,
                tasks_baseline=signal.tasks_baseline,
                tasks_canary=signal.tasks_canary,
                tasks_needed=signal.tasks_needed,
                left_out=dict(signal.left_out),
                examples_baseline=signal.examples_baseline,
                examples_canary=signal.examples_canary,
                metric=signal.metric,
                sentence=signal.sentence,
            )
            for signal in verdict.signals
        ),
        facts=tuple(view_fact(fact) for fact in verdict.facts),
        examples=verdict.examples,
        named=verdict.named,
        watermark=verdict.watermark,
        left_out=dict(verdict.left_out),
    )


def view_fact(fact: HardFact) -> FactView:
    """Return a fact with the lines that show it."""
    return FactView(kind=fact.kind, sentence=fact.sentence, details=fact.details)
