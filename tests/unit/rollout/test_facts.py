"""Hard facts that are not the new version's fault: they pause, once, and outrank nothing."""

from dataclasses import replace

from rolewise.coordinator.rollout.events import PauseCause
from rolewise.coordinator.rollout.state import Phase
from tests.unit.rollout.world import DEADLOCK, OTHERS, Story, a_plan, a_stage


def one_role(*steps, analysis=None, **plan) -> Story:
    return Story(a_plan(a_stage("supplier", *steps, analysis=analysis), **plan))


def test_a_fact_that_is_not_its_fault_pauses_once():
    story = one_role().tick().work()
    weight = story.state.weight
    story.tick(facts=(OTHERS,))
    assert (story.state.phase, story.state.pause.cause) == (Phase.PAUSED, PauseCause.FACT)
    assert story.state.reason == OTHERS.sentence
    assert story.log[-1].facts == (OTHERS,)
    before = len(story.log)
    story.tick(facts=(OTHERS,), after_s=60)
    assert (len(story.log), story.state.weight) == (before, weight)
    story.resume().tick(facts=(OTHERS,))
    assert story.state.phase is Phase.PROGRESSING, "a person has seen it"
    another = replace(OTHERS, key="deadlock robot")
    story.tick(facts=(OTHERS, another))
    assert story.state.phase is Phase.PAUSED
    assert story.log[-1].facts == (another,)


def test_a_fact_that_rolls_back_outranks_one_that_pauses():
    story = one_role().tick().work()
    story.tick(facts=(OTHERS, DEADLOCK))
    assert story.state.phase is Phase.ROLLING_BACK
    assert story.state.rollback.facts == (DEADLOCK,)


def test_paused_for_a_fact_it_still_rolls_back_on_another():
    for more in ({"facts": (DEADLOCK,)}, {"ruling": "harm"}):
        story = one_role().tick().work().tick(facts=(OTHERS,)).tick(**more)
        assert story.state.phase is Phase.ROLLING_BACK


def test_the_next_stage_is_paused_for_it_again():
    story = Story().tick().work().tick(facts=(OTHERS,)).resume().promote(full=True).work()
    story.tick(after_s=20).work()
    assert story.state.stage == 1
    story.tick(facts=(OTHERS,))
    assert story.state.pause.cause is PauseCause.FACT
