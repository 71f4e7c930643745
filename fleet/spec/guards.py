"""The part of the fleet's file that says when one task is ended because it works without end."""

from __future__ import annotations

from pydantic import Field

from rolewise.fleet.spec.base import Model, Whole
from rolewise.graphs.guard_limits import GuardLimits

_USUAL = GuardLimits()


class GuardsSpec(Model):
    """Hard limits of every task, in either arm. A task that breaks one fails with `loop_guard`.

    That is not how versions are judged: for that, loops are told much earlier and compared.
    """

    hops: Whole = Field(
        default=_USUAL.hops,
        description="Longest chain of messages, each caused by the one before. 0: no limit.",
    )
    messages: Whole = Field(
        default=_USUAL.messages, description="Most messages of a task. 0: no limit."
    )
    stalled: Whole = Field(
        default=_USUAL.stalled,
        description=(
            "Most messages in a row without progress: no mark (`ctx.progress`), no new memory "
            "key, no reply that the task has not seen before. 0: no limit."
        ),
    )


def guard_limits(guards: GuardsSpec) -> GuardLimits:
    """Return the limits for a runtime."""
    return GuardLimits(hops=guards.hops, messages=guards.messages, stalled=guards.stalled)
