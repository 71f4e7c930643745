"""Views and their words: whole JSON for everything that a rollout or an agent can come up with."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence
from rolewise.coordinator.plan.plan import Pause
from rolewise.coordinator.rollout.events import Event, VerdictGiven
from rolewise.coordinator.rollout.state import Phase
from rolewise.coordinator.views import (
    RolloutView,
    view_event,
    view_rollout,
    view_task,
    view_verdict,
)
from rolewise.coordinator.views.base import to_jsonable
from rolewise.coordinator.wording import duration, tell_step, tell_verdict
from rolewise.fleet.task import TaskRecord
from tests.unit.rollout.world import T0, Story, a_plan, a_stage, says


def promoted() -> Story:
    return Story().tick().work().tick("safe").work().tick(after_s=10.0).work()


def completed() -> Story:
    story = Story()
    for _ in story.state.plan.stages:
        story.tick().work().tick("safe").work().tick(after_s=10.0).work()
        story.tick(after_s=20.0).work()
    return story


def rolled_back() -> Story:
    return Story().tick().work().tick("harm").work()


def failed() -> Story:
    story = Story().tick().work().abort()
    return story.fail("no such node", permanent=True)


STORIES = {
    "begun": Story,
    "on trial": lambda: Story().tick().work(),
    "paused and resumed": lambda: Story().tick().pause().resume(),
    "promoted": promoted,
    "completed": completed,
    "promoted in full": lambda: Story().tick().promote(full=True).work(),
    "rolled back": rolled_back,
    "tried again": lambda: rolled_back().retry(),
    "failed": failed,
    "taken over": lambda: Story().tick().take_over(),
}


@pytest.mark.parametrize("name", STORIES)
def test_every_state_and_event_has_words_and_survives_json(name: str):
    story = STORIES[name]()
    view = view_rollout(story.state)
    assert RolloutView.model_validate_json(view.to_json()) == view
    assert view.sequence == len(story.log)
    assert bool(view.moment) == (not story.state.phase.is_final)
    for number, event in enumerate(story.log, start=1):
        shown = view_event(number, event, story.state)
        assert shown.text
        assert "\n" not in shown.text
        json.dumps(shown.model_dump(mode="json"), allow_nan=False)


def test_the_stories_meet_every_event():
    met = {type(event) for story in STORIES.values() for event in story().log}
    assert met == set(get_args(Event))


def test_equal_states_give_equal_bytes():
    assert view_rollout(promoted().state).to_json() == view_rollout(promoted().state).to_json()


def test_releases_are_in_the_order_of_their_roles():
    view = view_rollout(Story(a_plan(a_stage("zebra"), a_stage("ant"))).state)
    assert list(view.to_release) == ["ant", "carrier", "zebra"]


def test_steps_show_where_a_stage_stands():
    def states(story: Story) -> list[str]:
        return [step.state for step in view_rollout(story.state).stages[0].steps]

    assert states(Story()) == ["waiting"] * 4
    assert states(Story().tick().work()) == ["done", "current", "waiting", "waiting"]
    assert states(rolled_back()) == ["done", "stopped", "skipped", "skipped"]


def test_a_newer_word_of_the_judge_is_shown_unless_it_is_about_the_step_before():
    state = Story().tick().work().state
    assert state.step_since is not None
    newer = VerdictGiven(at=state.step_since, verdict=says("continue", "more"))
    older = replace(newer, at=T0.replace(year=2025))
    shown = view_rollout(state, newer).verdict
    assert shown is not None
    assert shown.reason == "more"
    assert view_rollout(state, older).verdict == view_rollout(state).verdict
    done = rolled_back().state
    assert done.phase is Phase.ROLLED_BACK
    assert view_rollout(done, replace(newer, at=T0.replace(year=2027))) == view_rollout(done)


def test_what_has_no_bound_is_null():
    signal = SignalEvidence(
        name="latency",
        ruling=Ruling.CONTINUE,
        baseline=None,
        canary=math.inf,
        difference=math.nan,
        interval=(-math.inf, 0.5),
        limit=0.5,
        e_harm=1.0,
        e_safe=1.0,
        harm_at=100.0,
        safe_at=20.0,
        tasks_baseline=0,
        tasks_canary=1,
    )
    (shown,) = view_verdict(replace(says("continue"), signals=(signal,))).signals
    assert (shown.canary, shown.difference, shown.interval) == (None, None, (None, 0.5))


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("not even that")


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "result", [object(), {1, 2}, b"\xff", math.nan, CIRCLE, {(1, 2): 3}, Odd()]
)
def test_whatever_an_agent_returns_can_be_shown(result: Any):
    view = view_task(TaskRecord(task="t", number=1, table=1, result=result), "shop")
    json.loads(view.to_json(), parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_what_is_json_already_stays_as_it_is(value: Any):
    assert to_jsonable(value) == value


def test_the_ruling_is_said_once():
    assert tell_verdict(says("safe", "safe: completion holds")) == (
        "verdict safe: completion holds"
    )
    assert tell_verdict(says("safe", "all is well")) == "verdict safe: all is well"


@pytest.mark.parametrize(
    ("limit_s", "words"),
    [
        (0.25, "250 ms"),
        (12.0, "12 s"),
        (60.0, "1 min"),
        (90.0, "1 min 30 s"),
        (3600.0, "1 h"),
        (7500.0, "2 h 05 min"),
    ],
)
def test_durations_read_as_people_say_them(limit_s: float, words: str):
    assert duration(limit_s) == words
    assert tell_step(Pause(duration_s=limit_s)) == f"wait {words}"
