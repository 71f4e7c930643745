"""A small fleet, a plan for it, and a driver that reads like a story: given, when, then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import HardFact, Ruling, Verdict
from rolewise.coordinator.plan.plan import Analyse, Pause, Plan, SetWeight, Stage, Step
from rolewise.coordinator.rollout import requests
from rolewise.coordinator.rollout.commands import Command, describe_command
from rolewise.coordinator.rollout.decide import Refusal, decide
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.state import NOT_STARTED, Rollout, pending_commands
from rolewise.fleet.routing.table import RoleRoute, RoutingTable

T0 = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DEADLOCK = HardFact(kind="deadlock", sentence="deadlock confirmed in supplier v2")
OTHERS = HardFact(
    kind="deadlock",
    sentence="deadlock confirmed in carrier v1, the canary has no part in it",
    reaction="pause",
    key="deadlock carrier",
)
STEPS: tuple[Step, ...] = (
    SetWeight(weight=5.0),
    Analyse(evidence="gate"),
    SetWeight(weight=100.0),
    Pause(duration_s=10.0),
)


def a_stage(role: str, *steps: Step, analysis: Analysis | None = None) -> Stage:
    return Stage(
        role=role,
        from_version="v1",
        to_version="v2",
        replicas=3,
        canary_replicas=1,
        steps=steps or STEPS,
        analysis=analysis or Analysis(),
        drain_limit_s=5.0,
        keep_stable_s=20.0,
    )


def a_plan(*stages: Stage, roll_back_all: bool = False) -> Plan:
    stages = stages or (a_stage("supplier"), a_stage("orchestrator"))
    roles = [stage.role for stage in stages]
    return Plan(
        fleet="shop",
        from_release={**dict.fromkeys(roles, "v1"), "carrier": "v1"},
        to_release={**dict.fromkeys(roles, "v2"), "carrier": "v1"},
        stages=stages,
        on_stage_failure="roll_back_all" if roll_back_all else "roll_back_stage",
    )


def a_table(plan: Plan, number: int = 7) -> RoutingTable:
    routes = tuple(RoleRoute(role=r, stable=v) for r, v in plan.from_release.items())
    return RoutingTable(number=number, routes=routes)


def a_start(plan: Plan | None = None, at: datetime = T0) -> requests.Start:
    plan = plan or a_plan()
    return requests.Start(
        rollout="r-1", plan=plan, table=a_table(plan), salt="pepper", by="ana", at=at
    )


def says(ruling: str, reason: str = "") -> Verdict:
    return Verdict(ruling=Ruling(ruling), reason=reason or f"the judge says {ruling}")


class Story:
    """Drives one rollout; every method is one thing that somebody does."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.state = NOT_STARTED
        self.log: list[Event] = []
        self.now = T0
        self.done: list[Command] = []
        self.take(a_start(plan))

    def ask(self, request: requests.Request) -> Refusal | tuple[Event, ...]:
        answer = decide(self.state, replace(request, at=self.now))
        if not isinstance(answer, Refusal):
            self.log += answer
            self.state = replay(answer, self.state)
        return answer

    def take(self, request: requests.Request) -> Story:
        answer = self.ask(request)
        assert not isinstance(answer, Refusal), answer.message
        return self

    def refuse(self, request: requests.Request) -> Refusal:
        before = self.state
        answer = self.ask(request)
        assert isinstance(answer, Refusal), answer
        assert self.state == before
        return answer

    def begin_again(self, start: requests.Start) -> Story:
        """Go on with another rollout of the same fleet."""
        self.state, self.log = NOT_STARTED, []
        return self.take(start)

    def tick(self, ruling: str = "", *, after_s: float = 0.0, facts: tuple[HardFact, ...] = ()):
        self.now += timedelta(seconds=after_s)
        verdict = says(ruling) if ruling else None
        return self.take(requests.Tick(at=self.now, verdict=verdict, facts=facts))

    def no_data(self, *, after_s: float = 0.0, overdue: bool = True) -> Story:
        """Tick with a judge that has seen no task of one arm."""
        self.now += timedelta(seconds=after_s)
        verdict = replace(says("no_data", "no data: no task of the canary"), is_overdue=overdue)
        return self.take(requests.Tick(at=self.now, verdict=verdict))

    def work(self) -> Story:
        """Carry out commands until none is pending."""
        while commands := pending_commands(self.state):
            self.acknowledge(commands[0])
        return self

    def acknowledge(self, command: Command) -> Story:
        self.done.append(command)
        return self.take(requests.Acknowledge(at=self.now, command=command.id, ok=True))

    def fail(self, detail: str = "boom", *, permanent: bool = False) -> Story:
        (command,) = pending_commands(self.state)
        return self.take(
            requests.Acknowledge(
                at=self.now, command=command.id, ok=False, detail=detail, permanent=permanent
            )
        )

    def pause(self) -> Story:
        return self.take(requests.Pause(at=self.now, by="ana"))

    def resume(self) -> Story:
        return self.take(requests.Resume(at=self.now, by="ana"))

    def promote(self, *, full: bool = False) -> Story:
        return self.take(requests.Promote(at=self.now, by="ana", full=full))

    def abort(self) -> Story:
        return self.take(requests.Abort(at=self.now, by="ana", reason="wrong prices"))

    def retry(self) -> Story:
        return self.take(requests.Retry(at=self.now, by="ana"))

    def take_over(self, fencing: int = 2) -> Story:
        return self.take(requests.TakeOver(at=self.now, holder="the next one", fencing=fencing))

    @property
    def told(self) -> list[str]:
        """The log as a list of names."""
        return [type(event).__name__ for event in self.log]

    @property
    def effects(self) -> list[str]:
        """What was done to the fleet, in words."""
        return [describe_command(command) for command in self.done]


def pending(state: Rollout) -> list[str]:
    return [describe_command(command) for command in pending_commands(state)]
