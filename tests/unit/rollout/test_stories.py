"""Whole rollouts, told as given, when, then."""

import pytest

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.plan import Analyse, Pause, SetWeight
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.events import PauseCause, StageReverted, VerdictGiven
from rolewise.coordinator.rollout.state import Phase, StageStatus, Trial, pending_commands
from tests.unit.rollout.world import DEADLOCK, Story, a_plan, a_stage, a_table, pending


def one_role(*steps, analysis=None, **plan) -> Story:
    return Story(a_plan(a_stage("supplier", *steps, analysis=analysis), **plan))


def one_done(*, roll_back_all: bool = False) -> Story:
    """The supplier runs v2, the orchestrator's trial has just begun at 5 %."""
    first = a_stage("supplier", SetWeight(weight=100.0))
    story = Story(a_plan(first, a_stage("orchestrator"), roll_back_all=roll_back_all))
    story.tick().work().tick(after_s=20).work()
    story.done.clear()
    return story


class TestTheWayForward:
    def test_a_good_release_goes_role_by_role_to_the_end(self):
        story = Story().tick().work()
        assert story.state.weight == 5.0
        story.tick("continue").tick("safe").work()
        assert story.state.weight == 100.0
        story.tick(after_s=9)
        assert story.state.status is StageStatus.STEPPING
        story.tick(after_s=1).work()
        assert story.state.status is StageStatus.BAKING
        story.tick(after_s=20).work()
        assert story.state.statuses == (StageStatus.DONE, StageStatus.STEPPING)
        story.tick("safe").work().tick(after_s=10).work().tick(after_s=20).work()

        assert story.state.phase is Phase.COMPLETED
        assert story.state.release == story.state.plan.to_release
        assert story.effects == [
            "bring supplier v2 to 1 replicas",
            "install routing table 8",
            "bring supplier v2 to 3 replicas",
            "install routing table 9",
            "install routing table 10",
            "drain supplier v1 within 5 s",
            "stop supplier v1",
            "bring orchestrator v2 to 1 replicas",
            "install routing table 11",
            "bring orchestrator v2 to 3 replicas",
            "install routing table 12",
            "install routing table 13",
            "drain orchestrator v1 within 5 s",
            "stop orchestrator v1",
        ]

    def test_the_log_of_a_stage(self):
        story = one_role(SetWeight(weight=5.0), Analyse()).tick().work().tick("safe").work()
        assert [name for name in story.told if name != "CommandAcknowledged"] == [
            "RolloutStarted",
            "StageStarted",
            "ReplicasRequested",
            "StepStarted",
            "WeightSet",
            "TableChanged",
            "StepStarted",
            "VerdictGiven",
            "StagePromoted",
            "ReplicasRequested",
            "WeightSet",
            "TableChanged",
            "BakeStarted",
        ]

    def test_one_verdict_ends_one_step_only(self):
        story = one_role(SetWeight(weight=5.0), Analyse(evidence="gate"), Analyse()).tick().work()
        story.tick("safe")
        assert (story.state.step, story.state.wanted_evidence) == (2, "full")
        story.tick("safe")
        assert story.state.status is StageStatus.PROMOTING

    def test_a_ruling_is_recorded_when_it_changes(self):
        story = Story().tick().work()
        for ruling in ("no_data", "continue", "continue", "no_data", "no_data", "continue"):
            story.tick(ruling)
        given = [e.verdict.ruling for e in story.log if isinstance(e, VerdictGiven)]
        assert given == ["no_data", "continue", "no_data", "continue"]
        assert story.state.phase is Phase.PROGRESSING

    def test_each_trial_has_a_salt_of_its_own(self):
        story = Story().tick()
        assert story.state.trial == Trial(role="supplier", version="v2", salt="pepper.1.supplier")
        story.work()
        assert story.state.table.by_role["supplier"].salt == "pepper.1.supplier"
        story.abort().work().retry().tick().work()
        assert story.state.table.by_role["supplier"].salt == "pepper.2.supplier"

    def test_replicas_come_before_the_weight_that_needs_them(self):
        story = one_role(SetWeight(weight=50.0), SetWeight(weight=51.0)).tick().work()
        assert story.effects[:4] == [
            "bring supplier v2 to 1 replicas",
            "install routing table 8",
            "bring supplier v2 to 3 replicas",
            "install routing table 9",
        ]


class TestPauses:
    def test_pause_time_is_not_progress_time(self):
        story = one_role(SetWeight(weight=5.0), Pause(duration_s=10)).tick().work()
        story.tick(after_s=6).pause().tick(after_s=1000).resume()
        assert story.state.status is StageStatus.STEPPING
        assert (story.state.timer_ends - story.now).total_seconds() == 4
        story.tick(after_s=3.9)
        assert story.state.status is StageStatus.STEPPING
        story.tick(after_s=0.1)
        assert story.state.status is StageStatus.PROMOTING

    def test_nothing_new_is_sent_out_and_what_was_under_way_is_noted(self):
        story = Story().tick()
        (command,) = pending_commands(story.state)
        story.pause()
        assert pending(story.state) == []
        assert story.state.replicas_of("supplier", "v2") == 0
        story.acknowledge(command)
        assert story.state.replicas_of("supplier", "v2") == 1
        assert story.state.phase is Phase.PAUSED
        assert story.state.weight == 0.0
        story.resume().work()
        assert story.state.weight == 5.0

    def test_a_pause_before_the_beginning(self):
        story = Story().pause().tick()
        assert (story.state.phase, story.state.trial) == (Phase.PAUSED, None)
        story.resume()
        assert story.state.status is StageStatus.PREPARING

    def test_a_step_waits_for_a_person(self):
        story = one_role(SetWeight(weight=5.0), Pause(), SetWeight(weight=20.0)).tick().work()
        assert story.state.pause.cause is PauseCause.STEP
        story.tick("safe", after_s=9999)
        assert story.state.phase is Phase.PAUSED
        story.promote().work()
        assert story.state.weight == 100.0

    def test_safe_during_a_pause_is_asked_for_again_after_it(self):
        story = Story().tick().work().pause().tick("safe").resume()
        assert (story.state.step, story.state.phase) == (1, Phase.PROGRESSING)
        story.tick("safe")
        assert story.state.step == 2

    def test_unsure_pauses_and_a_promotion_goes_on(self):
        story = Story().tick().work().tick("unsure")
        assert (story.state.phase, story.state.reason) == (Phase.PAUSED, "the judge says unsure")
        story.promote().work()
        assert (story.state.step, story.state.weight) == (3, 100.0)

    @pytest.mark.parametrize(
        ("reaction", "phase"), [("hold", Phase.PROGRESSING), ("rollback", Phase.ROLLING_BACK)]
    )
    def test_unsure_can_hold_or_roll_back_instead(self, reaction, phase):
        story = one_role(analysis=Analysis(on_unsure=reaction)).tick().work()
        story.tick("unsure").tick("unsure")
        assert story.state.phase is phase
        assert story.told.count("VerdictGiven") == 1

    def test_full_skips_steps_but_not_the_bake_and_its_guards(self):
        story = Story().tick().work().promote(full=True).work()
        assert (story.state.status, story.state.weight) == (StageStatus.BAKING, 100.0)
        story.tick(after_s=20).work()
        assert story.state.statuses == (StageStatus.DONE, StageStatus.BAKING)
        story.tick("harm")
        assert story.state.phase is Phase.ROLLING_BACK
        assert story.told.count("StepStarted") == 2

    def test_a_promotion_ends_the_bake(self):
        story = one_role(SetWeight(weight=100.0)).tick().work().promote()
        assert story.state.status is StageStatus.DRAINING


class TestTheWayBack:
    def test_harm_sends_every_task_to_stable_first(self):
        story = Story().tick().work()
        story.done.clear()
        story.tick("harm").work()
        assert story.effects == [
            "install routing table 9",
            "drain supplier v2 within 5 s",
            "stop supplier v2",
        ]
        assert story.state.phase is Phase.ROLLED_BACK
        assert story.state.rollback.reason == "the judge says harm"
        assert story.state.table.withdrawn == {("supplier", "v2")}
        assert story.state.release == story.state.plan.from_release

    def test_a_hard_fact_outranks_a_safe_verdict_and_the_plan(self):
        story = one_role(analysis=Analysis(on_harm="hold")).tick().work()
        story.tick("safe", facts=(DEADLOCK,))
        assert story.state.phase is Phase.ROLLING_BACK
        assert story.state.reason == DEADLOCK.sentence
        assert story.state.rollback.facts == (DEADLOCK,)

    @pytest.mark.parametrize(
        "moment",
        [
            lambda: Story().tick(),
            lambda: Story().tick().work(),
            lambda: Story().tick().work().pause(),
            lambda: one_role(SetWeight(weight=5.0), Pause()).tick().work(),
            lambda: one_role(SetWeight(weight=100.0)).tick().work(),
            lambda: one_role(SetWeight(weight=100.0)).tick().work().tick(after_s=20),
            lambda: one_role(SetWeight(weight=100.0)).tick().work().pause(),
        ],
        ids=["preparing", "analysing", "paused", "waits", "baking", "draining", "paused bake"],
    )
    def test_guards_never_sleep(self, moment):
        for facts, ruling in (((DEADLOCK,), ""), ((), "harm")):
            story = moment()
            story.tick(ruling, facts=facts).work()
            assert story.state.phase is Phase.ROLLED_BACK
            assert story.state.release == story.state.plan.from_release
            assert story.state.weight == 0.0

    def test_harm_after_100_percent_brings_the_warm_version_back_at_once(self):
        story = one_role(SetWeight(weight=100.0)).tick().work()
        story.done.clear()
        story.tick("harm").work()
        assert story.effects[0] == "install routing table 10"
        assert story.state.replicas == {("supplier", "v1"): 3, ("supplier", "v2"): 0}

    def test_a_version_that_was_told_to_drain_is_brought_up_before_it_gets_tasks(self):
        story = one_role(SetWeight(weight=100.0)).tick().work().tick(after_s=20)
        assert pending(story.state) == ["drain supplier v1 within 5 s"]
        story.abort()
        assert pending(story.state) == ["bring supplier v1 to 3 replicas"]

    def test_a_stop_that_was_never_acknowledged_counts_as_carried_out(self):
        story = one_role(SetWeight(weight=100.0)).tick().work().tick(after_s=20)
        story.acknowledge(*pending_commands(story.state))
        assert pending(story.state) == ["stop supplier v1"]
        story.abort()
        assert pending(story.state) == ["bring supplier v1 to 3 replicas"]

    def test_a_start_that_was_never_acknowledged_is_stopped_all_the_same(self):
        story = Story().tick().abort().work()
        assert story.effects[-1] == "stop supplier v2"

    def test_stages_that_are_done_stay(self):
        story = one_done().abort().work()
        assert story.state.statuses == (StageStatus.DONE, StageStatus.REVERTED)
        assert story.state.release == {"supplier": "v2", "orchestrator": "v1", "carrier": "v1"}

    def test_or_go_back_too_in_reverse_order(self):
        story = one_done(roll_back_all=True).abort().work()
        assert story.effects[-8:] == [
            "install routing table 11",
            "drain orchestrator v2 within 5 s",
            "stop orchestrator v2",
            "bring supplier v1 to 3 replicas",
            "install routing table 12",
            "drain supplier v2 within 5 s",
            "stop supplier v2",
        ]
        assert story.state.statuses == (StageStatus.REVERTED, StageStatus.REVERTED)
        assert story.state.release == story.state.plan.from_release

    def test_three_stages_go_back_in_the_reverse_of_their_order(self):
        roles = ("robot", "supplier", "orchestrator")
        stages = [a_stage(role, SetWeight(weight=100.0), Pause()) for role in roles]
        story = Story(a_plan(*stages, roll_back_all=True)).tick()
        for _ in range(2):
            story.work().promote().work().tick(after_s=20)
        story.work().abort().work()
        reverted = [event.stage for event in story.log if isinstance(event, StageReverted)]
        assert reverted == [2, 1, 0]

    def test_harm_can_ask_a_person_who_accepts_it(self):
        story = one_role(analysis=Analysis(on_harm="pause")).tick().work().pause()
        paused_at = story.now
        story.tick("harm", after_s=60)
        assert story.state.pause.cause is PauseCause.HARM
        assert story.state.pause.since == paused_at
        before = len(story.log)
        story.tick("harm")
        assert len(story.log) == before
        story.promote().work().tick("harm")
        assert (story.state.phase, story.state.weight) == (Phase.PROGRESSING, 100.0)
        story.tick(facts=(DEADLOCK,))
        assert story.state.phase is Phase.ROLLING_BACK

    def test_harm_can_be_only_noted(self):
        story = one_role(analysis=Analysis(on_harm="hold")).tick().work().tick("harm").tick("harm")
        assert story.state.phase is Phase.PROGRESSING
        assert story.state.verdict.ruling is Ruling.HARM
        assert story.told.count("VerdictGiven") == 1

    def test_abort_is_noted_once_while_it_rolls_back(self):
        story = Story().tick().work().tick("harm").abort().abort()
        assert story.told.count("AbortRequested") == 1
        assert story.state.aborted_by == "ana"


class TestCommandsThatFail:
    def test_a_command_is_tried_again_then_the_rollout_pauses(self):
        story = Story().tick()
        before = pending_commands(story.state)
        story.fail().fail()
        assert pending_commands(story.state) == before
        story.fail("no route to host")
        assert story.state.pause.cause is PauseCause.RUNTIME_ERROR
        assert story.state.reason == ("could not bring supplier v2 to 1 replicas: no route to host")
        assert story.resume().state.phase is Phase.PROGRESSING
        assert pending_commands(story.state) == before
        story.fail().work()
        assert story.state.weight == 5.0

    def test_what_cannot_be_done_rolls_back_at_once(self):
        story = Story().tick().fail("the cluster has no room", permanent=True).work()
        assert story.state.phase is Phase.ROLLED_BACK
        assert story.state.reason.endswith("the cluster has no room")

    def test_a_rollback_that_fails_says_what_is_left_and_can_be_finished(self):
        story = one_done(roll_back_all=True).abort()
        for _ in range(10):
            story.fail()
        assert story.state.phase is Phase.FAILED
        assert story.state.left == (
            "install routing table 11: boom",
            "bring orchestrator back to v1",
            "bring supplier back to v1",
        )
        assert pending(story.state) == []
        story.retry().work()
        assert story.state.phase is Phase.ROLLED_BACK
        assert story.state.release == story.state.plan.from_release

    def test_a_failure_during_a_pause_is_only_noted(self):
        story = Story().tick()
        (command,) = pending_commands(story.state)
        story.pause()
        story.take(requests.Acknowledge(at=story.now, command=command.id, ok=False, permanent=True))
        assert (story.state.phase, story.state.failures) == (Phase.PAUSED, 1)

    def test_an_old_command_changes_nothing(self):
        story = Story().tick()
        (old,) = pending_commands(story.state)
        story.abort()
        before = story.state
        assert story.acknowledge(old).state == before


class TestRetry:
    def test_it_tries_the_stage_again_with_another_attempt(self):
        story = one_done().abort().work().retry()
        assert (story.state.phase, story.state.attempt, story.state.stage) == (Phase.PENDING, 2, 1)
        story.tick().work()
        assert story.state.weight == 5.0
        assert story.state.table.withdrawn == frozenset()

    def test_commands_of_another_attempt_have_other_ids(self):
        story = Story().tick().work().abort().work().retry().tick().work()
        ids = [command.id for command in story.done]
        assert len(ids) == len(set(ids))

    def test_it_counts_on_from_the_fleets_own_table(self):
        story = Story().tick().work().abort().work()
        table = a_table(story.state.plan, number=40)
        story.take(requests.Retry(at=story.now, by="ana", table=table)).tick().work()
        assert story.state.table.number == 41

    def test_it_is_refused_when_the_fleet_has_moved_on(self):
        story = Story().tick().work().abort().work()
        other = a_plan()
        table = a_table(other, number=40)
        moved = type(table)(
            number=40,
            routes=tuple(
                type(route)(role=route.role, stable="v5") if route.role == "supplier" else route
                for route in table.routes
            ),
        )
        refused = story.refuse(requests.Retry(at=story.now, by="ana", table=moved))
        assert "supplier should run v1, but has v5" in refused.reason
        older = a_table(other, number=3)
        refused = story.refuse(requests.Retry(at=story.now, by="ana", table=older))
        assert "is older than" in refused.reason
