"""Two recorded versions compared, as the command line and the API tell it."""

from __future__ import annotations

from collections.abc import Sequence

from rolewise.coordinator.errors import RolewiseError
from rolewise.coordinator.views.difference import GraphDifferenceView, view_trace_difference
from rolewise.fleet.harness.trace_comparison import compare_traces
from rolewise.fleet.harness.trace_selection import parse_selector, select
from rolewise.fleet.harness.traces import Trace, TraceError


def compare_versions(
    name: str, traces: Sequence[Trace], *, stable: str, canary: str, seed: int = 0
) -> GraphDifferenceView:
    """Compare the tasks that two selectors choose.

    Args:
        name: Of the recordings.
        traces: All of them.
        stable: See `parse_selector`.
        canary: Likewise; no task may be chosen by both.
        seed: Draws the tests.

    Raises:
        RolewiseError: `bad_input`: a selector is none, or chooses nothing, or both the same task.
    """
    try:
        chosen = [select(traces, parse_selector(text)) for text in (stable, canary)]
    except TraceError as error:
        raise RolewiseError("bad_input", str(error)) from error
    both = {trace.id for trace in chosen[0]} & {trace.id for trace in chosen[1]}
    if both:
        raise RolewiseError(
            "bad_input",
            f"stable = {stable!r} and canary = {canary!r} both choose {len(both)} tasks, such as "
            f"{min(both)!r}: want none in common",
        )
    comparison = compare_traces(*chosen, seed=seed)
    return view_trace_difference(name, (stable, canary), comparison)
