"""A rollout and its log as people and programs read them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from rolewise.coordinator.judge.verdict import Verdict
from rolewise.coordinator.plan.plan import Stage
from rolewise.coordinator.rollout.codec import encode_event
from rolewise.coordinator.rollout.commands import describe_command
from rolewise.coordinator.rollout.decide import allowed_verbs
from rolewise.coordinator.rollout.events import Event, PauseCause, VerdictGiven
from rolewise.coordinator.rollout.requests import Verb
from rolewise.coordinator.rollout.state import Phase, Rollout, StageStatus
from rolewise.coordinator.views.base import ByName, View
from rolewise.coordinator.views.plan import StepView, view_step
from rolewise.coordinator.views.verdict import FactView, VerdictView, view_fact, view_verdict
from rolewise.coordinator.wording import tell_event, tell_moment

StepState = Literal["waiting", "current", "done", "skipped", "stopped"]

_AT_AND_AFTER: dict[StageStatus, tuple[StepState, StepState]] = {
    StageStatus.STEPPING: ("current", "waiting"),
    StageStatus.REVERTING: ("stopped", "skipped"),
    StageStatus.REVERTED: ("stopped", "skipped"),
}
"""Where the newest step of the current stage stands, and those behind it."""


class RunStepView(StepView):
    """A step of a rollout, with where it stands."""

    state: StepState
    """`skipped` was promoted over or never reached; `stopped` was the last before a rollback."""


class StageView(View):
    """The upgrade of one role, with where it stands."""

    number: int
    """Place in the plan, from 1: the least critical role comes first."""
    role: str
    from_version: str
    to_version: str
    status: StageStatus
    reason: str
    """Why the role stands at this place."""
    weight: float
    """Percent of new tasks that the new version gets."""
    replicas: int
    canary_replicas: int
    steps: tuple[RunStepView, ...]


class PauseView(View):
    """Why a rollout is paused; the cause decides which verbs end it."""

    cause: PauseCause
    reason: str
    by: str
    since: datetime
    facts: tuple[FactView, ...]
    """What was seen, where that is the cause."""


class RollbackView(View):
    """Why a rollout was rolled back, and what it takes back, in order."""

    reason: str
    by: str
    since: datetime
    roles: tuple[str, ...]
    facts: tuple[FactView, ...]


class RolloutView(View):
    """Where a rollout stands."""

    id: str
    fleet: str
    phase: Phase
    reason: str
    """Why it is paused, rolled back or failed; empty when all goes forward."""
    sequence: int
    """Number of its newest event: the entity tag, and what `If-Match` is held against."""
    attempt: int
    """Counts retries, from 1."""
    to: str
    """Name of the wanted release; empty when it was spelled out."""
    started_at: datetime | None
    started_by: str
    since: datetime | None
    """When the phase began."""
    stage: int
    """Number of the current stage, from 1."""
    moment: str
    """What it does right now, in words; empty when it has ended."""
    step_since: datetime | None
    """When the current step began; null outside of steps."""
    next_move_not_before: datetime | None
    """When a wait ends by itself; null when it depends on more than time."""
    doing: str
    """The command that everything waits for, in words; empty when there is none."""
    failures: int
    """Failed attempts at that command."""
    weight: float
    """Percent of new tasks that the current stage's new version gets."""
    stages: tuple[StageView, ...]
    """Least critical role first."""
    verdict: VerdictView | None
    """The judge's newest word on the role under trial."""
    pause: PauseView | None
    rollback: RollbackView | None
    aborted_by: str
    left: tuple[str, ...]
    """What a failed rollback has left undone."""
    allowed_verbs: tuple[Verb, ...]
    """What may be asked of it now."""
    from_release: ByName
    to_release: ByName
    release: ByName
    """Role -> version that is stable by the newest routing table."""
    table: int
    """Number of that table."""
    warnings: tuple[str, ...]
    alerts: tuple[str, ...]
    """What needs a person's eye beside the rollout itself: that the store is away."""


class EventView(View):
    """An entry of a rollout's log."""

    number: int
    """From 1, without gaps."""
    at: datetime
    type: str
    by: str
    """`judge`, `rolewise`, or a person's name."""
    text: str
    """What happened, in one line."""
    reason: str
    data: dict[str, Any]
    """The event's other fields."""


class RolloutsView(View):
    """Rollouts, the newest first."""

    rollouts: tuple[RolloutView, ...]


class EventsView(View):
    """A part of a rollout's log."""

    rollout: str
    sequence: int
    """Number of the rollout's newest event."""
    events: tuple[EventView, ...]


def view_rollout(
    state: Rollout, newest: VerdictGiven | None = None, *, alerts: Sequence[str] = ()
) -> RolloutView:
    """Return where a rollout stands.

    Args:
        state: The fold of its log.
        newest: The judge's newest word, which the log has only when it was news.
        alerts: What needs a person's eye beside it.
    """
    pause, rollback, plan = state.pause, state.rollback, state.plan
    verdict = current_verdict(state, newest)
    return RolloutView(
        id=state.id,
        fleet=state.fleet,
        phase=state.phase,
        reason=state.reason,
        sequence=state.sequence,
        attempt=state.attempt,
        to=plan.to_name,
        started_at=state.started_at,
        started_by=state.started_by,
        since=state.since,
        stage=state.stage + 1,
        moment=tell_moment(state),
        step_since=state.step_since if _waits(state) else None,
        next_move_not_before=state.timer_ends,
        doing="" if state.pending is None else describe_command(state.pending),
        failures=state.failures,
        weight=state.weight,
        stages=tuple(_view_stage(state, index) for index in range(len(plan.stages))),
        verdict=None if verdict is None else view_verdict(verdict),
        pause=None
        if pause is None
        else PauseView(
            cause=pause.cause,
            reason=pause.reason,
            by=pause.by,
            since=pause.since,
            facts=tuple(view_fact(fact) for fact in pause.facts),
        ),
        rollback=None
        if rollback is None
        else RollbackView(
            reason=rollback.reason,
            by=rollback.by,
            since=rollback.since,
            roles=tuple(plan.stages[index].role for index in rollback.stages),
            facts=tuple(view_fact(fact) for fact in rollback.facts),
        ),
        aborted_by=state.aborted_by,
        left=state.left,
        allowed_verbs=allowed_verbs(state),
        from_release=dict(plan.from_release),
        to_release=dict(plan.to_release),
        release=dict(state.release),
        table=state.table.number,
        warnings=plan.warnings,
        alerts=tuple(alerts),
    )


def current_verdict(state: Rollout, newest: VerdictGiven | None) -> Verdict | None:
    """Return the newest word on the trial that runs; the last recorded one when none is newer."""
    if newest is None or state.trial is None or state.step_since is None:
        return state.verdict
    # What was said before the step began may be about the role before.
    return newest.verdict if newest.at >= state.step_since else state.verdict


def view_event(number: int, event: Event, state: Rollout) -> EventView:
    """Return an entry of the log of the rollout that stands at `state`, now or later."""
    data = json.loads(encode_event(event))
    for known in ("type", "v", "at", "by", "reason"):
        del data[known]
    if isinstance(event, VerdictGiven):
        data["verdict"] = view_verdict(event.verdict).model_dump(mode="json")
    return EventView(
        number=number,
        at=event.at,
        type=type(event).__name__,
        by=event.by,
        text=tell_event(event, state.plan),
        reason=event.reason,
        data=data,
    )


def _waits(state: Rollout) -> bool:
    return state.status in {StageStatus.STEPPING, StageStatus.BAKING} and not state.phase.is_final


def _view_stage(state: Rollout, index: int) -> StageView:
    stage, status = state.plan.stages[index], state.statuses[index]
    states = _step_states(state, index, stage, status)
    return StageView(
        number=index + 1,
        role=stage.role,
        from_version=stage.from_version,
        to_version=stage.to_version,
        status=status,
        reason=stage.reason,
        weight=state.weight_of(stage),
        replicas=stage.replicas,
        canary_replicas=stage.canary_replicas,
        steps=tuple(
            RunStepView(**view_step(step, place + 1).model_dump(), state=states[place])
            for place, step in enumerate(stage.steps)
        ),
    )


def _step_states(state: Rollout, index: int, stage: Stage, status: StageStatus) -> list[StepState]:
    """Say of each step of a stage where it stands."""
    count = len(stage.steps)
    states: list[StepState]
    if status in {StageStatus.WAITING, StageStatus.PREPARING}:
        states = ["waiting"] * count
    elif index != state.stage:  # An earlier one, which had all its steps behind it.
        states = ["done"] * count
    else:
        at, after = _AT_AND_AFTER.get(status, ("done", "skipped"))
        states = ["done"] * state.step
        states += [at] * (state.step >= 0)
        states += [after] * (count - len(states))
    return states
