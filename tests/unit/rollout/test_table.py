"""Every phase with every request: its effect, or a refusal that changes nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rolewise.coordinator.plan.plan import Analyse, Pause, SetWeight
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.decide import (
    TABLE,
    Refusal,
    allowed_verbs,
    decide,
    phase_of,
    undo_target,
)
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.requests import Verb, verb_of
from rolewise.coordinator.rollout.state import NOT_STARTED, Phase
from tests.unit.rollout.world import T0, Story, a_plan, a_stage, a_start, says

WAITS_FOR_A_PERSON = a_plan(a_stage("supplier", SetWeight(weight=5.0), Pause()))


def completed() -> Story:
    story = Story(a_plan(a_stage("supplier", SetWeight(weight=100.0))))
    return story.tick().work().tick(after_s=21).work()


def failed() -> Story:
    return Story().tick().work().abort().fail(permanent=True)


# Name -> (phase, how it comes about).
MOMENTS = {
    "none": (None, None),
    "pending": (Phase.PENDING, Story),
    "setting a weight": (Phase.PROGRESSING, lambda: Story().tick()),
    "analysing": (Phase.PROGRESSING, lambda: Story().tick().work()),
    "paused by ana": (Phase.PAUSED, lambda: Story().tick().work().pause()),
    "paused setting a weight": (Phase.PAUSED, lambda: Story().tick().pause()),
    "paused by a step": (Phase.PAUSED, lambda: Story(WAITS_FOR_A_PERSON).tick().work()),
    "unsure": (Phase.PAUSED, lambda: Story().tick().work().tick("unsure")),
    "runtime error": (Phase.PAUSED, lambda: Story().tick().fail().fail().fail()),
    "rolling back": (Phase.ROLLING_BACK, lambda: Story().tick().work().abort()),
    "completed": (Phase.COMPLETED, completed),
    "rolled back": (Phase.ROLLED_BACK, lambda: Story().tick().work().abort().work()),
    "failed": (Phase.FAILED, failed),
}

AT = T0 + timedelta(hours=1)
ASKED = {
    "start": a_start(at=AT),
    "pause": requests.Pause(at=AT, by="bo"),
    "resume": requests.Resume(at=AT, by="bo"),
    "promote": requests.Promote(at=AT, by="bo"),
    "promote_full": requests.Promote(at=AT, by="bo", full=True),
    "abort": requests.Abort(at=AT, by="bo", reason="wrong"),
    "retry": requests.Retry(at=AT, by="bo"),
    "undo": requests.Undo(at=AT, by="bo"),
}

# Moment -> verbs that are taken, with the phase right after. All others are refused.
TAKEN = {
    "none": {"start": Phase.PENDING},
    "pending": {"pause": Phase.PAUSED, "abort": Phase.ROLLED_BACK},
    "setting a weight": {
        "pause": Phase.PAUSED,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "analysing": {
        "pause": Phase.PAUSED,
        "promote": Phase.PROGRESSING,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "paused by ana": {
        "resume": Phase.PROGRESSING,
        "promote": Phase.PROGRESSING,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "paused setting a weight": {
        "resume": Phase.PROGRESSING,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "paused by a step": {
        "promote": Phase.PROGRESSING,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "unsure": {
        "promote": Phase.PROGRESSING,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "runtime error": {
        "resume": Phase.PROGRESSING,
        "promote_full": Phase.PROGRESSING,
        "abort": Phase.ROLLING_BACK,
    },
    "rolling back": {"abort": Phase.ROLLING_BACK},
    "completed": {"undo": Phase.COMPLETED},
    "rolled back": {"retry": Phase.PENDING},
    "failed": {"retry": Phase.ROLLING_BACK},
}


def state_at(moment):
    phase, story = MOMENTS[moment]
    state = NOT_STARTED if story is None else story().state
    assert phase_of(state) is phase
    return state


@pytest.mark.parametrize("verb", ASKED)
@pytest.mark.parametrize("moment", MOMENTS)
def test_each_verb_at_each_moment(moment, verb):
    state = state_at(moment)
    before = repr(state)

    answer = decide(state, ASKED[verb])

    assert repr(state) == before
    if verb in TAKEN[moment]:
        assert not isinstance(answer, Refusal), answer.message
        assert replay(answer, state).phase is TAKEN[moment][verb]
    else:
        assert isinstance(answer, Refusal)
        assert (answer.verb, answer.phase) == (verb, phase_of(state))
        assert answer.reason
        assert answer.allowed == allowed_verbs(state)


@pytest.mark.parametrize("moment", MOMENTS)
def test_allowed_verbs_are_those_that_are_taken(moment):
    assert {str(verb) for verb in allowed_verbs(state_at(moment))} == set(TAKEN[moment])


@pytest.mark.parametrize("moment", [name for name, (phase, _) in MOMENTS.items() if phase])
def test_ticks_and_late_acknowledgements_are_never_refused(moment):
    state = state_at(moment)
    assert decide(state, requests.Acknowledge(at=AT, command="gone", ok=True)) == ()
    assert isinstance(decide(state, requests.Tick(at=AT, verdict=says("continue"))), tuple)


@pytest.mark.parametrize("moment", ["completed", "rolled back", "failed"])
def test_a_final_phase_does_nothing_by_itself(moment):
    state = state_at(moment)
    assert decide(state, requests.Tick(at=AT, verdict=says("harm"))) == ()


def test_every_phase_that_is_not_final_takes_abort_and_ticks():
    for phase in Phase:
        assert ((phase, requests.Abort) in TABLE) is (not phase.is_final)
        assert (phase, requests.Tick) in TABLE


@pytest.mark.parametrize("moment", [name for name, (phase, _) in MOMENTS.items() if phase])
def test_a_succession_is_one_line_for_each_lease_of_a_rollout_under_way(moment):
    state = state_at(moment)
    once = decide(state, requests.TakeOver(at=AT, holder="second", fencing=4))
    if state.phase.is_final or state.phase is Phase.PENDING:
        assert once == ()
        return
    (line,) = once
    assert (line.holder, line.fencing) == ("second", 4)
    after = replay(once, state)
    assert replace(after, sequence=state.sequence, fencing=0) == state
    for known in (3, 4):
        assert decide(after, requests.TakeOver(at=AT, holder="second", fencing=known)) == ()


def test_a_refusal_says_what_is_allowed_instead():
    answer = decide(state_at("paused by a step"), ASKED["resume"])
    assert isinstance(answer, Refusal)
    assert answer.message == (
        "cannot resume: it waits for a decision (this step waits for a person: promote or abort): "
        "promote goes on, abort rolls back; allowed now: promote, promote_full, abort"
    )


def test_undo_leads_to_the_release_before():
    assert undo_target(state_at("completed")) == {"supplier": "v1", "carrier": "v1"}
    refused = undo_target(state_at("analysing"))
    assert isinstance(refused, Refusal)
    assert refused.verb == Verb.UNDO
    nothing = undo_target(NOT_STARTED)
    assert isinstance(nothing, Refusal)
    assert nothing.allowed == (Verb.START,)


def test_undo_of_a_rollback_that_kept_an_earlier_stage():
    story = Story(a_plan(a_stage("supplier", SetWeight(weight=100.0)), a_stage("orchestrator")))
    story.tick().work().tick(after_s=21).work().abort().work()
    assert story.state.release == {"supplier": "v2", "orchestrator": "v1", "carrier": "v1"}
    assert undo_target(story.state) == story.state.plan.from_release


def test_start_is_refused_when_the_fleet_is_not_as_planned():
    plan = a_plan()
    for routes, words in [
        (("carrier",), "the fleet has no role supplier"),
        (("carrier", "supplier@v9"), "but the fleet runs v9"),
    ]:
        request = a_start(plan)
        roles = dict(part.split("@") if "@" in part else (part, "v1") for part in routes)
        table = type(request.table)(
            number=1,
            routes=tuple(
                type(request.table.routes[0])(role=role, stable=version)
                for role, version in roles.items()
            ),
        )
        answer = decide(
            NOT_STARTED,
            requests.Start(at=AT, rollout="r", plan=plan, table=table, salt="s", by="ana"),
        )
        assert isinstance(answer, Refusal)
        assert words in answer.reason


def test_times_without_offset_are_not_taken():
    with pytest.raises(ValueError, match="want a time in UTC"):
        requests.Tick(at=T0.replace(tzinfo=None))


def test_verbs_have_names_and_the_controllers_requests_have_none():
    assert [str(verb_of(request)) for request in ASKED.values()] == list(ASKED)
    assert verb_of(requests.Tick(at=AT)) is None


def test_an_analysis_step_wants_its_own_evidence():
    state = state_at("analysing")
    assert isinstance(state.current_step, Analyse)
    assert state.wanted_evidence == "gate"
    assert state_at("setting a weight").wanted_evidence is None
