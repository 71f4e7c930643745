"""A rollout that starts where another could not finish its way back clears up first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from rolewise.coordinator.plan.plan import SetWeight
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.leftovers import left_behind
from rolewise.coordinator.rollout.state import Phase, Rollout, pending_commands
from rolewise.coordinator.wording import tell_event
from tests.unit.rollout.test_machine import Fleet
from tests.unit.rollout.world import Story, a_plan, a_stage, a_table, pending

ROLES = ("supplier", "orchestrator")


def another(story: Story) -> Story:
    """Begin another rollout as the journal does, each role to the version that it does not run."""
    before = story.state
    release = before.release
    stages = tuple(
        replace(
            a_stage(role, SetWeight(weight=100.0)),
            from_version=release[role],
            to_version={"v1": "v2", "v2": "v3", "v3": "v1"}[release[role]],
        )
        for role in ROLES
    )
    plan = replace(
        a_plan(*stages),
        from_release=release,
        to_release={**release, **{stage.role: stage.to_version for stage in stages}},
    )
    return story.begin_again(
        requests.Start(
            rollout="r-2",
            plan=plan,
            table=before.table,
            salt="salt",
            by="ana",
            left_by=before.id,
            leftovers=left_behind(before),
            at=story.now,
        )
    )


def failed_at_its_table() -> Story:
    story = Story(a_plan(a_stage("supplier", SetWeight(weight=100.0)), a_stage("orchestrator")))
    story.tick()
    story.acknowledge(pending_commands(story.state)[0])  # one replica of v2 is there
    return story.abort().fail("no room", permanent=True)


class TestClearingUp:
    def test_table_then_drain_then_stop_before_the_first_stage_does_anything(self):
        story = another(failed_at_its_table())
        assert tell_event(story.log[0], story.state.plan) == (
            "rollout r-2 started: supplier v1 → v2, orchestrator v1 → v2; "
            "first it clears up what r-1 left: supplier v2"
        )
        story.done.clear()
        story.tick()
        assert story.state.table.withdrawn == {("supplier", "v2")}
        for _ in range(4):
            story.acknowledge(pending_commands(story.state)[0])
        assert story.effects == [
            "install routing table 9",
            "drain supplier v2 within 5 s",
            "stop supplier v2",
            "bring supplier v2 to 1 replicas",
        ]
        assert not story.state.leftovers

    def test_abort_before_it_has_begun_clears_up_all_the_same(self):
        story = another(failed_at_its_table()).abort()
        assert (story.state.phase, pending(story.state)) == (
            Phase.ROLLING_BACK,
            ["install routing table 9"],
        )
        story.work()
        assert story.state.phase is Phase.ROLLED_BACK
        assert story.effects[-1] == "stop supplier v2"

    def test_who_cannot_clear_up_says_so_and_leaves_it_to_the_next_one(self):
        story = another(failed_at_its_table()).abort().fail("no room", permanent=True)
        assert story.state.left[1:] == ("stop supplier v2, which r-1 left",)
        assert left_behind(story.state) == (("supplier", "v2"),)

    def test_a_rollout_that_ended_well_leaves_nothing(self):
        story = Story().tick().work().abort().work()
        assert story.state.phase is Phase.ROLLED_BACK
        assert left_behind(story.state) == ()


AHEAD = st.integers(0, 14)
FAILS = st.lists(st.tuples(AHEAD, st.integers(0, 8), st.booleans()), min_size=1, max_size=3)


@given(fails=FAILS, roll_back_all=st.booleans(), last=AHEAD, ends_by_abort=st.booleans())
@settings(max_examples=300, deadline=None)
def test_however_often_it_failed_every_role_ends_on_one_version(
    fails, roll_back_all, last, ends_by_abort
):
    """Each time: so many commands forward, abort, so many back, and then one that is hopeless."""
    plan = a_plan(
        *(a_stage(role, SetWeight(weight=40.0), SetWeight(weight=100.0)) for role in ROLES),
        roll_back_all=roll_back_all,
    )
    story = Story(plan)
    fleet = Fleet(a_table(plan), dict.fromkeys(plan.from_release.items(), 3))
    for ahead, back, arrives in fails:
        go(story, fleet, ahead)
        if not story.state.phase.is_final:
            story.abort()
        go(story, fleet, back)
        if pending_commands(story.state):
            if arrives:
                fleet.carry_out(pending_commands(story.state)[0])
            story.fail("no room", permanent=True)
        if story.state.phase.is_final:
            another(story)
    go(story, fleet, last)
    if ends_by_abort and not story.state.phase.is_final:
        story.abort()
    go(story, fleet, 100)
    assert story.state.phase in {Phase.COMPLETED, Phase.ROLLED_BACK}
    assert fleet.table == story.state.table
    there = {which for which, many in fleet.replicas.items() if many}
    assert there == set(running(story.state).items())


def go(story: Story, fleet: Fleet, commands: int) -> None:
    """Carry out so many commands; time passes in between."""
    for _ in range(commands):
        if story.state.phase.is_final:
            return
        story.now += timedelta(seconds=30)
        story.tick()
        for command in pending_commands(story.state):
            fleet.carry_out(command)
            story.acknowledge(command)


def running(state: Rollout) -> dict[str, str]:
    return {route.role: route.stable for route in state.table.routes}
