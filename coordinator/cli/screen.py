"""What the terminal shows of plans and rollouts, as plain lines; nothing is printed here.

Words, symbols and order are those of the API and the page. Lines may be longer than the terminal
is wide: whoever prints them folds at a hanging indent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime

from rolewise.coordinator.cli.exits import FINAL_PHASES
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.rollout.state import Phase, StageStatus
from rolewise.coordinator.views import (
    CountsView,
    EventView,
    FleetView,
    PlanView,
    RolloutView,
    TaskView,
)
from rolewise.coordinator.views.plan import StepView
from rolewise.coordinator.views.rollout import RunStepView, StageView
from rolewise.coordinator.wording import duration

SYMBOL_OF_PHASE = {
    Phase.PENDING: "○",
    Phase.PROGRESSING: "▶",
    Phase.PAUSED: "❚❚",
    Phase.ROLLING_BACK: "▶",
    Phase.COMPLETED: "✓",
    Phase.ROLLED_BACK: "✗",
    Phase.FAILED: "✗",
}
SYMBOL_OF_RULING = {
    Ruling.SAFE: "✓",
    Ruling.HARM: "✗",
    Ruling.CONTINUE: "?",
    Ruling.UNSURE: "?",
    Ruling.NO_DATA: "○",
}
SYMBOL_OF_STEP = {"waiting": "·", "current": "▶", "done": "✓", "skipped": "·", "stopped": "✗"}
BAR_WIDTH = 20


def words_of(phase: Phase) -> str:
    """Return a phase as people read it."""
    return phase.value.replace("_", " ")


def plan_lines(plan: PlanView) -> Iterator[str]:
    """Tell a plan: its stages in order, each with the reason for its place and its steps."""
    count = len(plan.stages)
    to = plan.to or "the release that was spelled out"
    yield f"{plan.fleet}: to {to}, {count} stage{'s' if count > 1 else ''}, least critical first"
    wide = max(len(stage.role) for stage in plan.stages)
    for stage in plan.stages:
        versions = f"{stage.from_version} → {stage.to_version}"
        yield f"  {stage.number} {stage.role:{wide}}  {versions}   {stage.reason}"
        yield f"      {' · '.join(short_step(step) for step in stage.steps)}"
    if plan.expected_tasks is not None:
        yield f"its analyses need about {plan.expected_tasks} tasks together"
    taken_back = "all stages are" if plan.on_stage_failure == "roll_back_all" else "its stage is"
    yield f"when one fails, {taken_back} rolled back"
    yield from (f"! {warning}" for warning in plan.warnings)


def short_step(step: StepView) -> str:
    """Return a step in a word or two, for one line with all steps."""
    if step.kind == "set_weight":
        return f"{step.weight:g} %"
    if step.kind == "analysis":
        return f"judge ({step.evidence})"
    return "person" if step.duration_s is None else f"wait {duration(step.duration_s)}"


def rollout_lines(rollout: RolloutView, now: datetime) -> Iterator[str]:
    """Tell where a rollout stands: phase, step, stages, verdict, and what may be asked of it."""
    to = f"to {rollout.to}" if rollout.to else "to a release of its own"
    phase = f"{SYMBOL_OF_PHASE[rollout.phase]} {words_of(rollout.phase)}"
    since = _ago(rollout.since, now)
    words = f"{since} ago" if rollout.phase in FINAL_PHASES else f"for {since}"
    yield f"{rollout.fleet}  {rollout.id}  {to}   {phase}{since and f' {words}'}"
    if rollout.reason:
        yield f"  {rollout.reason}"
    yield from _fact_lines(rollout)
    yield from (f"  ! {alert}" for alert in rollout.alerts)
    if rollout.phase not in FINAL_PHASES and rollout.moment:
        yield from _moment_lines(rollout, now)
    wide = max(len(stage.role) for stage in rollout.stages)
    for stage in rollout.stages:
        yield _stage_line(stage, rollout, wide)
    yield from _verdict_lines(rollout)
    yield from (f"  left to do: {line}" for line in rollout.left)
    if rollout.allowed_verbs:
        verbs = ", ".join(verb.value.replace("_", " --") for verb in rollout.allowed_verbs)
        yield f"you may: {verbs}   (rolewise rollout VERB {rollout.id})"


def list_lines(rollouts: Sequence[RolloutView]) -> Iterator[str]:
    """Tell rollouts, one line each."""
    widths = [
        max(len(text) for text in column)
        for column in zip(*((one.id, words_of(one.phase)) for one in rollouts), strict=True)
    ]
    for one in rollouts:
        place = f"stage {one.stage}/{len(one.stages)}" if one.phase not in FINAL_PHASES else ""
        more = one.reason or one.moment
        what = "   ".join(
            part for part in (f"to {one.to or 'a release of its own'}", place, more) if part
        )
        symbol = SYMBOL_OF_PHASE[one.phase]
        yield f"{symbol:2} {one.id:{widths[0]}}  {words_of(one.phase):{widths[1]}}  {what}"


def ending_lines(rollout: RolloutView, at: str) -> Iterator[str]:
    """Tell how a rollout ended, or why it waits, with what shows it."""
    phase = f"{SYMBOL_OF_PHASE[rollout.phase]} {rollout.id} {words_of(rollout.phase)} at {at}"
    yield f"{phase}: {rollout.reason}" if rollout.reason else phase
    yield from _fact_lines(rollout)
    if rollout.verdict is not None and rollout.verdict.ruling in {Ruling.HARM, Ruling.UNSURE}:
        for signal in rollout.verdict.signals:
            yield f"    {SYMBOL_OF_RULING[signal.ruling]} {signal.sentence}"
        if rollout.verdict.examples:
            yield f"    example tasks: {', '.join(rollout.verdict.examples)}"
    yield from (f"    left to do: {line}" for line in rollout.left)
    release = ", ".join(f"{role} {version}" for role, version in rollout.release.items())
    yield f"    stable now: {release}"


def event_line(event: EventView, at: str) -> str:
    """Return an entry of the log in one line: when, what, by whom."""
    by = "" if event.by in {"rolewise", "judge"} else f" (by {event.by})"
    return f"{at}  {event.text}{by}"


def local_time(at: datetime) -> str:
    """Return a moment as the clock on the wall shows it."""
    return at.astimezone().strftime("%H:%M:%S")


def commands_for(rollout: RolloutView) -> Iterator[str]:
    """Return the commands that may be given to a rollout now."""
    for verb in rollout.allowed_verbs:
        words = {"promote_full": "promote --full", "abort": "abort --reason TEXT"}
        yield f"rolewise rollout {words.get(verb.value, verb.value)} {rollout.id}"


def tasks_line(tasks: CountsView) -> str:
    """Return the account of all tasks: none is lost."""
    running = f" + {tasks.running} running" if tasks.running else ""
    return (
        f"tasks: {tasks.submitted} submitted = {tasks.completed} completed"
        f" + {tasks.failed} failed + {tasks.timed_out} timed out{running}"
    )


def fleet_lines(fleet: FleetView) -> Iterator[str]:
    """Tell what a fleet runs, how its tasks ended, and what needs a person."""
    release = " = ".join(fleet.release_names) or "a release of its own"
    yield f"{fleet.name}  release {release}   {tasks_line(fleet.tasks)}"
    wide = max(len(role.role) for role in fleet.roles)
    for role in fleet.roles:
        versions = "   ".join(
            f"{one.version} {one.ready}/{one.wanted} ready"
            + (f", {one.restarts} restarts" if one.restarts else "")
            for one in role.versions
        )
        yield f"  {role.role:{wide}}  {versions}"
    if fleet.rollout is not None:
        phase = "" if fleet.rollout_phase is None else f" {words_of(fleet.rollout_phase)}"
        yield f"  newest rollout: {fleet.rollout}{phase}"
    yield from (f"  ! {alert}" for alert in fleet.alerts)


def task_lines(task: TaskView) -> Iterator[str]:
    """Tell the account of a task."""
    symbol = {"completed": "✓", "running": "▶"}.get(task.outcome.value, "✗")
    took = "" if task.latency_s is None else f" in {duration(task.latency_s)}"
    yield f"{symbol} {task.id} {task.outcome.value.replace('_', ' ')}{took}"
    if task.error:
        yield f"  {task.error}"
    if task.result is not None:
        yield f"  result: {json.dumps(task.result, ensure_ascii=False)}"
    noted = [one for one in (task.input_tokens, task.output_tokens) if one is not None]
    tokens = f", {sum(noted)} tokens" if noted else ""
    calls = f"{task.tool_calls} tool calls ({task.tool_errors} failed)"
    yield f"  {task.messages} messages, {calls}{tokens}"
    if task.flags:
        yield f"  loop flags: {', '.join(task.flags)}"
    for role, arm in task.arms.items():
        yield f"  {role}: {arm}"


def clock(seconds: float) -> str:
    """Return virtual seconds as minutes and seconds: 01:23.4."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:04.1f}"


def _moment_lines(rollout: RolloutView, now: datetime) -> Iterator[str]:
    stage = rollout.stages[rollout.stage - 1]
    of = f"stage {stage.number}/{len(rollout.stages)}"
    yield f"{of}  {stage.role} {stage.from_version} → {stage.to_version}   {rollout.moment}"
    parts = [f"weight {stage.weight:g} %"]
    if since := _ago(rollout.step_since, now):
        parts.append(f"in step {since}")
    if rollout.next_move_not_before is not None:
        left = round((rollout.next_move_not_before - now).total_seconds())
        parts.append(f"next move in {duration(left)}" if left > 0 else "next move now")
    if rollout.doing:
        tried = f", {rollout.failures} attempts failed" if rollout.failures else ""
        parts.append(f"waits for: {rollout.doing}{tried}")
    yield f"           {'   '.join(parts)}"


def _stage_line(stage: StageView, rollout: RolloutView, wide: int) -> str:
    ended = rollout.phase in FINAL_PHASES
    symbol = _stage_symbol(stage.status, ended=ended)
    head = (
        f"  {symbol} {stage.number} {stage.role:{wide}}  {stage.from_version} → {stage.to_version}"
    )
    match stage.status:
        case StageStatus.WAITING:
            return f"{head}   {'not reached' if ended else stage.reason}"
        case StageStatus.DONE | StageStatus.REVERTED:
            return f"{head}   {stage.status.value}"
        case StageStatus.STEPPING:
            return f"{head}   {_ladder(stage.steps)}   {bar(stage.weight)}"
        case _:
            return f"{head}   {stage.status.value}   {bar(stage.weight)}"


def _stage_symbol(status: StageStatus, *, ended: bool) -> str:
    if status is StageStatus.DONE:
        return "✓"
    if status in {StageStatus.REVERTING, StageStatus.REVERTED}:
        return "✗"
    return "○" if ended or status is StageStatus.WAITING else "▶"


def _ladder(steps: Sequence[RunStepView]) -> str:
    return " ".join(f"{SYMBOL_OF_STEP[step.state]}{short_step(step)}" for step in steps)


def bar(weight: float) -> str:
    """Return a weight in percent as a bar."""
    full = round(weight / 100 * BAR_WIDTH)
    return "█" * full + "░" * (BAR_WIDTH - full)


def _verdict_lines(rollout: RolloutView) -> Iterator[str]:
    verdict = rollout.verdict
    if verdict is None:
        return
    ruling = verdict.ruling.value.upper().replace("_", " ")
    counted = f"({verdict.tasks_canary} canary, {verdict.tasks_baseline} baseline tasks)"
    yield f"verdict  {ruling}   {counted}"
    yield from (f"  ✗ {fact.sentence}" for fact in verdict.facts)
    yield from (f"  {SYMBOL_OF_RULING[one.ruling]} {one.sentence}" for one in verdict.signals)


def _fact_lines(rollout: RolloutView) -> Iterator[str]:
    """Tell what was seen that rolled it back, or that it is paused for."""
    cause = rollout.rollback or rollout.pause
    for fact in () if cause is None else cause.facts:
        if fact.sentence != rollout.reason:
            yield f"    {fact.sentence}"
        yield from (f"    {line}" for line in fact.details if line != rollout.reason)


def _ago(since: datetime | None, now: datetime) -> str:
    if since is None:
        return ""
    return duration(max(1, round((now - since).total_seconds())))
