"""How recordings are judged where nobody says otherwise."""

from __future__ import annotations

from rolewise.coordinator.judge.analysis import Analysis, Signal

RECORDED_TRACES = "recorded-traces"

TRACES = Analysis(
    alpha=0.05,
    beta=0.05,
    min_tasks=50,
    max_duration_s=0.0,
    signals=(
        Signal(name="completion", metric="task.completed", tolerate=0.05),
        Signal(name="tool-errors", metric="tool.error", tolerate=0.05),
        Signal(name="loops", metric="task.looping", tolerate=0.05, dry_run=True),
        Signal(name="latency-p50", metric="task.latency", quantile=0.5, tolerate=0.5, dry_run=True),
        Signal(name="tokens", metric="gen_ai.tokens", tolerate=0.25, dry_run=True),
        Signal(name="cost", metric="task.cost", tolerate=0.25, dry_run=True),
    ),
)
"""For two recorded versions with some ten to some hundred tasks a side.

Two signals decide, so that the little evidence there is need not be shared among many; one wrong
alarm in twenty is allowed instead of one in a hundred, since nobody is rolled back by it. A median
is compared, since a 95th percentile takes 200 tasks of the baseline before it compares anything.
Latency, tokens and cost are shown and do not decide: another model is expected to differ in them.
Nor do loops: a few tasks that go round in circles are too few for a share, and worth a look each.
"""
