"""What a confirmed deadlock, a crash loop or lost nodes do to a rollout, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from rolewise.coordinator.fleet_log import FleetIncident
from rolewise.coordinator.guards import find_facts
from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.rollout.state import Trial
from rolewise.fleet.incident import IncidentKind
from rolewise.fleet.runtime import ReplicaState, ReplicaStatus
from rolewise.graphs.deadlock import find_deadlocks
from rolewise.graphs.snapshot_columns import read_round
from tests.unit.graphs.waits import mutual_ask

CANARY = Trial(role="supplier", version="v3", salt="s")
OTHER = Trial(role="carrier", version="v2", salt="s")


def facts(trial, *, analysis=None, blind=(), replicas=(), tasks=(45, 450), incidents=(), **waits):
    fleet = read_round(mutual_ask(**waits), blind=blind)
    return find_facts(
        trial,
        analysis or Analysis(),
        deadlocks=find_deadlocks(fleet, fleet),
        replicas=replicas,
        incidents=incidents,
        tasks_canary=tasks[0],
        tasks_baseline=tasks[1],
    )


def test_with_the_canary_in_the_core_it_is_rolled_back():
    (fact,) = facts(CANARY)
    assert (fact.kind, fact.reaction) == ("deadlock", "rollback")
    assert fact.sentence.startswith(
        "deadlock confirmed in two rounds of snapshots: negotiator@v3, supplier@v3 hold each other "
        "up; 1 task in it, 0 more waiting behind: task t-81: negotiator@v3#1 has waited 2.4 s"
    )
    assert len(fact.details) == 4
    assert fact.details[-1].startswith("core: supplier@v3, which is on trial, is one of those")


def test_a_soft_one_says_that_timeouts_end_it():
    (fact,) = facts(CANARY, deadline=17.6)
    assert "hold each other up, until a timeout ends it;" in fact.sentence
    assert fact.sentence.endswith("the first of these waits times out in 17.6 s")


def test_among_others_it_is_paused_with_the_reason():
    (fact,) = facts(OTHER, arm=1)
    assert fact.reaction == "pause"
    assert "(carrier@v2, which is on trial, has no part in it" in fact.sentence


def test_by_the_cohort_the_number_of_tasks_decides():
    assert facts(OTHER, arm=2)[0].reaction == "pause"
    (fact,) = facts(OTHER, arm=2, tasks=(0, 450))
    assert fact.reaction == "rollback"
    assert "1 of 1 of the canary's, 0 of 450 of the baseline's" in fact.details[-1]


def test_the_same_circle_has_the_same_key_whoever_is_in_it():
    assert facts(CANARY)[0].key == facts(CANARY, task="t-82")[0].key


def test_who_did_not_answer_is_told():
    (fact,) = facts(CANARY, blind=["pricing@v1#4"])
    assert fact.details[-1].endswith("; no answer from pricing@v1#4")


def test_a_plan_may_switch_it_off():
    assert facts(CANARY, analysis=Analysis(deadlock=False)) == ()


def test_a_crash_loop_rolls_back():
    replica = ReplicaStatus(
        replica="supplier@v3#1",
        role="supplier",
        version="v3",
        state=ReplicaState.READY,
        restarts=3,
        crashes=3,
        reason="out of memory",
    )
    found = facts(CANARY, analysis=Analysis(deadlock=False), replicas=[replica])
    assert [fact.sentence for fact in found] == [
        "crash loop: supplier@v3#1 died 3 times in ten minutes: out of memory"
    ]
    assert found[0].reaction == "rollback"


def lost(*nodes, minutes=5.0, kind=IncidentKind.NODE_LOST):
    """Each a string of the versions of the supplier that had a replica on it."""
    began = datetime(2026, 1, 5, tzinfo=UTC)
    return [
        FleetIncident(
            at=began + timedelta(minutes=minutes * number, seconds=place),
            by="rolewise",
            number=number * 10 + place,
            kind=kind,
            what=f"supplier@{name}#{place}",
            reason="",
        )
        for number, names in enumerate(nodes)
        for place, name in enumerate(names.split())
    ]


@pytest.mark.parametrize(
    ("incidents", "is_paused"),
    [
        (lost("v3", "v3", "v3"), True),
        (lost("v3 v3 v3", "v3 v3"), False),
        (lost("v3", "v3", "v3", minutes=0.3), False),
        (lost("v3", "v3", "v3", "v1"), True),
        (lost("v3 v1", "v3", "v3 v2"), False),
        (lost("v33", "v33", "v33"), False),
        (lost("v3", "v3", "v3", kind=IncidentKind.OUT_OF_REACH), False),
    ],
)
def test_nodes_that_are_lost_with_the_canary_alone_pause_it(incidents, is_paused):
    found = facts(CANARY, analysis=Analysis(deadlock=False), incidents=incidents)
    assert [fact.reaction for fact in found] == (["pause"] if is_paused else [])
    assert not facts(OTHER, analysis=Analysis(deadlock=False), incidents=incidents)


def test_lost_nodes_in_words():
    (fact,) = facts(CANARY, analysis=Analysis(deadlock=False), incidents=lost("v3", "v3", "v3"))
    assert fact.sentence == (
        "3 times in this rollout a node was lost that carried supplier v3, 0 times one that "
        "carried another version of it: does it bring its nodes down? Tasks that were lost with a "
        "node are left out of the verdict"
    )
