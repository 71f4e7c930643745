"""Two recorded versions as if their tasks had been drawn at random: the rows of such a trial.

Recordings of a benchmark are no trial: each version did its tasks alone. What makes them one here:
every task of each side counts as drawn with the share of tasks that its side has, and their order
is shuffled by a seed. Several seeds tell how much of a verdict is the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.harness.traces import Trace
from rolewise.fleet.task import Outcome

SCORE = "reward"
"""Name of the score of a recording, for signals with `metric: score`."""


class ComparisonError(ValueError):
    """The two sides cannot be compared; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The tasks of both sides, in their shuffled order.

    Attributes:
        rows: One a recorded task.
        changed: Ids of tasks that are another task on the other side (`task_rev` differs); they
            are left out unless asked for.
    """

    rows: tuple[Row, ...]
    changed: tuple[str, ...] = ()


def compare(
    stable: Sequence[Trace],
    canary: Sequence[Trace],
    *,
    seed: int = 0,
    role: str = "",
    keep_changed: bool = False,
) -> Comparison:
    """Return the rows of a trial of two recorded versions.

    Args:
        stable: Tasks of the baseline.
        canary: Tasks of the other version.
        seed: Of their order.
        role: Tokens, cost and tool errors are this role's; empty: those of all roles.
        keep_changed: Count also tasks whose definition differs between the sides.

    Raises:
        ComparisonError: A task is on both sides, no task is left, or no task knows the role.
    """
    both = {id(one) for one in stable} & {id(one) for one in canary}
    if both:
        name = next(one.id for one in stable if id(one) in both)
        raise ComparisonError(
            f"{len(both)} tasks are meant by both selectors, {name} among them: want two that share"
            " none"
        )
    changed = _changed(stable, canary)
    left_out = frozenset() if keep_changed else frozenset(changed)
    sides = [[one for one in side if one.task_id not in left_out] for side in (stable, canary)]
    if not all(sides):
        raise ComparisonError(
            "every task is left out: the definition (task_rev) of each differs between the sides;"
            " --keep-changed counts them all the same"
        )
    if role:
        known = sorted({name for side in sides for one in side for name in one.versions})
        if role not in known:
            raise ComparisonError(f"no task has a role {role!r}: want one of {', '.join(known)}")
    drawn = [(arm, one) for arm, side in enumerate(sides) for one in side]
    Random(seed).shuffle(drawn)
    weight = 100.0 * len(sides[1]) / len(drawn)
    return Comparison(
        rows=tuple(
            _row(one, canary=bool(arm), weight=weight, at_s=float(place), role=role)
            for place, (arm, one) in enumerate(drawn)
        ),
        changed=changed,
    )


def _row(trace: Trace, *, canary: bool, weight: float, at_s: float, role: str) -> Row:
    completed = trace.completed and trace.ended_normally
    usage = trace.usage and [used for name, used in trace.usage.items() if role in {"", name}]
    return Row(
        task=trace.id,
        canary=canary,
        weight=weight,
        started_s=at_s,
        ended_s=at_s,
        outcome=Outcome.COMPLETED if completed else Outcome.FAILED,
        latency_s=trace.duration_s,
        tool_errors=sum(
            one.error
            for one in trace.messages
            if one.kind == "tool_result" and role in {"", one.to}
        ),
        input_tokens=sum(one.input_tokens for one in usage) if usage else None,
        output_tokens=sum(one.output_tokens for one in usage) if usage else None,
        cost_usd=_cost(trace.cost_usd, role),
        scores={} if trace.score is None else {SCORE: min(1.0, max(0.0, trace.score))},
    )


def _cost(cost: Mapping[str, float | None] | None, role: str) -> float | None:
    """Return the sum; None as soon as a part of it is not known."""
    parts = [one for name, one in (cost or {}).items() if role in {"", name}]
    known = [one for one in parts if one is not None]
    return sum(known) if known and len(known) == len(parts) else None


def _changed(stable: Sequence[Trace], canary: Sequence[Trace]) -> tuple[str, ...]:
    """Return the ids of tasks that both sides name and define differently."""
    revisions: list[dict[str, set[str]]] = [{}, {}]
    for known, side in zip(revisions, (stable, canary), strict=True):
        for one in side:
            revision = one.attributes.get("task_rev")
            if revision is not None:  # a task that crashed early may have none
                known.setdefault(one.task_id, set()).add(str(revision))
    ours, theirs = revisions
    return tuple(task for task in ours if task in theirs and ours[task] != theirs[task])
