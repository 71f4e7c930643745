"""Examples for the OpenAPI document: a small rollout, played by the machine itself.

So every example is what the API would answer; a change of the machine or of a view changes them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rolewise.coordinator.api.problems import (
    FieldProblem,
    Problem,
    build_problem,
    explain,
)
from rolewise.coordinator.errors import ERROR_KINDS
from rolewise.coordinator.fleets import Planned
from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence, Verdict
from rolewise.coordinator.plan.plan import Analyse, Plan, SetWeight, Stage
from rolewise.coordinator.rollout.decide import Refusal, decide
from rolewise.coordinator.rollout.events import Event
from rolewise.coordinator.rollout.evolve import replay
from rolewise.coordinator.rollout.requests import Acknowledge, Request, Start, Tick
from rolewise.coordinator.rollout.state import NOT_STARTED, Rollout, pending_commands
from rolewise.coordinator.saved_waits import EXAMPLE_PAIR, SavedPair, analyse_saved
from rolewise.coordinator.views import (
    AnalysisView,
    EventsView,
    FleetsView,
    FleetView,
    GraphView,
    RolloutsView,
    WaitsView,
    view_event,
    view_plan,
    view_rollout,
    view_task,
    view_verdict,
    view_waits,
)
from rolewise.coordinator.views.fleet import CountsView, ReplicaView, RoleView, VersionView
from rolewise.fleet.routing.table import RoleRoute, RoutingTable
from rolewise.fleet.runtime import ReplicaState
from rolewise.fleet.task import Assignment, Outcome, TaskRecord
from rolewise.graphs.criticality import RolePlace, Tier
from rolewise.graphs.interactions import Arm
from rolewise.graphs.snapshot_columns import read_round
from rolewise.graphs.snapshots import QueuedMessage, ReplicaSnapshot, RunningInvocation

_BEGAN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_CALLED = "in 78% of 2110 tasks; called by orchestrator"
_PLAN = Plan(
    fleet="supply-chain",
    from_release={"negotiator": "v1", "orchestrator": "v1"},
    to_release={"negotiator": "v2", "orchestrator": "v1"},
    to_name="v2",
    stages=(
        Stage(
            role="negotiator",
            from_version="v1",
            to_version="v2",
            replicas=3,
            canary_replicas=1,
            steps=(
                SetWeight(weight=10.0),
                Analyse(evidence="full", expected_tasks=600),
                SetWeight(weight=100.0),
            ),
            analysis=Analysis(),
            reason=_CALLED,
            keep_stable_s=10.0,
        ),
    ),
)
_PLACES = (
    RolePlace(
        role="negotiator",
        place=1,
        tier=Tier.MEMBER,
        criticality=0.39,
        source="observed",
        reason=_CALLED,
    ),
    RolePlace(
        role="orchestrator",
        place=2,
        tier=Tier.ENTRY,
        criticality=0.99,
        source="observed",
        reason="in 100% of 2110 tasks; entry role, so it comes last",
    ),
)
_SENTENCE = (
    "completion: 97.1 % against 98.3 % of 412 | 405 tasks (canary | baseline), difference"
    " -1.2 points [-3.9, +1.4], limit -3 points: not decided yet"
)
_VERDICT = Verdict(
    ruling=Ruling.CONTINUE,
    reason=f"needs about 180 more tasks; {_SENTENCE}",
    signals=(
        SignalEvidence(
            name="completion",
            ruling=Ruling.CONTINUE,
            baseline=0.983,
            canary=0.971,
            difference=-0.012,
            interval=(-0.039, 0.014),
            limit=-0.03,
            e_harm=1.4,
            e_safe=8.2,
            harm_at=212.5,
            safe_at=20.0,
            tasks_baseline=405,
            tasks_canary=412,
            tasks_needed=180,
            examples_baseline=("order-1151",),
            examples_canary=("order-1203", "order-1188"),
            metric="task.completed",
            sentence=_SENTENCE,
        ),
    ),
    tasks_baseline=405,
    tasks_canary=412,
    examples=("order-1203", "order-1188"),
    watermark=1207,
)


def _play() -> tuple[Rollout, tuple[Event, ...]]:
    """Let the example rollout begin and the judge speak."""
    table = RoutingTable(
        number=7,
        routes=tuple(RoleRoute(role=role, stable=v) for role, v in _PLAN.from_release.items()),
    )
    at = _BEGAN
    start = Start(
        at=at,
        rollout="supply-chain-3",
        plan=_PLAN,
        table=table,
        salt="pepper",
        by="ana",
        reason="fewer bargaining rounds",
    )
    state, told = NOT_STARTED, list[Event]()

    def ask(request: Request) -> None:
        nonlocal state
        events = decide(state, request)
        assert not isinstance(events, Refusal)  # noqa: S101 (a story that the machine allows)
        state = replay(events, state)
        told.extend(events)

    ask(start)
    ask(Tick(at=at))
    while commands := pending_commands(state):
        at += timedelta(seconds=1)
        ask(Acknowledge(at=at, command=commands[0].id, ok=True))
    ask(Tick(at=at + timedelta(minutes=5), verdict=_VERDICT))
    return state, tuple(told)


_STATE, _LOG = _play()

PLAN = view_plan(Planned(plan=_PLAN, places=_PLACES))
ROLLOUT = view_rollout(_STATE)
ROLLOUTS = RolloutsView(rollouts=(ROLLOUT,))
VERDICT = view_verdict(_VERDICT)
EVENTS = EventsView(
    rollout=_STATE.id,
    sequence=_STATE.sequence,
    events=tuple(view_event(number, event, _STATE) for number, event in enumerate(_LOG[1:4], 2)),
)

TASK = view_task(
    TaskRecord(
        task="order-1",
        number=1,
        table=8,
        assignments=(
            Assignment(role="negotiator", salt="pepper.1.negotiator", arm=Arm.CANARY, weight=10.0),
        ),
        latency_s=0.42,
        outcome=Outcome.COMPLETED,
        result={"price": 117.5},
        messages=11,
        tool_calls=2,
        input_tokens=1830,
        output_tokens=212,
        cost_usd=0.004,
    ),
    "supply-chain",
)


def _role(place: RolePlace, *versions: VersionView) -> RoleView:
    return RoleView(
        role=place.role,
        place=place.place,
        criticality=place.criticality,
        reason=place.reason,
        is_entry=place.tier is Tier.ENTRY,
        stable="v1",
        versions=versions,
        known_versions=("v1", "v2"),
    )


def _version(role: str, version: str, number: int) -> VersionView:
    replica = ReplicaView(
        replica=f"{role}@{version}#{number}",
        state=ReplicaState.READY,
        restarts=0,
        running=1,
        queued=0,
        reason="",
    )
    return VersionView(
        version=version,
        is_stable=version == "v1",
        wanted=1,
        ready=1,
        restarts=0,
        replicas=(replica,),
    )


FLEET = FleetView(
    name="supply-chain",
    file="configs/supply-chain.yaml",
    registered_at=_BEGAN - timedelta(hours=2),
    entry=("orchestrator",),
    release={"negotiator": "v1", "orchestrator": "v1"},
    release_names=("v1",),
    releases={"v1": {"negotiator": "v1", "orchestrator": "v1"}, "v2": {"negotiator": "v2"}},
    table=8,
    roles=(
        _role(_PLACES[0], _version("negotiator", "v1", 1), _version("negotiator", "v2", 3)),
        _role(_PLACES[1], _version("orchestrator", "v1", 2)),
    ),
    tasks=CountsView(submitted=2110, running=12, completed=2055, failed=40, timed_out=3),
    lost_records=0,
    rollout=_STATE.id,
    rollout_phase=_STATE.phase,
    rollouts=("supply-chain-1", "supply-chain-2", "supply-chain-3"),
    alerts=(),
)
FLEETS = FleetsView(fleets=(FLEET,))

GRAPH = GraphView(
    fleet="supply-chain",
    directed=True,
    multigraph=True,
    graph={"view": "version", "span_s": 60.0, "lost": 0},
    nodes=(
        {
            "id": "negotiator@v1",
            "role": "negotiator",
            "version": "v1",
            "started": 1640,
            "in_flight": 3,
            "busy_s": 171.2,
            "queue_ms_p95": 14.6,
        },
        {"id": "orchestrator@v1", "role": "orchestrator", "version": "v1", "started": 2110},
    ),
    edges=(
        {
            "source": "orchestrator@v1",
            "target": "negotiator@v1",
            "key": "procure/none",
            "kind": "procure",
            "arm": "none",
            "n": 1640,
            "failures": 12,
            "rate": 27.3,
            "bytes": 328000,
            "bytes_mean": 200.0,
            "bytes_sd": 41.3,
            "latency_ms_p95": 210.0,
            "schema": "procure@1",
        },
    ),
)

WAITS: WaitsView = view_waits(
    "supply-chain",
    read_round(
        (
            ReplicaSnapshot(
                replica="negotiator@v1#1",
                role="negotiator",
                version="v1",
                slots=1,
                capacity_epoch=1,
                running=(
                    RunningInvocation(
                        id=11,
                        epoch=2,
                        task="order-1",
                        state="wait",
                        waits=(21,),
                        need=1,
                        deadline=8.7,
                        since=1.3,
                    ),
                ),
            ),
            ReplicaSnapshot(
                replica="supplier@v1#2",
                role="supplier",
                version="v1",
                slots=1,
                capacity_epoch=1,
                running=(
                    RunningInvocation(id=20, epoch=1, task="order-7", state="active", since=1.4),
                ),
                queue=(QueuedMessage(id=21, epoch=1, task="order-1", caller=11, since=1.3),),
            ),
        )
    ),
    (),
)

ANALYSIS: AnalysisView = analyse_saved(SavedPair.model_validate(EXAMPLE_PAIR))

PROBLEM_KIND = explain("verb_refused")

_DETAILS = {
    "bad_input": "body.to: is missing",
    "plan_refused": "no release 'v9': want one of v1, v2; or say role=version,role=version",
    "key_reused": "key '9f0c1b7e' has started rollout supply-chain-3 for another request",
    "unknown_fleet": "fleet 'warehouse' does not run; running: supply-chain",
    "unknown_rollout": "there is no rollout 'supply-chain-9'",
    "unknown_task": "fleet 'supply-chain' has no task 'order-0'",
    "task_expired": "task 'order-1' has completed; its result was kept for 3600 s and has expired",
    "not_found": "there is nothing at /v2",
    "verb_refused": "cannot resume: the rollout is progressing; allowed now: pause, abort",
    "log_unreadable": "entry 12 of the log cannot be read: did a newer Rolewise write it?",
    "rollout_in_progress": "rollout supply-chain-3 of fleet 'supply-chain' is progressing",
    "stale_sequence": "rollout supply-chain-3 has moved on: event 9, not 7",
    "unauthorized": "no token: send 'Authorization: Bearer TOKEN'",
    "forbidden": "page is viewer; this needs operator",
    "too_many_tasks": "10000 tasks are in flight; the limit is 10000",
    "unavailable": "the store: no answer",
}
_FIELDS = (FieldProblem(path="body.to", value="", message="is missing"),)


def _problem(code: str) -> Problem:
    details = {"verb_refused": ("pause", "abort"), "bad_input": (_DETAILS["bad_input"],)}
    return build_problem(
        code,
        _DETAILS.get(code, ERROR_KINDS[code].title),
        details=details.get(code, ()),
        errors=_FIELDS if code == "bad_input" else (),
    )


PROBLEMS = {code: _problem(code) for code in ERROR_KINDS}
"""Code -> a problem of that kind."""
