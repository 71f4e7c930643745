"""What must hold in every history, whatever went wrong in it; each broken one is told in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from rolewise.coordinator.fleet_log import (
    FleetState,
    RolloutCreated,
    RolloutReopened,
    decode_entry,
    fold_fleet,
)
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.plan.plan import Analyse, Pause
from rolewise.coordinator.rollout.codec import decode_event
from rolewise.coordinator.rollout.events import (
    AbortRequested,
    CommandAcknowledged,
    Event,
    Promoted,
    RetryRequested,
    RollbackBegun,
    StagePromoted,
    StageStarted,
    StepStarted,
    TableChanged,
    TakenOver,
    VerdictGiven,
    WeightSet,
)
from rolewise.coordinator.rollout.evolve import evolve
from rolewise.coordinator.rollout.requests import Verb
from rolewise.coordinator.rollout.state import NOT_STARTED, Phase, Rollout
from rolewise.fleet.routing.assign import place
from rolewise.fleet.task import Outcome
from rolewise.graphs.interactions import Arm
from tests.faults.chaos.fleets import FLEET
from tests.faults.chaos.history import History

ENDED = {Outcome.COMPLETED, Outcome.FAILED, Outcome.TIMED_OUT}


def find_broken(history: History) -> list[str]:
    """Return every invariant that this history breaks, in words; empty when all hold."""
    return [
        *history.broken,
        *_logs(history),
        *_asked(history),
        *_tasks(history),
        *_cohorts(history),
        *_end(history),
    ]


def events_of(history: History, rollout: str) -> list[Event]:
    return [decode_event(entry) for entry in history.logs.get(f"rollout/{rollout}", ())]


def fleet_of(history: History) -> FleetState:
    entries = (decode_entry(entry) for entry in history.logs[f"fleet/{FLEET}"])
    return fold_fleet(FleetState(name=FLEET), entries)


def _logs(history: History) -> Iterator[str]:
    """One stage at a time, no step twice or skipped, no way forward but by progressing."""
    seen_fencing = 0
    for created in fleet_of(history).rollouts:
        state = NOT_STARTED
        since: list[Event] = []
        for event in events_of(history, created.rollout):
            where = f"{created.rollout}, event {state.sequence + 1}"
            yield from (f"{where}: {words}" for words in _event(state, event, since))
            if isinstance(event, TakenOver):
                if event.fencing <= seen_fencing:
                    yield f"{where}: lease {event.fencing} took over after {seen_fencing}"
                seen_fencing = event.fencing
            since = [] if isinstance(event, StageStarted | StepStarted) else [*since, event]
            state = evolve(state, event)
            if sum(status.is_moving for status in state.statuses) > 1:
                yield f"{where}: more than one stage moves: {state.statuses}"


def _event(before: Rollout, event: Event, since: list[Event]) -> Iterator[str]:
    match event:
        case StageStarted(stage=stage):
            if stage != before.stage or before.phase not in {Phase.PENDING, Phase.PROGRESSING}:
                yield f"stage {stage} started at stage {before.stage} while {before.phase}"
        case StepStarted(step=step):
            if step != before.step + 1:
                yield f"step {step} started after {before.step}"
            yield from _left_too_early(before, since)
        case StagePromoted():
            stage_ = before.current_stage
            assert stage_ is not None
            if not before.is_full and before.step != len(stage_.steps) - 1:
                yield f"promoted after step {before.step}"
            yield from _left_too_early(before, since)
        case WeightSet(from_weight=was, to_weight=becomes):
            if becomes > was and before.phase is not Phase.PROGRESSING:
                yield f"weight rose from {was} to {becomes} while {before.phase}"
        case TableChanged(table=table):
            if table.number != before.table.number + 1:
                yield f"table {table.number} after {before.table.number}"
            if before.phase is Phase.ROLLING_BACK and any(r.canary for r in table.routes):
                yield f"table {table.number} has a canary while rolling back"
        case CommandAcknowledged(command=command):
            if before.pending is None or before.pending.id != command:
                yield "an acknowledgement of what was not pending"
        case RollbackBegun() | AbortRequested() if before.phase.is_final:
            yield f"rollback begun while {before.phase}"
        case RetryRequested() if not before.phase.is_final:
            yield f"retry while {before.phase}"
        case _:
            pass


def _left_too_early(before: Rollout, since: list[Event]) -> Iterator[str]:
    """A wait for a person or the judge ends by them only."""
    step = before.current_step
    if step is None or before.is_full or any(isinstance(event, Promoted) for event in since):
        return
    if isinstance(step, Pause) and step.duration_s is None:
        yield "nobody ended the wait for a person"
    if isinstance(step, Analyse):
        rulings = [event.verdict.ruling for event in since if isinstance(event, VerdictGiven)]
        if rulings[-1:] != [Ruling.SAFE]:
            yield f"the analysis was left on {rulings[-1:]}"


def _asked(history: History) -> Iterator[str]:
    """What was taken is in the log once, what was refused is not, what is unknown once at most."""
    marks: Counter[str] = Counter()
    for stream in history.logs:
        if stream.startswith("rollout/"):
            for event in events_of(history, stream.removeprefix("rollout/")):
                if not isinstance(event, RollbackBegun) and event.by == "ana":
                    marks[event.reason] += 1
    for asked in history.asked:
        allowed = {"taken": {1}, "refused": {0}, "unknown": {0, 1}}[asked.answer]
        if asked.verb is Verb.UNDO:
            allowed = {0}
        if asked.verb is Verb.ABORT and asked.answer == "taken":
            allowed = {0, 1}  # somebody else's abort was noted already
        if marks[asked.mark] not in allowed:
            times = marks[asked.mark]
            yield f"{asked.verb} ({asked.mark}) was {asked.answer}, but is in the log {times} times"
    fleet = [decode_entry(entry) for entry in history.logs[f"fleet/{FLEET}"]]
    keys = Counter(entry.key for entry in fleet if isinstance(entry, RolloutCreated))
    yield from (f"key {key} began {n} rollouts" for key, n in keys.items() if n > 1)
    running = ""
    for entry in fleet:
        if isinstance(entry, RolloutCreated):
            running = entry.rollout
        if isinstance(entry, RolloutReopened) and entry.rollout != running:
            yield f"{entry.rollout} was tried again after {running} had begun"


def _tasks(history: History) -> Iterator[str]:
    """Every submitted task ends exactly once, and is accounted for."""
    lost = [task for task, record in history.records.items() if record is None]
    if lost:
        yield f"tasks without an account: {lost}"
    records = [record for record in history.records.values() if record is not None]
    yield from (
        f"task {record.task} is {record.outcome}"
        for record in records
        if record.outcome not in ENDED
    )
    outcomes = Counter(record.outcome for record in records)
    counted = history.account
    told = {
        Outcome.COMPLETED: counted.completed,
        Outcome.FAILED: counted.failed,
        Outcome.TIMED_OUT: counted.timed_out,
    }
    if counted.submitted != len(history.tasks) or +outcomes != +Counter(told):
        yield f"{len(history.tasks)} tasks ended as {dict(outcomes)}, the account says {counted}"
    wrong = [r.task for r in records if r.error.startswith(("internal", "no_replica"))]
    if wrong:
        yield f"tasks that were sent to nobody: {wrong}"


def _cohorts(history: History) -> Iterator[str]:
    """A unit that was on the canary at some weight is there at every larger one of its trial."""
    drawn: dict[tuple[str, str], dict[float, Arm]] = defaultdict(dict)
    for record in history.records.values():
        for one in record.assignments if record is not None else ():
            arm = drawn[one.salt, one.unit].setdefault(one.weight, one.arm)
            if arm is not one.arm:
                yield f"unit {one.unit} is on both arms at weight {one.weight}"
            if (place(one.salt, one.unit) < one.weight) != (one.arm is Arm.CANARY):
                yield f"unit {one.unit} is on the wrong arm at weight {one.weight}"
    for (_, unit), arms in drawn.items():
        by_weight = [arms[weight] is Arm.CANARY for weight in sorted(arms)]
        if by_weight != sorted(by_weight):
            yield f"unit {unit} left the canary as the weight rose: {sorted(arms.items())}"


def _end(history: History) -> Iterator[str]:
    """In calm it ends; abort ends on stable; then every role runs its one version, and serves."""
    state = history.last
    if state is None:
        return
    if state.phase not in {Phase.COMPLETED, Phase.ROLLED_BACK}:
        yield f"it ended {state.phase}"
        return
    aborted = [a for a in history.asked if a.verb is Verb.ABORT and a.answer == "taken"]
    last = events_of(history, state.id)
    tail = max((i for i, e in enumerate(last) if isinstance(e, RetryRequested)), default=0)
    marks = {a.mark for a in aborted if a.rollout == state.id}
    if any(e.reason in marks for e in last[tail:] if isinstance(e, AbortRequested)):
        if state.phase is not Phase.ROLLED_BACK:
            yield f"it was aborted, but is {state.phase}"
        if (
            state.plan.on_stage_failure == "roll_back_all"
            and state.release != state.plan.from_release
        ):
            yield f"it was aborted, but runs {state.release}"
    if any(route.canary for route in state.table.routes):
        yield "a canary is left"
    if history.table != state.table.number:
        yield f"the fleet has table {history.table}, not {state.table.number}"
    stages = {stage.role: stage.replicas for stage in state.plan.stages}
    wanted = Counter({(role, state.release[role]): replicas for role, replicas in stages.items()})
    there = Counter({key: n for key, n in history.replicas.items() if key[0] in stages})
    if wanted != there:
        yield f"the fleet has {dict(there)}, not {dict(wanted)}"
    for probe, versions in history.served.items():
        if any(versions[role] != state.release[role] for role in versions):
            yield f"{probe} was served by {versions}, but {state.release} is stable"
