"""Everything at once: verbs, ticks, lost and doubled acknowledgements, crashes, in any order.

A small fleet carries out the commands, so the invariants speak of what tasks would really meet,
and not only of what the machine believes.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.plan import Analyse, Pause, Plan, SetWeight
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.codec import decode_event, encode_event
from rolewise.coordinator.rollout.commands import Command, DrainVersion, InstallTable, ScaleVersion
from rolewise.coordinator.rollout.decide import (
    TABLE,
    Refusal,
    allowed_verbs,
    decide,
    phase_of,
    undo_target,
)
from rolewise.coordinator.rollout.events import (
    Event,
    Paused,
    Promoted,
    Resumed,
    RollbackBegun,
    StagePromoted,
    StepStarted,
    TableChanged,
    VerdictGiven,
    WeightSet,
)
from rolewise.coordinator.rollout.evolve import evolve, replay
from rolewise.coordinator.rollout.leftovers import left_behind
from rolewise.coordinator.rollout.requests import Verb
from rolewise.coordinator.rollout.state import (
    NOT_STARTED,
    Phase,
    Rollout,
    StageStatus,
    pending_commands,
)
from rolewise.coordinator.rollout.steps import CANARY_WEIGHT_MAX
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from tests.unit.rollout.world import DEADLOCK, OTHERS, T0, a_plan, a_stage, a_start, says

STEPS = st.lists(
    st.sampled_from([5.0, 25.0, 60.0, 100.0]).map(lambda weight: SetWeight(weight=weight))
    | st.sampled_from([None, 10.0]).map(lambda seconds: Pause(duration_s=seconds))
    | st.sampled_from(["gate", "full"]).map(lambda evidence: Analyse(evidence=evidence)),
    min_size=1,
    max_size=4,
).map(tuple)
REACTIONS = st.sampled_from(["rollback", "pause", "hold"])
ANALYSES = st.builds(Analysis, on_harm=REACTIONS, on_unsure=REACTIONS)
ROLES = ("robot", "supplier", "orchestrator")


@st.composite
def plans(draw) -> Plan:
    roles = ROLES[: draw(st.integers(1, 3))]
    stages = [
        replace(
            a_stage(role, *draw(STEPS), analysis=draw(ANALYSES)),
            keep_stable_s=draw(st.sampled_from([0.0, 20.0])),
        )
        for role in roles
    ]
    return a_plan(*stages, roll_back_all=draw(st.booleans()))


@dataclass
class Fleet:
    """What commands do. A drained version serves nobody until it is scaled up again."""

    table: RoutingTable
    replicas: dict[tuple[str, str], int]
    drained: set[tuple[str, str]] = field(default_factory=set)

    def carry_out(self, command: Command) -> None:
        match command:
            case InstallTable(table=table):
                self.table = max(self.table, table, key=lambda t: t.number)
            case DrainVersion(role=role, version=version):
                self.drained.add((role, version))
            case ScaleVersion(role=role, version=version, replicas=replicas):
                self.replicas[role, version] = replicas
                if replicas:
                    self.drained.discard((role, version))

    def serves(self, role: str, version: str) -> bool:
        pair = (role, version)
        return (
            self.replicas.get(pair, 0) > 0
            and pair not in self.drained
            and pair not in self.table.withdrawn
        )


def shares(route: RoleRoute) -> dict[str, float]:
    """Percent of new tasks by version."""
    canary = {route.canary: route.weight} if route.canary else {}
    return {route.stable: 100.0 - route.weight, **canary}


def is_over(step, log: list[Event], fleet: Fleet, role: str) -> bool:
    """Tell from the log and the fleet alone whether the step that started last may be left."""
    start = max(i for i, event in enumerate(log[:-1]) if isinstance(event, StepStarted))
    since, at = log[start + 1 : -1], log[-1].at
    if any(isinstance(event, Promoted) for event in since) and not isinstance(step, SetWeight):
        return True
    match step:
        case SetWeight(weight=weight):
            return fleet.table.by_role[role].weight == weight
        case Analyse():
            given = [e.verdict.ruling for e in since if isinstance(e, VerdictGiven)]
            return given[-1:] == [Ruling.SAFE]
        case Pause(duration_s=None):
            return False
        case Pause(duration_s=seconds):
            stood, paused_at = timedelta(0), None
            for event in since:
                if isinstance(event, Paused):
                    paused_at = paused_at or event.at
                elif isinstance(event, Resumed) and paused_at:
                    stood, paused_at = stood + (event.at - paused_at), None
            return at - log[start].at - stood >= timedelta(seconds=seconds)


class RolloutMachine(RuleBasedStateMachine):
    @initialize(plan=plans(), ahead=st.integers(0, 12))
    def start(self, plan, ahead):
        self.state: Rollout = NOT_STARTED
        self.log: list[Event] = []
        self.now = T0
        self.sent: list[Command] = []
        request = a_start(plan)
        self.fleet = Fleet(
            table=request.table,
            replicas=dict.fromkeys(plan.from_release.items(), 3),
        )
        self.ask(request)
        for _ in range(ahead):
            self.all_goes_well_for_a_while(times=1, acknowledged="ok")

    # --- what happens ---

    @rule(times=st.integers(1, 2), acknowledged=st.sampled_from(["ok", "ok", "lost"]))
    def all_goes_well_for_a_while(self, times, acknowledged):
        for _ in range(times):
            verbs = allowed_verbs(self.state)
            if Verb.RETRY in verbs:
                self.ask(requests.Retry(at=self.now, by="ana"))
            elif Verb.RESUME in verbs:
                self.ask(requests.Resume(at=self.now, by="ana"))
            elif self.state.phase is Phase.PAUSED:
                self.ask(requests.Promote(at=self.now, by="ana"))
            self.now += timedelta(seconds=30)
            self.ask(requests.Tick(at=self.now, verdict=says("safe")))
            self.carry_out(acknowledged="ok")
        self.carry_out(acknowledged=acknowledged)

    @rule(really=st.integers(0, 2))
    def pause(self, really):
        if not really:
            self.ask(requests.Pause(at=self.now, by="ana"))

    @rule()
    def resume(self):
        self.ask(requests.Resume(at=self.now, by="ana"))

    @rule(full=st.sampled_from([False, False, True]))
    def promote(self, full):
        self.ask(requests.Promote(at=self.now, by="ana", full=full))

    @rule()
    def retry(self):
        self.ask(requests.Retry(at=self.now, by="ana"))

    @precondition(lambda self: self.state.phase is Phase.FAILED)
    @rule(plan=plans())
    def another_begins_where_one_could_not_finish(self, plan):
        before, release = self.state, self.state.release
        stages = tuple(
            replace(
                stage,
                from_version=release[stage.role],
                to_version="v1" if release[stage.role] == "v2" else "v2",
            )
            for stage in plan.stages
            if stage.role in release
        )
        moves = {stage.role: stage.to_version for stage in stages}
        plan = replace(plan, stages=stages, from_release=release, to_release={**release, **moves})
        self.state, self.log = NOT_STARTED, []
        self.ask(
            replace(
                a_start(plan, at=self.now),
                rollout="r-2",
                table=before.table,
                left_by=before.id,
                leftovers=left_behind(before),
            )
        )

    @rule()
    def undo(self):
        answer = self.ask(requests.Undo(at=self.now, by="ana"))
        target = undo_target(self.state)
        assert answer == (target if isinstance(target, Refusal) else ())

    @rule(
        ruling=st.sampled_from([None, "continue", "no_data", "safe", "safe", "safe", "unsure"]),
        seconds=st.sampled_from([0, 1, 6, 15, 30]),
    )
    def tick(self, ruling, seconds):
        self.now += timedelta(seconds=seconds)
        verdict = None if ruling is None else says(ruling)
        self.ask(requests.Tick(at=self.now, verdict=verdict))

    @rule()
    def others_deadlock(self):
        self.ask(requests.Tick(at=self.now, facts=(OTHERS,)))

    @rule(kind=st.sampled_from(["abort", "harm", "fact"]), really=st.integers(0, 1))
    def trouble(self, kind, really):
        if really:  # Rare, or no rollout would get far.
            return
        if kind == "abort":
            self.ask(requests.Abort(at=self.now, by="ana", reason="wrong prices"))
        elif kind == "harm":
            self.ask(requests.Tick(at=self.now, verdict=says("harm")))
        else:
            self.ask(requests.Tick(at=self.now, facts=(DEADLOCK,)))

    @rule(times=st.integers(1, 4))
    def work(self, times):
        for _ in range(times):
            self.carry_out(acknowledged="ok")

    @rule(
        arrived=st.booleans(),
        acknowledged=st.sampled_from(["lost", "lost", "failed", "failed", "hopeless"]),
    )
    def something_goes_wrong(self, arrived, acknowledged):
        self.carry_out(arrived=arrived, acknowledged=acknowledged)

    @rule(data=st.data(), ok=st.booleans())
    def an_acknowledgement_comes_late_or_twice(self, data, ok):
        if self.sent:
            command = data.draw(st.sampled_from(self.sent))
            if self.state.pending is None or command.id != self.state.pending.id:
                before = self.state
                self.ask(requests.Acknowledge(at=self.now, command=command.id, ok=ok))
                assert self.state == before

    @rule()
    def the_controller_dies_and_another_reads_the_log(self):
        again = replay(decode_event(encode_event(event)) for event in self.log)
        assert again == self.state
        assert pending_commands(again) == pending_commands(self.state)
        self.state = again

    # --- what must hold ---

    @invariant()
    def shares_sum_to_100_and_nobody_who_gets_tasks_is_gone(self):
        for route in self.fleet.table.routes:
            assert sum(shares(route).values()) == 100
            for version, share in shares(route).items():
                assert not share or self.fleet.serves(route.role, version), (route, self.fleet)

    @invariant()
    def a_large_weight_has_all_replicas(self):
        for stage in self.state.plan.stages:
            route = self.fleet.table.by_role[stage.role]
            if shares(route).get(stage.to_version, 0.0) > CANARY_WEIGHT_MAX:
                assert self.fleet.replicas[stage.role, stage.to_version] >= stage.replicas

    @invariant()
    def a_rollback_installs_no_canary(self):
        if self.state.phase is Phase.ROLLING_BACK:
            for command in pending_commands(self.state):
                if isinstance(command, InstallTable):
                    assert not any(route.canary for route in command.table.routes)

    @invariant()
    def at_most_one_stage_moves(self):
        assert sum(status.is_moving for status in self.state.statuses) <= 1

    @invariant()
    def a_final_phase_leaves_no_canary(self):
        if self.state.phase in {Phase.COMPLETED, Phase.ROLLED_BACK}:
            assert not any(status.is_moving for status in self.state.statuses)
            self.every_role_runs_one_version()

    def every_role_runs_one_version(self):
        for stage, status in zip(self.state.plan.stages, self.state.statuses, strict=True):
            done = status is StageStatus.DONE
            runs, gone = (stage.to_version, stage.from_version)[:: 1 if done else -1]
            route = self.fleet.table.by_role[stage.role]
            assert (route.stable, route.canary, route.weight) == (runs, "", 0.0)
            assert self.fleet.replicas[stage.role, runs] == stage.replicas
            assert self.fleet.replicas.get((stage.role, gone), 0) == 0
        stable = {(route.role, route.stable) for route in self.fleet.table.routes}
        there = {which for which, many in self.fleet.replicas.items() if many}
        assert there == stable, "what another rollout has left is stopped too"

    def teardown(self):
        """Abort ends on stable, whatever came before, once commands are carried out."""
        if not hasattr(self, "state"):
            return
        if not self.state.phase.is_final:
            self.ask(requests.Abort(at=self.now, by="ana", reason="the end"))
        if self.state.phase is Phase.FAILED:
            self.ask(requests.Retry(at=self.now, by="ana"))
        while pending_commands(self.state):
            self.carry_out(acknowledged="ok")
        if self.state.phase is not Phase.COMPLETED:
            assert self.state.phase is Phase.ROLLED_BACK
            assert self.state.weight in {0.0, 100.0}
            if self.state.plan.on_stage_failure == "roll_back_all":
                assert self.state.release == self.state.plan.from_release
        self.every_role_runs_one_version()

    # --- how it is driven ---

    def carry_out(self, *, arrived: bool = True, acknowledged: str) -> None:
        for command in pending_commands(self.state):
            self.sent.append(command)
            if arrived or acknowledged == "ok":
                self.fleet.carry_out(command)
            if acknowledged != "lost":
                self.ask(
                    requests.Acknowledge(
                        at=self.now,
                        command=command.id,
                        ok=acknowledged == "ok",
                        permanent=acknowledged == "hopeless",
                    )
                )

    def ask(self, request):
        before = self.state
        answer = decide(before, request)
        if isinstance(answer, Refusal):
            assert answer.verb not in answer.allowed
            return answer
        for event in answer:
            self.log.append(event)
            self.check_event(self.state, event)
            self.state = evolve(self.state, event)
        assert self.state.sequence == len(self.log)
        cell = TABLE[phase_of(before), type(request)]
        assert self.state.phase in {before.phase, *cell.to}, (before.phase, request)
        return answer

    def check_event(self, before: Rollout, event: Event) -> None:
        match event:
            case StepStarted(step=step):
                assert step == before.step + 1
                self.check_step_is_over(before)
            case StagePromoted():
                assert before.is_full or before.step == len(before.current_stage.steps) - 1
                self.check_step_is_over(before)
            case WeightSet(from_weight=was, to_weight=becomes):
                assert becomes < was or before.phase is Phase.PROGRESSING
            case TableChanged(table=table):
                assert table.number == before.table.number + 1
                assert before.phase in {Phase.PROGRESSING, Phase.ROLLING_BACK}
                if before.phase is Phase.ROLLING_BACK:
                    # Both versions of every role lose their claim to grow, except the stable one.
                    assert not any(route.canary for route in table.routes)
            case RollbackBegun(stages=stages):
                assert len(stages) == len(set(stages))
            case _:
                pass

    def check_step_is_over(self, before: Rollout) -> None:
        step = before.current_step
        if step is not None and not before.is_full:
            assert is_over(step, self.log, self.fleet, before.current_stage.role)


RolloutMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestRolloutMachine = RolloutMachine.TestCase
