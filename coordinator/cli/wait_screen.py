"""Waits as lines for people: who waits for whom, what holds itself, what else does not move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rolewise.coordinator.views.waits import AnalysisView, StuckView, WaitsView

_WAITS_SHOWN = 30
_IDS_SHOWN = 12


def waits_lines(view: WaitsView) -> Iterator[str]:
    """Tell who waits for whom in a fleet now, the longest first."""
    busy = [one for one in view.replicas if one.running or one.queued]
    yield f"{view.fleet}: {len(view.waits)} waits in {len(view.replicas)} replicas"
    wide = max((len(one.replica) for one in busy), default=0)
    for one in busy:
        queued = f", {one.queued} queued" if one.queued else ""
        yield f"  {one.replica:{wide}}  {one.running} of {one.slots} slots held{queued}"
    for wait in view.waits[:_WAITS_SHOWN]:
        ends = "" if wait.ends_in_s is None else f" (times out in {wait.ends_in_s:.1f} s)"
        yield f"  {wait.text}{ends}"
    if len(view.waits) > _WAITS_SHOWN:
        yield f"  and {len(view.waits) - _WAITS_SHOWN} more; all with --json"
    if view.blind:
        yield f"! no answer from {', '.join(view.blind)}: what waits there is not seen"
    yield from (f"! {stall}" for stall in view.stalls)
    for deadlock in view.deadlocks:
        nodes = ", ".join(deadlock.nodes)
        yield f"✗ {deadlock.kind} deadlock, confirmed: {nodes}; {deadlock.victims} wait behind"
        yield from (f"    {wait.text}" for wait in deadlock.cycle)
    if not view.deadlocks:
        yield "✓ nothing is deadlocked"


def analysis_lines(view: AnalysisView) -> Iterator[str]:
    """Tell what saved snapshots say."""
    sure = "confirmed by both snapshots"
    if not view.confirmed:
        sure = "by one snapshot only: waits withdrawn while it was taken may look like it"
    if not view.soft.stuck:
        yield f"✓ nothing is stuck ({'in both snapshots' if view.confirmed else 'in one snapshot'})"
        return
    hard, soft = len(view.hard.stuck), len(view.soft.stuck)
    if hard:
        yield f"✗ {hard} stuck for ever, {sure}"
        yield from _core_lines(view.hard)
    if soft > hard:
        yield (
            f"✗ {soft} stuck until a timeout, {sure}"
            if not hard
            else (f"✗ {soft - hard} more stuck until a timeout")
        )
        yield from _core_lines(view.soft)
    yield "one circle of waits:"
    yield from (f"  {wait.id} → {wait.waits_for}  {wait.in_words}" for wait in view.cycle)


def _core_lines(part: StuckView) -> Iterator[str]:
    in_core = {id_ for core in part.cores for id_ in core}
    for core in part.cores:
        yield f"  hold each other: {_named(core)}"
    behind = [id_ for id_ in part.stuck if id_ not in in_core]
    if behind:
        yield f"  wait behind:     {_named(behind)}"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
    return f"{', '.join(ids[:_IDS_SHOWN])}{more}"
