"""Livelock: what a task's figures are, which flags they raise, what is progress and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.graphs.guard_limits import GuardLimits
from rolewise.graphs.loop_batch import LoopEvents, Step, learn_limits, loop_figures
from rolewise.graphs.loops import (
    DEFAULT_LIMITS,
    FLAGS,
    LATE_NS,
    Figure,
    TaskLoops,
    find_breach,
    flag_names,
    raised_flags,
)

SECOND = 1_000_000_000
FIELDS = ("step", "digest", "src", "dst", "kind", "hop", "size", "attempt", "at_ns")


def send(digest, src=1, dst=2, **more):
    return {"step": Step.SENT, "digest": digest, "src": src, "dst": dst, **more}


def reply(digest):
    return {"step": Step.REPLIED, "digest": digest}


PROGRESS = {"step": Step.PROGRESSED}


def online(events):
    task = TaskLoops()
    for event in events:
        values = {name: int(event.get(name, 0)) for name in FIELDS}
        match Step(values.pop("step")):
            case Step.SENT:
                task.sent(values.pop("digest"), **values)
            case Step.REPLIED:
                task.replied(values["digest"])
            case Step.FAILED:
                task.failed(values["digest"])
            case Step.PROGRESSED:
                task.progressed()
            case Step.ENDED:
                task.ended(values["at_ns"])
    return task.figures


def batch(*tasks, order=None):
    rows = [(number, event) for number, events in enumerate(tasks) for event in events]
    if order is not None:
        rows = order(rows)
    columns = {
        name: np.array([event.get(name, 0) for _, event in rows], np.uint64)
        if name == "digest"
        else np.array([event.get(name, 0) for _, event in rows], np.int64)
        for name in FIELDS
    }
    owner = np.array([number for number, _ in rows], np.int64)
    return loop_figures(LoopEvents(task=owner, **columns), len(tasks))


def flags(events):
    return set(flag_names(raised_flags(np.array([online(events)]))[0]))


EVENT = st.fixed_dictionaries(
    {
        "step": st.sampled_from([Step.SENT] * 6 + list(Step)),
        "digest": st.sampled_from([0, 1, 2, 3, 1 << 32 | 1, 2 << 32 | 1]),
        "src": st.integers(0, 2),
        "dst": st.integers(0, 2),
        "kind": st.integers(0, 1),
        "hop": st.integers(0, 40),
        "size": st.integers(0, 50),
        "attempt": st.sampled_from([0, 0, 0, 1]),
        "at_ns": st.integers(0, 30).map(lambda s: s * SECOND),
    }
)
LOOPS = st.builds(
    lambda cycle, times, size: [
        {**e, "size": e["size"] + i * size} for i in range(times) for e in cycle
    ],
    st.lists(EVENT, min_size=1, max_size=9),
    st.integers(1, 12),
    st.integers(0, 3),
)
TASK = st.lists(LOOPS, max_size=4).map(lambda parts: [event for part in parts for event in part])


@settings(max_examples=150, deadline=None)
@given(st.lists(TASK, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_many_at_once_give_the_figures_of_one_by_one(tasks, random):
    def interleaved(rows):
        left = [[row for row in rows if row[0] == n] for n in range(len(tasks))]
        mixed = []
        while any(left):
            mixed.append(random.choice([part for part in left if part]).pop(0))
        return mixed

    expected = np.array([online(events) for events in tasks])

    np.testing.assert_allclose(batch(*tasks, order=interleaved), expected, atol=1e-9)


def test_memory_of_what_was_seen_is_bounded_alike():
    events = [send(n) for n in range(1, 5001)] + [send(5000), send(1)] * 40
    events += [reply(n) for n in range(1, 4200)] + [
        send(9),
        reply(4150),
        send(9),
        reply(7),
        send(9),
    ]

    np.testing.assert_allclose(batch(events)[0], online(events), atol=1e-9)


@given(st.integers(1, 8), st.integers(3, 6))
def test_a_cycle_of_up_to_eight_messages_is_a_repeat(period, times):
    cycle = [send(number) for number in range(1, period + 1)]

    assert online(cycle * times)[Figure.REPEAT] == times
    assert "repeat" in flags(cycle * times)


def test_a_cycle_of_nine_is_too_long_to_see():
    assert online([send(number) for number in range(1, 10)] * 5)[Figure.REPEAT] == 1


@pytest.mark.parametrize("moved", [PROGRESS, reply(77)])
def test_repeats_before_progress_do_not_count(moved):
    steps = [send(5), reply(1), send(5), reply(1), {**moved, "digest": moved.get("digest", 0)}]

    assert flags([*steps, send(5), send(5)]) == set()


def test_checking_again_after_each_repair_is_no_livelock():
    repairs = [
        step
        for n in range(10)
        for step in (send(100 + n), reply(200 + n), send(5), reply(1), send(5), reply(1))
    ]

    assert flags(repairs) == set()


def test_the_same_call_with_the_same_result_is_one():
    assert flags([send(5), reply(1)] * 3) == set(), "three calls may be chance"
    assert flags([send(5), reply(1)] * 4) == {"repeat"}


def test_a_reply_that_nobody_looked_at_is_taken_for_news():
    assert flags([send(5), reply(0)] * 20) == set()


def swing(words, shape=7):
    there, back = (words << 32) | shape, (words << 32) | (shape + 1)
    return [send(there, 1, 2), send(back, 2, 1)]


def test_two_roles_that_only_change_words_play_ping_pong():
    talk = [message for words in range(4) for message in swing(words)]

    assert flags(talk) == {"ping_pong"}
    assert online(talk)[Figure.PING_PONG] == len(talk) - 1


def test_one_role_that_says_two_things_in_turn_does_not():
    assert "ping_pong" not in flags([send(1, 1, 2), send(2, 1, 2)] * 9)


def test_a_haggle_that_marks_progress_is_no_ping_pong():
    talk = [step for words in range(30) for step in [*swing(words), PROGRESS]]

    assert flags(talk) == set()


def test_thirty_messages_without_progress_are_stalled():
    begin = [send(n) for n in range(1, 31)]

    assert "stalled" not in flags(begin)
    assert "stalled" in flags([*begin, send(99)])
    assert "stalled" not in flags([*begin, PROGRESS, *(send(100 + n) for n in range(30))])


def test_little_that_is_new_is_told_only_after_thirty_messages():
    talk = [step for n in range(15) for step in (send(1), send(2 + n % 3), PROGRESS)]

    assert "low_novelty" not in flags(talk[: 3 * 14])
    assert "low_novelty" in flags(talk)


def test_context_that_grows_without_progress_is_told():
    assert "growth" in flags([send(n + 1, size=100 + 7 * n) for n in range(25)])
    assert "growth" not in flags([send(n + 1, size=100) for n in range(25)])
    growing = [step for n in range(40) for step in (send(n + 1, size=100 + n), PROGRESS)]
    assert "growth" not in flags(growing)


def test_four_retries_on_one_edge_are_a_storm():
    tried = [send(5), {"step": Step.FAILED, "digest": 5}, PROGRESS]

    assert "retry_storm" not in flags(tried * 4)
    assert "retry_storm" in flags(tried * 5)
    assert "retry_storm" in flags(
        [step for n in range(4) for step in (send(n + 1, attempt=1), PROGRESS)]
    )


def test_sending_after_the_end_is_told_when_it_is_late():
    end = {"step": Step.ENDED, "at_ns": 3 * SECOND}

    assert flags([send(1), end, send(2, at_ns=3 * SECOND + LATE_NS - 1)]) == set()
    assert flags([send(1), end, send(2, at_ns=3 * SECOND + LATE_NS)]) == {"after_the_end"}


def test_depth_and_size_are_told_beyond_what_is_allowed():
    assert flags([send(1, hop=32)]) == set()
    assert flags([send(1, hop=33)]) == {"hops"}
    many = [step for n in range(1001) for step in (send(n + 1), PROGRESS)]
    assert flags(many[:-2]) == set()
    assert flags(many) == {"size"}


def test_guards_break_later_than_flags_and_say_which_limit():
    limits = GuardLimits()
    talk = [send(n) for n in range(1, 92)]

    assert "stalled" in flags(talk)
    assert find_breach(online(talk), limits) == ""
    told = find_breach(online([*talk, send(99)]), limits)
    assert told == "91 messages without progress, the limit is 90"
    assert find_breach(online([send(1, hop=33)]), limits).startswith("33 messages one caused by")
    assert find_breach(online([send(1, hop=33)]), GuardLimits(hops=0)) == ""


def figures_of(repeats, stalled):
    figures = np.zeros((len(repeats), len(Figure)))
    figures[:, Figure.REPEAT] = repeats
    figures[:, Figure.STALLED] = stalled
    return figures


def test_limits_are_learnt_from_many_tasks_only():
    assert learn_limits(figures_of([9] * 99, [9] * 99)).tolist() == list(DEFAULT_LIMITS)


def test_learnt_limits_follow_the_baseline_but_not_below_half_the_default():
    learnt = learn_limits(figures_of([9] * 400, [2] * 400))

    assert learnt[Figure.REPEAT] == 10
    assert learnt[Figure.STALLED] == DEFAULT_LIMITS[Figure.STALLED] / 2


def test_with_too_few_tasks_to_tell_the_largest_is_still_usual():
    repeats = [1] * 119 + [50]

    assert learn_limits(figures_of(repeats, [0] * 120))[Figure.REPEAT] == 51


def test_a_further_task_of_the_same_kind_is_seldom_flagged():
    random = np.random.default_rng(3)
    alarms = []
    for _ in range(400):
        figures = figures_of(random.geometric(0.05, 401), random.geometric(0.02, 401))
        limits = learn_limits(figures[:400])
        alarms.append(raised_flags(figures[400:], limits)[0])

    # 400 x 2 chances of at most 0.005 each: more than 12 have a chance below 0.001.
    assert np.array(alarms)[:, [Figure.REPEAT, Figure.STALLED]].sum() <= 12


def test_no_event_no_figure():
    assert batch([], []).tolist() == [[0.0] * len(Figure)] * 2
    assert len(FLAGS) == len(DEFAULT_LIMITS) == len(Figure)
