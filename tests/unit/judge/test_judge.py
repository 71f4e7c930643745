"""Verdicts: what decides, in which order, in which words, and that reading changes nothing."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import HardFact, Ruling
from rolewise.fleet.task import Outcome, TaskRecord
from tests.unit.judge.records import ROLE, SALT, a_record, some_records

COMPLETION = Signal(name="completion", metric="task.completed", tolerate=0.05)
TOOLS = Signal(name="tool-errors", metric="tool.error", tolerate=0.05)
P50 = Signal(name="p50", metric="task.latency", tolerate=0.25, quantile=0.5)
ANALYSIS = Analysis(signals=(COMPLETION, TOOLS, P50))
CYCLE = HardFact(kind="deadlock", sentence="negotiator@v3 and supplier@v1 wait for each other")


def a_judge(records=(), analysis=ANALYSIS):
    judge = Judge(analysis, role=ROLE, salt=SALT)
    judge.feed(list(records))
    return judge


def by_name(verdict):
    return {one.name: one for one in verdict.signals}


def test_a_drop_in_completion_is_harm_with_its_figures():
    verdict = a_judge(some_records(1000, completes=(0.93, 0.75))).verdict()
    assert verdict.ruling is Ruling.HARM
    evidence = by_name(verdict)["completion"]
    assert evidence.e_harm >= evidence.harm_at
    assert evidence.canary == pytest.approx(0.75, abs=0.05)
    assert evidence.difference == pytest.approx(evidence.canary - evidence.baseline)
    low, high = evidence.interval
    assert low <= evidence.difference <= high < 0.0
    assert verdict.reason == (
        f"harm: completion {100 * evidence.canary:.1f} % against {100 * evidence.baseline:.1f} %"
        f" of {evidence.tasks_canary} | {evidence.tasks_baseline} tasks (canary | baseline),"
        f" difference {100 * evidence.difference:+.1f} points"
        f" [{100 * low:+.1f}, {100 * high:+.1f}], limit -5 points"
    )
    assert evidence.sentence.endswith("limit -5 points: harm")
    assert len(verdict.examples) == 5


def test_examples_are_bad_tasks_of_the_signal_that_decided():
    records = list(some_records(1000, completes=(0.93, 0.75)))
    bad = {one.task for one in records if one.outcome is Outcome.FAILED}
    verdict = a_judge(records).verdict()
    assert set(verdict.examples) <= bad


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"errs": (0.04, 0.25)}, "tool-errors"), ({"slow": (1.0, 1.8)}, "p50")],
)
def test_each_signal_can_roll_back_alone(changes, name):
    verdict = a_judge(some_records(1500, **changes)).verdict()
    assert verdict.ruling is Ruling.HARM
    assert verdict.reason.startswith(f"harm: {name} ")


def test_equal_arms_are_safe_within_some_thousand_tasks():
    for seed in range(3):
        verdict = a_judge(some_records(4000, seed=seed)).verdict()
        assert verdict.ruling is Ruling.SAFE, verdict.reason
        assert all(one.ruling is Ruling.SAFE for one in verdict.signals)
        assert verdict.reason.startswith("safe: ")


def test_a_gate_asks_for_less_than_the_last_step():
    judge = a_judge(some_records(800, seed=1))
    assert judge.verdict(evidence="gate").ruling is Ruling.SAFE
    full = judge.verdict(evidence="full")
    assert full.ruling is Ruling.CONTINUE
    assert full.reason.startswith("needs about ")


def test_no_promotion_near_harm_even_through_a_gate():
    analysis = Analysis(signals=(Signal(name="tools", metric="tool.error", tolerate=0.4),))
    judge = Judge(analysis, role=ROLE, salt=SALT)
    for record in some_records(4000, errs=(0.05, 0.15), seed=5):
        judge.feed([record])
        verdict = judge.verdict(evidence="gate") if record.number % 5 == 0 else None
        if verdict and verdict.signals[0].e_harm > verdict.signals[0].harm_at / 3:
            break
    assert verdict is not None
    assert verdict.signals[0].ruling is Ruling.SAFE
    assert verdict.ruling is Ruling.CONTINUE
    assert verdict.reason.startswith("no promotion this near to harm")


def test_a_hard_fact_is_harm_at_once_and_is_the_reason():
    verdict = a_judge().verdict(facts=(CYCLE,))
    assert (verdict.ruling, verdict.reason) == (Ruling.HARM, CYCLE.sentence)
    assert verdict.facts == (CYCLE,)


@pytest.mark.parametrize(
    ("arms", "words"),
    [((), "either arm"), ((True,), "the baseline"), ((False,), "the canary")],
)
def test_an_empty_arm_is_named(arms, words):
    records = [a_record(number + 1, canary=arm) for number, arm in enumerate(arms)]
    verdict = a_judge(records).verdict()
    assert verdict.ruling is Ruling.NO_DATA
    assert verdict.reason == f"no data: no task of {words} has closed yet"
    assert all(one.sentence for one in verdict.signals)


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED])
def test_an_extreme_rate_in_both_arms_accuses_nobody(outcome):
    records = [a_record(n, canary=n % 2 == 0, outcome=outcome) for n in range(1, 1500)]
    verdict = a_judge(records).verdict()
    assert by_name(verdict)["completion"].ruling is Ruling.SAFE
    assert verdict.ruling is Ruling.SAFE


def test_a_dead_canary_is_found_in_some_tasks():
    judge = a_judge()
    for number in range(1, 100):
        outcome = Outcome.TIMED_OUT if number % 2 else Outcome.COMPLETED
        judge.feed([a_record(number, canary=number % 2 == 1, outcome=outcome, latency_s=None)])
        if judge.verdict().ruling is Ruling.HARM:
            break
    assert number < 40


def test_the_budget_ends_in_unsure_with_intervals():
    analysis = Analysis(signals=(COMPLETION,), max_tasks=100, max_duration_s=60.0)
    judge = a_judge(some_records(150), analysis)
    assert judge.verdict(elapsed_s=59.0).ruling is Ruling.CONTINUE
    timed = judge.verdict(elapsed_s=60.0)
    assert timed.ruling is Ruling.UNSURE
    assert timed.reason.startswith("unsure: the budget of 60 s is spent; completion: ")
    assert timed.signals[0].interval is not None
    counted = a_judge(some_records(260), analysis).verdict()
    assert counted.ruling is Ruling.UNSURE
    assert "100 canary tasks" in counted.reason
    assert a_judge((), analysis).verdict(elapsed_s=60.0).ruling is Ruling.UNSURE


def test_safe_waits_for_the_least_number_of_tasks():
    analysis = Analysis(signals=(COMPLETION,), min_tasks=900)
    verdict = a_judge(some_records(1600), analysis).verdict()
    assert by_name(verdict)["completion"].ruling is Ruling.SAFE
    assert verdict.ruling is Ruling.CONTINUE
    assert verdict.reason == f"needs {900 - verdict.tasks_canary} more canary tasks"


def test_a_dry_run_is_shown_and_never_decides():
    dry = Signal(name="dry", metric="tool.error", dry_run=True)
    analysis = Analysis(signals=(COMPLETION, dry))
    verdict = a_judge(some_records(3000, errs=(0.02, 0.4)), analysis).verdict()
    assert by_name(verdict)["dry"].ruling is Ruling.HARM
    assert verdict.ruling is Ruling.SAFE


def test_an_optional_signal_can_harm_but_need_not_be_safe():
    optional = Signal(name="errors", metric="tool.error", tolerate=0.0, required=False)
    analysis = Analysis(signals=(COMPLETION, optional))
    assert a_judge(some_records(3000), analysis).verdict().ruling is Ruling.SAFE
    harmed = a_judge(some_records(3000, errs=(0.02, 0.4)), analysis).verdict()
    assert harmed.ruling is Ruling.HARM


def test_an_absolute_limit_sees_harm_in_both_arms():
    floor = Signal(name="floor", metric="task.completed", compare="absolute", limit=0.9)
    analysis = Analysis(signals=(COMPLETION, floor))
    verdict = a_judge(some_records(600, completes=(0.6, 0.6)), analysis).verdict()
    assert verdict.ruling is Ruling.HARM
    assert verdict.reason.startswith("harm: floor 5") or verdict.reason.startswith("harm: floor 6")
    assert verdict.reason.endswith("limit at least 90 %")


def test_a_proven_loss_within_the_limit_says_so_and_a_margin_forgives_it():
    records = list(some_records(6000, completes=(0.95, 0.88)))
    wide = Signal(name="completion", metric="task.completed", tolerate=0.2)
    verdict = a_judge(records, Analysis(signals=(wide,))).verdict()
    assert verdict.ruling is Ruling.HARM
    assert verdict.reason.startswith("harm, a proven loss: ")
    patient = Signal(name="completion", metric="task.completed", tolerate=0.2, harm_margin=0.1)
    assert a_judge(records, Analysis(signals=(patient,))).verdict().ruling is Ruling.SAFE


def test_a_quick_failure_is_endless_only_where_nothing_else_would_see_it():
    def records():
        for number in range(1, 1200):
            failed = number % 2 == 0 and number % 4 == 0
            outcome = Outcome.FAILED if failed else Outcome.COMPLETED
            yield a_record(
                number,
                canary=number % 2 == 0,
                outcome=outcome,
                latency_s=0.01 if failed else 1 + number % 7,
            )

    alone = a_judge(records(), Analysis(signals=(P50,))).verdict()
    assert alone.ruling is Ruling.HARM
    assert alone.reason.startswith("harm: p50 ")
    both = by_name(a_judge(records()).verdict())
    assert (both["p50"].ruling, both["completion"].ruling) == (Ruling.SAFE, Ruling.HARM)


def test_tasks_of_other_trials_and_repeats_do_not_count():
    judge = a_judge([a_record(1, canary=True)])
    judge.feed([a_record(1, canary=True)])
    judge.feed([TaskRecord(task="x", number=2, table=1, outcome=Outcome.COMPLETED)])
    assert judge.verdict().tasks_canary == 1
    assert judge.last_number == 2
    judge.feed([a_record(3, canary=True, outcome=Outcome.RUNNING, latency_s=None)])
    assert (judge.verdict().tasks_canary, judge.last_number) == (1, 2)


@pytest.mark.parametrize("weight", [0.0, 100.0])
def test_tasks_without_a_draw_teach_a_comparison_nothing(weight):
    judge = a_judge(some_records(300))
    before = judge.verdict()
    for number in range(301, 500):
        judge.feed([a_record(number, canary=weight > 0, weight=weight, outcome=Outcome.FAILED)])
    assert judge.verdict().signals == before.signals


def test_drift_while_the_weight_rises_accuses_nobody():
    judge = a_judge()
    start = 1
    for weight, rate in ((5.0, 0.98), (25.0, 0.9), (50.0, 0.8)):
        for record in some_records(1500, weight=weight, first=start, completes=(rate, rate)):
            judge.feed([record])
        start += 1500
    evidence = by_name(judge.verdict())["completion"]
    assert evidence.ruling is not Ruling.HARM
    assert evidence.interval[0] < 0.0 < evidence.interval[1]


SLO = Signal(name="slo", metric="task.latency", compare="absolute", limit=3.0, quantile=0.9)
ALL = Analysis(signals=(COMPLETION, TOOLS, P50, SLO))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 700), count=st.integers(0, 700))
def test_a_resumed_judge_equals_an_uninterrupted_one(seed, cut, count):
    records = [
        *some_records(count, seed=seed, weight=25.0),
        *some_records(100, seed=seed, first=count + 1),
    ]
    whole, part = a_judge(analysis=ALL), a_judge(analysis=ALL)
    for number, record in enumerate(records):
        if number == cut:
            part.verdict()  # reading changes nothing
            stored = json.dumps(part.to_json(), allow_nan=False)
            part = Judge.from_json(json.loads(stored), analysis=ALL)
        whole.feed([record])
        part.feed([record])
    assert part.to_json() == whole.to_json()
    assert part.verdict() == whole.verdict()


def test_state_of_other_signals_is_refused():
    stored = a_judge(some_records(10)).to_json()
    with pytest.raises(ValueError, match="state is of signals"):
        Judge.from_json(stored, analysis=Analysis(signals=(COMPLETION,)))


def test_state_in_another_form_is_refused():
    stored = a_judge(some_records(10)).to_json() | {"version": 2}
    with pytest.raises(ValueError, match="version 2, want 3"):
        Judge.from_json(stored, analysis=ANALYSIS)


def test_every_figure_is_strict_json():
    verdict = a_judge(some_records(800, completes=(1.0, 0.0))).verdict()
    for one in verdict.signals:
        json.dumps([one.e_harm, one.e_safe, one.interval, one.difference], allow_nan=False)


def test_nothing_is_safe_while_the_canary_is_seen_to_be_over_the_limit():
    # The mark is set at one second. Then all of the baseline is just above it, and so is only
    # half of the canary: by the old mark the canary is late less often, yet its median is 50 s.
    forgiving = Signal(
        name="p50", metric="task.latency", tolerate=0.25, quantile=0.5, harm_margin=99.0
    )
    judge = a_judge(analysis=Analysis(signals=(forgiving,), max_tasks=100_000))
    rulings = []
    for number in range(1, 6001):
        canary = number % 2 == 0
        seconds = 1.0
        if number > 600:
            seconds = 1.05 if not canary else 50.0 if number % 20 < 12 else 1.1
        judge.feed([a_record(number, canary=canary, latency_s=seconds)])
        if number > 3000 and number % 200 == 0:
            rulings.append(judge.verdict().ruling)
    assert judge.verdict().signals[0].difference > forgiving.tolerate
    assert Ruling.SAFE not in rulings


def test_nothing_is_safe_while_the_canary_is_seen_never_to_end():
    """Equal for long enough to be shown safe; then a third of the canary's tasks time out."""
    patient = Signal(
        name="p95", metric="task.latency", tolerate=0.25, quantile=0.95, harm_margin=99.0
    )
    analysis = Analysis(signals=(patient,), alpha=1e-12)
    judge = a_judge(some_records(12_000, completes=(1.0, 1.0)), analysis)
    assert judge.verdict().ruling is Ruling.SAFE
    for number in range(12_001, 12_361):
        canary, hangs = number % 2 == 0, number % 6 == 0
        outcome = Outcome.TIMED_OUT if hangs else Outcome.COMPLETED
        judge.feed([a_record(number, canary=canary, outcome=outcome)])
    shown = judge.verdict().signals[0]
    assert (shown.canary, shown.difference) == (None, None)
    assert shown.e_safe >= shown.safe_at
    assert shown.ruling is Ruling.CONTINUE


def test_nobody_is_promoted_who_is_seen_over_an_optional_limit():
    optional = Signal(
        name="p50",
        metric="task.latency",
        tolerate=0.5,
        quantile=0.5,
        harm_margin=50.0,
        required=False,
    )
    analysis = Analysis(signals=(COMPLETION, optional))
    slow = a_judge(some_records(3000, slow=(1.0, 3.0)), analysis).verdict()
    assert slow.ruling is Ruling.CONTINUE
    assert slow.reason.startswith("no promotion over a limit; p50")
    assert a_judge(some_records(3000), analysis).verdict().ruling is Ruling.SAFE


def test_levels_are_the_evidence_of_the_verdict():
    judge = a_judge(some_records(400, completes=(0.93, 0.85)))
    shown = judge.verdict().signals
    for (harm, safe), one in zip(judge.levels(), shown, strict=True):
        assert (math.exp(harm), math.exp(safe)) == pytest.approx((one.e_harm, one.e_safe))


@pytest.mark.parametrize("spent", [{"max_tasks": 10}, {"max_duration_s": 60.0}])
def test_a_spent_budget_is_worth_a_verdict(spent):
    judge = a_judge(some_records(60), replace(ANALYSIS, **spent))
    assert judge.may_decide(elapsed_s=61.0)
    assert judge.verdict(elapsed_s=61.0).ruling is Ruling.UNSURE
    assert not a_judge(some_records(60)).may_decide(elapsed_s=61.0)


def test_what_was_not_measured_is_left_out():
    records = [replace(one, unmeasured=("tool.error",)) for one in some_records(100)]
    tools = by_name(a_judge(records).verdict())["tool-errors"]
    assert (tools.tasks_canary, tools.tasks_baseline) == (0, 0)
    assert tools.ruling is Ruling.NO_DATA
    assert dict(tools.left_out) == {"not measured": 100}


def test_a_wrong_weight_is_a_broken_draw_and_not_harm():
    """A quarter of the tasks went to the canary, and each says that it was half."""
    records = [a_record(number, canary=number % 4 == 0, weight=50.0) for number in range(1, 201)]
    for count in range(20, 201, 10):
        verdict = a_judge(records[:count], Analysis(alpha=0.05, signals=(COMPLETION,))).verdict()
        assert verdict.ruling is not Ruling.HARM
    assert verdict.ruling is Ruling.UNSURE
    assert "the draw of the arms is broken" in verdict.reason
