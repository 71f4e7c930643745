"""What goes into the judge, and when: splits, gaps, late scores, running tasks, resume."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.judge.absolute import AbsoluteSeries
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.latency import LatencySeries
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.interactions import Arm
from tests.unit.judge.records import ROLE, SALT, a_record

SIGNALS = (
    Signal(name="completion", metric="task.completed"),
    Signal(name="tools", metric="tool.error"),
    Signal(name="loops", metric="task.looping"),
    Signal(name="p50", metric="task.latency", tolerate=0.25, quantile=0.5),
    Signal(name="latency", metric="task.latency", tolerate=0.25),
    Signal(name="messages", metric="message.latency", tolerate=0.25, quantile=0.9),
    Signal(name="tokens", metric="gen_ai.tokens", tolerate=0.25),
    Signal(name="cost", metric="task.cost", tolerate=0.25, cap=0.5),
    Signal(name="memory", metric="task.memory", tolerate=0.25),
    Signal(name="score", metric="score", score="quality", scorer="m:f", sample=0.5),
    Signal(name="floor", metric="task.completed", compare="absolute", limit=0.8),
    Signal(name="slo", metric="task.latency", compare="absolute", limit=3.0, quantile=0.9),
    Signal(name="budget", metric="task.cost", compare="absolute", limit=0.4),
    Signal(
        name="good", metric="score", score="quality", scorer="m:f", compare="absolute", limit=0.5
    ),
    Signal(
        name="slow messages", metric="message.latency", compare="absolute", limit=2.0, quantile=0.9
    ),
)
ANALYSIS = Analysis(signals=SIGNALS)
GROUPED = Analysis(signals=SIGNALS, is_grouped=True, unit_tasks=3, unit_window_s=20.0)


def some_tasks(seed, count, *, by_user=False):
    """Tasks with all that can be measured, at a weight that is raised twice; some not measured."""
    rng = random.Random(seed)
    for number in range(1, count + 1):
        weight = 5.0 if number < count / 3 else 25.0 if number < count / 2 else 50.0
        user = f"u{rng.randrange(count)}" if by_user else ""
        canary = (random.Random(f"{seed}{user}") if by_user else rng).random() * 100.0 < weight
        kind = rng.random()
        outcome = Outcome.COMPLETED if kind < 0.85 else Outcome.FAILED
        if kind > 0.95:
            outcome = Outcome.TIMED_OUT
        latency_s = 10.0 if outcome is Outcome.TIMED_OUT else rng.lognormvariate(0.0, 0.8)
        arm = Arm.CANARY if canary else Arm.BASELINE
        yield TaskRecord(
            task=f"t{number}",
            number=number,
            table=1,
            assignments=(Assignment(role=ROLE, salt=SALT, arm=arm, weight=weight, unit=user),)
            if rng.random() < 0.95
            else (),
            started_s=float(number),
            latency_s=latency_s,
            outcome=outcome,
            tool_errors=int(rng.random() < 0.1),
            input_tokens=rng.randrange(1000) if rng.random() < 0.9 else None,
            output_tokens=rng.randrange(100),
            cost_usd=rng.random() if rng.random() < 0.9 else None,
            scores={"quality": float("nan") if rng.random() < 0.05 else rng.random()},
            flags=("loop",) if rng.random() < 0.05 else (),
            message_latency_s={ROLE: tuple(rng.expovariate(1.0) for _ in range(rng.randrange(4)))},
            memory_bytes={ROLE: 1e8 * rng.random()},
            partial=rng.random() < 0.02,
        )


def a_judge(analysis=ANALYSIS):
    return Judge(analysis, role=ROLE, salt=SALT)


def resumed(judge, analysis=ANALYSIS):
    stored = json.dumps(judge.to_json(), allow_nan=False)
    return Judge.from_json(json.loads(stored), analysis=analysis)


@pytest.mark.parametrize("analysis", [ANALYSIS, GROUPED], ids=["tasks", "users"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_tasks_in_parts_with_restarts_between_equal_tasks_at_once(analysis, seed, data):
    tasks = list(some_tasks(seed, 400, by_user=analysis.is_grouped))
    cuts = sorted(data.draw(st.lists(st.integers(0, 400), max_size=6)))
    whole, part = a_judge(analysis), a_judge(analysis)
    whole.feed(tasks)
    for start, end in zip([0, *cuts], [*cuts, 400], strict=True):
        part.feed(tasks[max(0, start - 20) : end])  # some of them once more
        part = resumed(part, analysis)
    assert part.to_json() == whole.to_json()
    assert part.verdict() == whole.verdict()
    assert part.last_number == 400


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), step=st.integers(20, 90), lag=st.integers(0, 150))
def test_scores_that_come_late_change_nothing_but_when(seed, step, lag):
    tasks = list(some_tasks(seed, 300))
    whole, part = a_judge(), a_judge()
    whole.feed(tasks)
    for end in [*range(step, 300 + lag, step), 300 + lag]:
        seen = [
            replace(one, scores={}) if one.number > end - lag else one
            for one in tasks[part.last_number : end]
        ]
        part.feed(seen)
        part = resumed(part)
    assert part.to_json() == whole.to_json()


def as_seen(task, now_s, lag_s=0.0):
    """A task as it is known at a time: before its end it runs, and nothing else is known."""
    if task.started_s + task.latency_s <= now_s - lag_s:
        return task
    return TaskRecord(
        task=task.task,
        number=task.number,
        table=1,
        assignments=task.assignments,
        started_s=task.started_s,
    )


def without_samples(state):
    """State without what marks are drawn from: newest values stand in the order of their ends."""
    if isinstance(state, dict):
        state.pop("samples", None)
        state.pop("recent", None)
        state.pop("examples", None)
        state.pop("running", None)
        state.pop("owed", None)
        return {key: without_samples(value) for key, value in state.items()}
    return [without_samples(one) for one in state] if isinstance(state, list) else state


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), step_s=st.floats(2.0, 40.0))
def test_tasks_that_settle_while_they_run_count_as_they_will_have_ended(seed, step_s):
    """At one weight, with marks that are set before anything runs for long."""
    latency = tuple(one for one in SIGNALS if one.metric == "task.latency")
    analysis = Analysis(signals=latency)
    rng = random.Random(seed)
    tasks = [
        a_record(n, canary=rng.random() < 0.5, latency_s=rng.lognormvariate(0.0, 0.3))
        for n in range(1, 500)
    ]
    slow = [
        replace(
            a_record(n, canary=rng.random() < 0.5, latency_s=10.0 ** rng.uniform(-1.0, 2.5)),
            started_s=float(n),
        )
        for n in range(500, 700)
    ]
    whole, part = a_judge(analysis), a_judge(analysis)
    whole.feed([*tasks, *slow])
    part.feed(tasks)
    now_s, early = 500.0, 0
    while part.last_number < 699:
        now_s += step_s
        started = [one for one in slow if one.started_s <= now_s]
        part.feed([as_seen(one, now_s) for one in started[part.last_number - 499 :]], now_s=now_s)
        part = resumed(part, analysis)
        cursors = [track["cursor"] for track in part.to_json()["tracks"]]
        early += max(cursors) > part.to_json()["closed"]
    assert without_samples(part.to_json()) == without_samples(whole.to_json())
    assert early or step_s > 20.0


@pytest.mark.parametrize("quantile", [None, 0.5, 0.95])
@given(
    times=st.one_of(st.just(1.0), st.floats(1.0, 1e6)),
    canary=st.booleans(),
    weight=st.sampled_from([0.25, 0.5]),
)
@settings(max_examples=25, deadline=None)
def test_no_later_end_changes_what_a_settled_task_counted_for(quantile, times, canary, weight):
    """Also as the first task of a new weight: it is held against the marks of that weight."""
    running, ended = (
        LatencySeries(quantile=quantile, tolerate=0.25, harm_margin=0.1) for _ in range(2)
    )
    for series in (running, ended):
        rng = random.Random(1)
        for number in range(600):
            seconds = rng.lognormvariate(0.0 if number < 250 else 2.0, 0.5)
            series.add(canary=number % 2 == 0, weight=0.25, value=seconds)
    settled = running.settled_after(weight)
    least = times * settled if times > 1.0 else settled * (1.0 + 1e-12)
    running.add_running(canary=canary, weight=weight)
    ended.add(canary=canary, weight=weight, value=least)
    assert running.levels() == ended.levels()
    assert without_samples(running.to_json()) == without_samples(ended.to_json())


def test_a_limit_is_not_broken_by_a_task_that_takes_just_as_long():
    slo = Signal(name="slo", metric="task.latency", compare="absolute", limit=3.0, quantile=0.9)
    judge = a_judge(Analysis(signals=(slo,)))
    running = TaskRecord(
        task="t1",
        number=1,
        table=1,
        started_s=10.0,
        assignments=a_record(1, canary=True).assignments,
    )
    judge.feed([running], now_s=13.0)
    assert judge.verdict().signals[0].tasks_canary == 0
    judge.feed([running], now_s=13.1)
    assert judge.verdict().signals[0].tasks_canary == 1
    series = AbsoluteSeries(slo)
    assert series.add(canary=True, weight=0.5, value=3.0) is False


def test_a_hang_is_found_long_before_its_deadline():
    """One task a second; 10 % of the canary's never end, and their deadline is an hour away."""
    analysis = Analysis(signals=(SIGNALS[0], SIGNALS[4]), alpha=0.05)
    judge, rng = a_judge(analysis), random.Random(2)
    tasks: list[TaskRecord] = []
    needed = 0
    while not judge.may_decide() and needed < 2000:
        needed += 1
        canary = rng.random() < 0.5
        hangs = canary and rng.random() < 0.1
        seconds = 3600.0 if hangs else rng.lognormvariate(0.0, 0.5)
        outcome = Outcome.TIMED_OUT if hangs else Outcome.COMPLETED
        record = a_record(needed, canary=canary, outcome=outcome, latency_s=seconds)
        tasks.append(replace(record, started_s=float(needed)))
        now_s = float(needed)
        judge.feed([as_seen(one, now_s) for one in tasks[judge.last_number :]], now_s=now_s)
    assert needed < 1500
    verdict = judge.verdict()
    assert verdict.reason.startswith("harm: latency ")
    assert verdict.watermark < 100


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -3.0])
def test_an_amount_that_is_none_spoils_nothing(cost):
    costs = [one for one in SIGNALS if one.metric == "task.cost"]
    judge = a_judge(Analysis(signals=tuple(costs)))
    tasks = [a_record(n, canary=n % 2 == 0) for n in range(1, 400)]
    judge.feed([replace(one, cost_usd=0.3) for one in tasks[:200]])
    judge.feed([replace(one, cost_usd=cost) for one in tasks[200:210]])
    judge.feed([replace(one, cost_usd=0.3) for one in tasks[210:]])
    for one in judge.verdict().signals:
        assert one.e_safe > 1.0
        assert dict(one.left_out) == ({} if cost < 0.0 else {"not measured": 10})


@pytest.mark.parametrize(
    ("metric", "mark"),
    [
        ("task.looping", {"flags": ("repeat",)}),
        ("tool.error", {"tool_errors": 1}),
        ("task.orphaned", {"orphans": 1}),
    ],
)
def test_what_has_gone_wrong_for_good_counts_while_the_task_runs(metric, mark):
    """It counts in its place, for what it will count for: no arm gains by it."""
    ended = [a_record(number, canary=number % 2 == 0) for number in range(1, 41)]
    ended = [replace(one, **mark) if one.number % 2 == 0 else one for one in ended]
    so_far = [
        replace(one, outcome=Outcome.RUNNING, latency_s=None) if one.number % 2 == 0 else one
        for one in ended
    ]
    analysis = Analysis(signals=(Signal(name="bad", metric=metric),))
    early, late = (Judge(analysis, role=ROLE, salt=SALT) for _ in range(2))

    early.feed(so_far)
    late.feed(so_far[:1])  # a canary task that runs and shows nothing holds back all behind it
    (seen,), (nothing,) = early.verdict().signals, late.verdict().signals
    assert seen.ruling is Ruling.HARM
    assert (seen.tasks_canary, nothing.tasks_canary) == (20, 0)
    early.feed(ended)
    late.feed(ended)
    assert early.to_json() == late.to_json()


def test_what_a_task_sends_after_its_end_is_waited_for_and_holds_back_nothing_else():
    signals = (
        Signal(name="late", metric="task.late"),
        Signal(name="loops", metric="task.looping"),
    )
    judge = Judge(Analysis(signals=signals), role=ROLE, salt=SALT)
    ended = [a_record(number, canary=number % 2 == 0) for number in range(1, 41)]

    judge.feed(ended, now_s=5.0)  # they began at 0 and took a second each
    late, loops = judge.verdict().signals
    assert (late.tasks_canary, loops.tasks_canary) == (0, 20)
    told = [replace(one, flags=("after_the_end",)) if one.number % 2 == 0 else one for one in ended]
    judge.feed(told, now_s=16.5)
    late, loops = judge.verdict().signals
    assert late.ruling is Ruling.HARM
    assert (late.canary, loops.canary) == (1.0, 0.0)


@given(st.integers(1, 40), st.floats(0.0, 30.0))
def test_when_the_records_are_read_makes_no_difference_to_what_late_tasks_count_for(read, now_s):
    """Whoever reads early sees no flag yet, and whoever reads late sees it at once."""
    signals = (
        Signal(name="late", metric="task.late"),
        Signal(name="loops", metric="task.looping"),
    )
    judges = [Judge(Analysis(signals=signals), role=ROLE, salt=SALT) for _ in range(2)]
    final = [
        replace(
            a_record(number, canary=number % 3 == 0),
            flags=("after_the_end",) if number % 3 == 0 else (),
        )
        for number in range(1, 41)
    ]
    early = [replace(one, flags=()) if now_s < 12.0 else one for one in final]

    judges[0].feed(early[:read], now_s=now_s)
    for judge in judges:
        judge.feed(final, now_s=100.0)
    assert judges[0].to_json() == judges[1].to_json()
