"""A recording is judged as a live fleet would be: in start order, and never before it can know."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.backtest.cohort import build_cohort
from rolewise.coordinator.backtest.recorded import ROLE, SALT, Accounts
from rolewise.coordinator.backtest.replay import LOOK_ALWAYS, replay
from rolewise.coordinator.backtest.rows import Row
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.fleet.task import Outcome
from tests.unit.backtest.rows import some_rows

COMPLETION = Signal(name="completion", metric="task.completed", tolerate=0.05)
TOOLS = Signal(name="tool-errors", metric="tool.error", tolerate=0.05)
P50 = Signal(name="p50", metric="task.latency", quantile=0.5, tolerate=0.3)
COST = Signal(name="cost", metric="task.cost", tolerate=0.25)
SCORE = Signal(name="helpful", metric="score", score="helpful", tolerate=0.1)
ALPHA_5 = Analysis(alpha=0.05, signals=(COMPLETION,))


def judged_in_this_order(rows, analysis):
    """Feed a judge row by row and stop at its first word: what an oracle would do."""
    accounts = Accounts(rows)
    judge = Judge(analysis, role=ROLE, salt=SALT)
    for index in range(len(rows)):
        judge.feed([accounts.final(index)])
        if judge.may_decide():
            verdict = judge.verdict()
            if verdict.ruling in {Ruling.HARM, Ruling.SAFE}:
                return verdict.ruling, index + 1
    return judge.verdict().ruling, len(rows)


def test_failures_that_surface_sooner_are_no_harm():
    """Equal failures, told at 10 s by the canary and at 300 s by the baseline."""
    rulings, arrivals = [], []
    for seed in range(8):
        rows = some_rows(2000, seed=seed, fails_after_s=(300.0, 10.0))
        rulings.append(replay(rows, ALPHA_5).verdict.ruling)
        by_arrival = sorted(rows, key=lambda row: row.ended_s)
        arrivals.append(judged_in_this_order(by_arrival, ALPHA_5)[0])
    assert Ruling.HARM not in rulings
    assert arrivals.count(Ruling.HARM) >= 3  # the same tasks in order of arrival: the trap


@pytest.mark.parametrize("fails", [(0.05, 0.25), (0.05, 0.05)])
def test_the_word_and_its_task_are_those_of_a_judge_that_looks_after_every_task(fails):
    rows = some_rows(900, weight=50.0, fails=fails)
    assert len(rows) < LOOK_ALWAYS
    done = replay(rows, ALPHA_5)
    assert done.decided is not None
    assert (done.verdict.ruling, done.decided.tasks) == judged_in_this_order(rows, ALPHA_5)
    assert done.first["completion"][done.verdict.ruling] == done.decided


def test_a_verdict_comes_when_all_that_started_before_have_ended():
    rows = some_rows(600, weight=50.0, fails=(0.05, 0.4))
    done = replay(rows, ALPHA_5)
    counted = rows[: done.decided.tasks]
    assert done.decided.at_s == max(row.ended_s for row in counted)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.0, 50.0)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_counts_do_not_hang_on_when_tasks_ended(drawn, rng):
    """The same tasks in the same start order give the same evidence, whatever they took."""
    rows = [
        Row(
            task=f"t{n}",
            canary=canary,
            weight=50.0,
            started_s=float(n),
            ended_s=n + took,
            outcome=Outcome.FAILED if failed else Outcome.COMPLETED,
        )
        for n, (canary, failed, took) in enumerate(drawn)
    ]
    others = [replace(row, ended_s=row.started_s + 50.0 * rng.random()) for row in rows]
    one, two = replay(rows, ALPHA_5).end, replay(others, ALPHA_5).end
    assert one == two
    assert one.tasks_baseline + one.tasks_canary == len(rows)


def test_a_task_that_never_ends_holds_back_what_started_after_it():
    rows = some_rows(500, weight=50.0)
    rows[200] = replace(rows[200], ended_s=inf, outcome=Outcome.RUNNING, latency_s=None)
    done = replay(rows, ALPHA_5)
    assert done.held_back == 300
    assert done.end.tasks_baseline + done.end.tasks_canary == 200


def test_a_latency_signal_knows_a_hang_long_before_its_deadline():
    deadline_s = 1800.0
    analysis = Analysis(alpha=0.05, signals=(COMPLETION, P50))
    healthy = some_rows(300, weight=50.0)
    hung = some_rows(6000, seed=2, weight=50.0, hangs=(0.0, 0.7))
    for row in hung:
        row.task, row.started_s, row.ended_s = (
            f"h{row.task}",
            row.started_s + 300,
            row.ended_s + 300,
        )
    rows = build_cohort([*healthy, *hung], deadline_s=deadline_s).rows
    done = replay(rows, analysis)
    assert done.verdict.ruling is Ruling.HARM
    assert 300.0 < done.first["p50"][Ruling.HARM].at_s < 900.0
    assert done.first["completion"][Ruling.HARM].at_s > deadline_s


def test_signals_tell_their_own_first_word_also_behind_the_verdict():
    analysis = Analysis(alpha=0.05, signals=(COMPLETION, TOOLS))
    done = replay(some_rows(5000, weight=50.0, fails=(0.05, 0.4)), analysis)
    assert done.verdict.ruling is Ruling.HARM
    assert done.first["completion"] == {Ruling.HARM: done.decided}
    assert list(done.first["tool-errors"]) == [Ruling.SAFE]
    assert done.first["tool-errors"][Ruling.SAFE].tasks > done.decided.tasks
    assert done.end.tasks_canary + done.end.tasks_baseline == 5000


def test_equally_good_tasks_are_safe():
    analysis = Analysis(signals=(COMPLETION, TOOLS), min_tasks=50)
    done = replay(some_rows(6000, weight=50.0), analysis)
    assert done.verdict.ruling is Ruling.SAFE
    assert done.verdict.tasks_canary >= 50


def test_a_spent_budget_ends_it_unsure():
    done = replay(some_rows(500, weight=50.0), replace(ALPHA_5, max_tasks=40))
    assert done.verdict.ruling is Ruling.UNSURE
    assert done.verdict.tasks_canary == 40


def test_a_broken_draw_is_told_and_not_judged():
    rows = [replace(row, weight=50.0) for row in some_rows(900, weight=25.0, fails=(0.0, 0.0))]
    done = replay(rows, ALPHA_5)
    assert done.verdict.ruling is Ruling.UNSURE
    assert "the draw of the arms is broken" in done.verdict.reason


def by_name(verdict):
    return {one.name: one for one in verdict.signals}


def test_a_required_signal_that_was_not_recorded_bars_safe_and_is_named():
    analysis = Analysis(signals=(COMPLETION, COST))
    done = replay(some_rows(4000, weight=50.0), analysis)
    assert done.verdict.ruling is Ruling.CONTINUE
    assert done.verdict.reason.startswith("cost is required and was not recorded")
    cost = by_name(done.verdict)["cost"]
    assert (cost.ruling, cost.canary) == (Ruling.NO_DATA, None)
    assert by_name(done.verdict)["completion"].ruling is Ruling.SAFE


@pytest.mark.parametrize("signal", [COST, SCORE])
def test_a_figure_that_only_one_arm_has_compares_nothing(signal):
    rows = some_rows(300, weight=50.0)
    for row in rows:
        if not row.canary:
            row.cost_usd, row.scores = 0.1, {"helpful": 0.5}
    shown = by_name(replay(rows, Analysis(signals=(COMPLETION, signal))).end)[signal.name]
    assert shown.sentence == f"{signal.name}: no task of the canary has it recorded: no data"
    assert shown.e_harm == shown.e_safe == 1.0


def test_what_one_task_lacks_is_left_out_and_not_0():
    rows = some_rows(300, weight=50.0)
    for row in rows[::3]:
        row.tool_errors = None
    tools = by_name(replay(rows, Analysis(signals=(COMPLETION, TOOLS))).end)["tool-errors"]
    assert tools.tasks_baseline + tools.tasks_canary == 200
    assert dict(tools.left_out) == {"not measured": 100}


def test_scores_are_those_of_the_recording_whoever_gave_them():
    rows = some_rows(300, weight=50.0, fails=(0.0, 0.0))
    for row in rows[:200]:
        row.scores = {"helpful": 0.4 if row.canary else 0.9}
    scored = replace(SCORE, scorer="nobody.runs:this", sample=0.1)
    shown = by_name(replay(rows, Analysis(alpha=0.05, signals=(scored,))).end)["helpful"]
    assert shown.tasks_baseline + shown.tasks_canary == 200
    assert shown.ruling is Ruling.HARM


def test_tasks_of_one_session_bet_once():
    rows = some_rows(400, weight=50.0)
    for number, row in enumerate(rows):
        row.unit = f"user-{number // 10}"
        row.canary = rows[10 * (number // 10)].canary
    done = replay(rows, ALPHA_5)
    assert done.end.tasks_baseline + done.end.tasks_canary == 40


@pytest.mark.parametrize("rows", [[], some_rows(20, weight=0.0)])
def test_without_a_task_of_the_canary_there_are_no_data(rows):
    done = replay(rows, ALPHA_5)
    assert done.verdict.ruling is Ruling.NO_DATA
    assert done.decided is None


def test_an_analysis_of_nothing_that_was_recorded_says_so():
    done = replay(some_rows(50), Analysis(signals=(COST,)))
    assert done.verdict.ruling is Ruling.NO_DATA
    assert "answers no signal" in done.verdict.reason


def test_points_of_a_curve_go_to_the_last_task_and_hold_the_decision():
    done = replay(some_rows(600, weight=50.0, fails=(0.05, 0.4)), ALPHA_5, points=20)
    tasks = [point.tasks for point in done.points]
    assert tasks == sorted(tasks)
    assert tasks[-1] == 600
    assert done.decided.tasks in tasks
    assert 20 <= len(tasks) <= 22
