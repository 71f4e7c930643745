"""What becomes of a rollout in which no task of one arm closes."""

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.events import PauseCause
from rolewise.coordinator.rollout.state import Phase
from tests.unit.rollout.test_stories import one_role


def test_no_data_holds_until_it_is_overdue():
    story = one_role(analysis=Analysis(on_no_data="pause")).tick().work()
    story.no_data(overdue=False).no_data(after_s=60, overdue=False)
    assert story.state.phase is Phase.PROGRESSING
    story.no_data(after_s=900)
    assert story.state.pause.cause is PauseCause.NO_DATA
    assert story.state.reason == "no data: no task of the canary"


def test_a_pause_for_want_of_data_ends_when_data_come():
    story = one_role(analysis=Analysis(on_no_data="pause")).tick().work().no_data()
    story.no_data(after_s=60)
    assert story.state.phase is Phase.PAUSED
    story.tick("continue", after_s=10)
    assert story.state.phase is Phase.PROGRESSING
    story.tick("safe").work()
    assert story.state.weight == 100.0


def test_a_person_can_end_a_pause_for_want_of_data():
    story = one_role(analysis=Analysis(on_no_data="pause")).tick().work().no_data()
    assert "waits for a decision" in story.refuse(requests.Resume(at=story.now, by="ana")).message
    assert story.promote().work().state.weight == 100.0


def test_no_data_can_roll_back_or_be_waited_out():
    story = one_role(analysis=Analysis(on_no_data="rollback")).tick().work().no_data()
    assert story.state.phase is Phase.ROLLING_BACK
    story = one_role(analysis=Analysis(on_no_data="hold")).tick().work().no_data().no_data()
    assert story.state.phase is Phase.PROGRESSING
    assert story.told.count("VerdictGiven") == 1
