"""Sessions and users as units: each bets once, however many tasks it has."""

import json
import random
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.judge.judge import Judge
from rolewise.coordinator.judge.metrics import Kind
from rolewise.coordinator.judge.outcomes import Missing
from rolewise.coordinator.judge.units import Units, value_of_unit
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.fleet.task import Assignment, Outcome
from rolewise.graphs.interactions import Arm
from tests.unit.judge.records import ROLE, SALT, a_record

COMPLETION = Signal(name="completion", metric="task.completed", tolerate=0.05)


def some_units(**fields):
    return Units(**({"signals": 1, "tasks": 3, "window_s": 60.0} | fields))


def put(units, key, started_s, *, value=0.0, canary=False, weight=0.5):
    """Place a task; return whether it counts."""
    unit = units.place(key, canary=canary, weight=weight, started_s=started_s)
    if unit is not None:
        unit.note(f"{key}@{started_s}", [value], failed=value > 0.0)
    return unit is not None


def closed(units):
    """Take out all that are closed."""
    out = []
    while (unit := units.next_closed()) is not None:
        out.append((unit.name.split("@")[0], unit.values[0]))
    return out


def test_a_unit_is_the_first_tasks_of_its_user():
    units = some_units()
    assert [put(units, "ann", float(second), value=second) for second in range(5)] == [
        *(True, True, True, False, False)
    ]
    assert closed(units) == [("ann", [0, 1, 2])]
    assert not put(units, "ann", 5000.0)
    assert closed(units) == []


def test_a_unit_is_over_when_its_time_is():
    units = some_units()
    assert put(units, "ann", 0.0, value=1.0)
    assert put(units, "bob", 60.0)
    assert closed(units) == []
    assert put(units, "bob", 60.1)
    assert closed(units) == [("ann", [1.0])]
    assert not put(units, "ann", 61.0)


def test_an_open_unit_holds_back_those_that_began_behind_it():
    units = some_units()
    put(units, "ann", 0.0)
    for second in (1.0, 2.0, 3.0):
        put(units, "bob", second)
    assert closed(units) == []  # bob is full, but ann began before
    for second in (4.0, 5.0):
        put(units, "ann", second)
    assert [name for name, _ in closed(units)] == ["ann", "bob"]


def test_tasks_of_another_draw_do_not_count():
    """A user whose arm changes with the weight has bet on the first one."""
    units = some_units()
    assert put(units, "ann", 0.0, weight=0.05)
    assert not put(units, "ann", 1.0, weight=0.5)
    assert not put(units, "ann", 2.0, weight=0.5, canary=True)
    assert put(units, "ann", 3.0, weight=0.05)
    put(units, "bob", 100.0)
    assert closed(units) == [("ann", [0.0, 0.0])]


@given(
    tasks=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.floats(0.0, 30.0), st.sampled_from([0.0, 1.0, inf]))
    ),
    cut=st.integers(0, 30),
)
def test_every_user_bets_once_and_a_resumed_grouping_goes_on(tasks, cut):
    whole, part = some_units(), some_units()
    names, now = {True: [], False: []}, 0.0
    for number, (key, gap, value) in enumerate(tasks):
        now += gap
        if number == cut:
            stored = json.loads(json.dumps(part.to_json(), allow_nan=False))
            part = some_units()
            part.load(stored)
        for units in (whole, part):
            put(units, key, now, value=value, canary=key < "c")
            names[units is whole] += closed(units)
    assert names[True] == names[False]
    assert part.to_json() == whole.to_json()
    keys = [name for name, _ in names[True]]
    assert len(keys) == len(set(keys))
    assert all(1 <= len(values) <= 3 for _, values in names[True])
    began = list(dict.fromkeys(key for key, _, _ in tasks))
    assert keys == began[: len(keys)]


@pytest.mark.parametrize(
    ("kind", "values", "is_split", "wanted"),
    [
        (Kind.SHARE, [0.0, 1.0, 1.0, 0.0], False, 0.5),
        (Kind.SCORE, [0.2, 0.4], False, pytest.approx(0.3)),
        (Kind.AMOUNT, [10.0, 20.0, 90.0], False, 40.0),
        (Kind.LATENCY, [1.0, inf, 2.0], False, 2.0),
        (Kind.LATENCY, [1.0, 3.0], True, (1.0, 3.0)),
        (Kind.SCORE, [], False, None),
    ],
)
def test_a_unit_has_one_value(kind, values, is_split, wanted):
    assert value_of_unit(kind, values, is_split=is_split) == wanted


def test_what_is_missing_adds_nothing_to_a_unit():
    units = some_units(signals=2)
    unit = units.place("ann", canary=False, weight=0.5, started_s=0.0)
    unit.note("t1", [0.0, Missing.UNMEASURED], failed=False)
    unit.note("t2", [1.0, (2.0, 3.0)], failed=True)
    assert unit.values == [[0.0, 1.0], [2.0, 3.0]]
    assert (unit.name, unit.failed) == ("t2", 1)


def alarm(seed, *, is_grouped, worse=0.0):
    """Whether users of very different luck, who have 20 tasks each, make a judge roll back."""
    rng = random.Random(seed)
    analysis = Analysis(
        signals=(COMPLETION,),
        alpha=0.05,
        beta=1e-9,  # nobody is promoted here
        is_grouped=is_grouped,
        unit_tasks=20,
        unit_window_s=1e9,
    )
    judge = Judge(analysis, role=ROLE, salt=SALT)
    users = [(rng.random() < 0.5, rng.betavariate(0.25, 2.25)) for _ in range(100)]
    number = 0
    for user, (canary, rate) in enumerate(users):
        arm = Arm.CANARY if canary else Arm.BASELINE
        unit = f"u{user}" if is_grouped else ""
        drawn = (Assignment(role=ROLE, salt=SALT, arm=arm, weight=50.0, unit=unit),)
        records = []
        for _ in range(20):
            number += 1
            failed = rng.random() < rate + worse * canary
            outcome = Outcome.FAILED if failed else Outcome.COMPLETED
            record = a_record(number, canary=canary, outcome=outcome)
            records.append(replace(record, assignments=drawn, started_s=float(number)))
        judge.feed(records)
        if judge.may_decide() and judge.verdict().ruling is Ruling.HARM:
            return True
    return False


def test_users_of_very_different_luck_accuse_nobody_when_each_bets_once():
    runs = range(16)
    by_task = sum(alarm(seed, is_grouped=False) for seed in runs)
    by_user = sum(alarm(seed, is_grouped=True) for seed in runs)
    assert by_task > 4  # what units are for: each task for itself is no draw of its own
    assert by_user <= 2
    assert all(alarm(seed, is_grouped=True, worse=0.5) for seed in range(5))


def test_a_verdict_counts_users_and_says_what_it_left_out():
    analysis = Analysis(signals=(COMPLETION,), is_grouped=True, unit_tasks=2, unit_window_s=1e6)
    judge = Judge(analysis, role=ROLE, salt=SALT)
    drawn = Assignment(role=ROLE, salt=SALT, arm=Arm.CANARY, weight=50.0, unit="ann")
    records = [
        replace(a_record(n, canary=True), assignments=(drawn,), started_s=float(n))
        for n in range(1, 6)
    ]
    judge.feed(records)
    verdict = judge.verdict()
    assert verdict.tasks_canary == 1
    assert verdict.left_out == (("beyond the first of its session or user", 3),)
