"""How Rolewise says things: one sentence for each event and step, the same in API, CLI and page."""

from __future__ import annotations

from rolewise.coordinator.judge.quantities import seconds
from rolewise.coordinator.judge.sentences import WORDS
from rolewise.coordinator.judge.verdict import Verdict
from rolewise.coordinator.plan.plan import Analyse, Pause, Plan, SetWeight, Stage, Step
from rolewise.coordinator.rollout.commands import describe_command
from rolewise.coordinator.rollout.events import (
    AbortRequested,
    BakeStarted,
    CommandAcknowledged,
    DrainRequested,
    Event,
    Paused,
    Promoted,
    ReplicasRequested,
    Resumed,
    RetryRequested,
    RollbackBegun,
    RolledBack,
    RolloutCompleted,
    RolloutFailed,
    RolloutStarted,
    StableRetired,
    StageCompleted,
    StagePromoted,
    StageReverted,
    StageStarted,
    StepStarted,
    TableChanged,
    TakenOver,
    VerdictGiven,
    WeightSet,
)
from rolewise.coordinator.rollout.state import Rollout, StageStatus

_MINUTE_S = 60
_HOUR_S = 3600


def tell_event(event: Event, plan: Plan) -> str:  # noqa: C901, PLR0912 (one flat case an event)
    """Return what happened, in one line; when and by whom stand beside it.

    Args:
        event: An entry of a rollout's log.
        plan: The rollout's plan, which gives stages their names.
    """
    match event:
        case RolloutStarted(rollout=rollout, reason=reason):
            moves = ", ".join(_move(stage) for stage in event.plan.stages)
            told = _because(f"rollout {rollout} started: {moves}", reason)
            left = ", ".join(f"{role} {version}" for role, version in event.leftovers)
            return f"{told}; first it clears up what {event.left_by} left: {left}" if left else told
        case StageStarted(stage=index):
            stage = plan.stages[index]
            return f"stage {_of(index, plan)} started: {_move(stage)}"
        case StepStarted(stage=index, step=step):
            stage = plan.stages[index]
            place = f"step {step + 1} of {len(stage.steps)}"
            return f"{stage.role} {stage.to_version}: {place}: {tell_step(stage.steps[step])}"
        case ReplicasRequested(role=role, version=version, replicas=0, reason=reason):
            return _because(f"{role} {version}: to be stopped", reason)
        case ReplicasRequested(role=role, version=version, replicas=replicas, reason=reason):
            return _because(f"{role} {version}: {_count(replicas, 'replica')} wanted", reason)
        case WeightSet(role=role, version=version, from_weight=before, to_weight=after):
            return f"{role} {version}: weight {before:g} → {after:g} %"
        case TableChanged(table=table):
            return f"routing table {table.number} to be installed"
        case DrainRequested(role=role, version=version, limit_s=limit_s):
            return f"{role} {version}: to be drained within {duration(limit_s)}"
        case CommandAcknowledged(ok=ok, reason=what, detail=detail):
            return _because(f"{'done' if ok else 'failed'}: {what}", detail)
        case VerdictGiven(verdict=verdict):
            return tell_verdict(verdict)
        case Paused(reason=reason):
            return _because("paused", reason)
        case Resumed(reason=reason):
            return _because("resumed", reason)
        case Promoted(full=full, reason=reason):
            what = "promoted in full, the steps that remain are skipped" if full else "promoted"
            return _because(what, reason)
        case AbortRequested(reason=reason):
            return _because("abort", reason)
        case RollbackBegun(reason=reason):
            return _because("rolling back", reason)
        case StagePromoted(stage=index, reason=reason):
            stage = plan.stages[index]
            return _because(f"{stage.role} {stage.to_version} becomes stable", reason)
        case BakeStarted(stage=index):
            stage = plan.stages[index]
            kept = f"{stage.role} {stage.from_version}: kept warm"
            return f"{kept} for {duration(stage.keep_stable_s)}"
        case StableRetired(stage=index, reason=reason):
            stage = plan.stages[index]
            return _because(f"{stage.role} {stage.from_version}: not needed any more", reason)
        case StageCompleted(stage=index):
            stage = plan.stages[index]
            return f"stage {_of(index, plan)} done: {stage.role} runs {stage.to_version}"
        case StageReverted(stage=index):
            stage = plan.stages[index]
            return f"stage {_of(index, plan)} reverted: {stage.role} runs {stage.from_version}"
        case RolloutCompleted():
            return _because("rollout completed", event.reason)
        case RolledBack(reason=reason):
            return _because("rolled back", reason)
        case RolloutFailed(reason=reason, left=left):
            return _because("rollback failed", "; ".join(part for part in (reason, *left) if part))
        case RetryRequested(stage=index, reason=reason):
            return _because(f"retry from stage {_of(index, plan)}", reason)
        case TakenOver(holder=holder, fencing=fencing):
            return f"{holder} leads from here on (lease {fencing})"


def tell_step(step: Step) -> str:
    """Return what a step does."""
    match step:
        case SetWeight(weight=weight):
            return f"give the canary {weight:g} % of new tasks"
        case Pause(duration_s=None):
            return "wait for a person: promote or abort"
        case Pause(duration_s=float() as limit_s):
            return f"wait {duration(limit_s)}"
        case Pause():
            return "wait"
        case Analyse(evidence=evidence, expected_tasks=tasks):
            about = "" if tasks is None else f", about {tasks} tasks"
            return f"wait for the judge ({evidence} evidence{about})"


def tell_moment(state: Rollout) -> str:
    """Return what a rollout does right now, in a few words; empty when it has ended."""
    stage = state.current_stage
    if stage is None or state.phase.is_final:
        return ""
    match state.status:
        case StageStatus.WAITING:
            return "has not begun to move"
        case StageStatus.PREPARING:
            return f"bring up {_count(stage.canary_replicas, 'replica')} for the trial"
        case StageStatus.STEPPING:
            step = state.current_step
            return "" if step is None else tell_step(step)
        case StageStatus.PROMOTING:
            return f"make {stage.to_version} the stable version"
        case StageStatus.BAKING:
            return f"keep {stage.from_version} warm for {duration(stage.keep_stable_s)}"
        case StageStatus.DRAINING:
            return f"drain and stop {stage.from_version}"
        case StageStatus.DONE | StageStatus.REVERTING | StageStatus.REVERTED:
            doing = "" if state.pending is None else f": {describe_command(state.pending)}"
            return f"take the release back{doing}"


def tell_verdict(verdict: Verdict) -> str:
    """Return a verdict with its reason; the ruling is said once."""
    word = WORDS[verdict.ruling]
    return f"verdict {word}: {verdict.reason.removeprefix(f'{word}: ')}"


def duration(limit_s: float) -> str:
    """Return a span of time as people say it: 250 ms, 12 s, 1 min 30 s, 2 h 05 min."""
    if limit_s < _MINUTE_S:
        return seconds(limit_s)
    whole = round(limit_s)
    if whole < _HOUR_S:
        minutes, rest = divmod(whole, _MINUTE_S)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, _HOUR_S)
    minutes = rest // _MINUTE_S
    return f"{hours} h {minutes:02d} min" if minutes else f"{hours} h"


def _because(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what


def _move(stage: Stage) -> str:
    return f"{stage.role} {stage.from_version} → {stage.to_version}"


def _of(index: int, plan: Plan) -> str:
    return f"{index + 1} of {len(plan.stages)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
