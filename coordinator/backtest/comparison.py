"""Two recorded versions as if their tasks had been drawn at random: the rows of such a trial.

Recordings of a benchmark are no trial: each version did its tasks alone. What makes them one here:
every task of each side counts as drawn with the share of tasks that its side has, and their order
is shuffled by a seed. Several seeds tell how much of a verdict is the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from rolewise.coordinator.backtest.rows import Row
from rolewise.fleet.harness.trace_loops import raised_in
from rolewise.fleet.harness.traces import Trace
from rolewise.fleet.task import Outcome

SCORE = "reward"
"""Name of the score of a recording, for signals with `metric: score`."""


class ComparisonError(ValueError):
    """The two sides cannot be compared; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The tasks of both sides.

    Attributes:
        rows: One a recorded task, baseline first.
        changed: Ids of tasks that are another task on the other side (`task_rev` differs); they
            are left out unless asked for.
    """

    rows: tuple[Row, ...]
    changed: tuple[str, ...] = ()

    def shuffled(self, seed: int) -> list[Row]:
        """Return the tasks in the order of a trial."""
        rows = list(self.rows)
        Random(seed).shuffle(rows)
        return [
            replace(row, started_s=float(place), ended_s=float(place))
            for place, row in enumerate(rows)
        ]


def compare(
    stable: Sequence[Trace],
    canary: Sequence[Trace],
    *,
    role: str = "",
    keep_changed: bool = False,
) -> Comparison:
    """Return two recorded versions as the two sides of a trial.

    Args:
        stable: Tasks of the baseline.
        canary: Tasks of the other version.
        role: Tokens, cost, tool errors and loops are this role's; empty: those of all roles.
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
    weight = 100.0 * len(sides[1]) / (len(sides[0]) + len(sides[1]))
    return Comparison(
        rows=tuple(
            _row(one, canary=bool(arm), weight=weight, role=role)
            for arm, side in enumerate(sides)
            for one in side
        ),
        changed=changed,
    )


def _row(trace: Trace, *, canary: bool, weight: float, role: str) -> Row:
    completed = trace.completed and trace.ended_normally
    usage = trace.usage and [used for name, used in trace.usage.items() if role in {"", name}]
    return Row(
        task=trace.id,
        canary=canary,
        weight=weight,
        started_s=0.0,
        ended_s=0.0,
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
        flags=tuple(one.flag for one in raised_in(trace) if role in {"", one.role}),
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
