"""`rolewise graph diff`: how the new version's conversations differ from the old one's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolewise.coordinator.cli.options import DEFAULT_URL, AsJson, Url

if TYPE_CHECKING:
    from rolewise.coordinator.views.difference import (
        EdgeDifferenceView,
        GraphDifferenceView,
        PatternView,
    )

_FILE_ENDINGS = (".jsonl", ".jsonl.gz", ".gz")


def diff(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FLEET|TRACES",
            help="A fleet with a rollout under way, or a file of recorded tasks (.jsonl, .gz).",
        ),
    ],
    stable: Annotated[
        str,
        typer.Option(
            "--stable",
            metavar="V",
            help="Of a file: a version's name, or field=value pairs with commas between, "
            "such as versions.agent=gpt-4o,task_attributes.trial=0.",
            show_default=False,
        ),
    ] = "",
    canary: Annotated[
        str, typer.Option("--canary", metavar="V", help="What to compare.", show_default=False)
    ] = "",
    last: Annotated[
        str,
        typer.Option(
            "--last",
            metavar="DURATION",
            help="Of a fleet: this time only, such as 60s.",
            show_default=False,
        ),
    ] = "",
    seed: Annotated[
        int, typer.Option("--seed", help="Of a file: draws the tests; equal seeds, equal results.")
    ] = 0,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> int:
    """Compare who says what to whom: baseline and canary, or two recorded versions."""
    from rolewise.coordinator.cli import render
    from rolewise.coordinator.cli.client import connect
    from rolewise.coordinator.errors import RolewiseError
    from rolewise.coordinator.views.difference import GraphDifferenceView

    if Path(source).is_file() or source.endswith(_FILE_ENDINGS):
        if last:
            raise RolewiseError("bad_input", f"--last = {last!r}: only a fleet has it")
        view = _of_traces(Path(source), stable, canary, seed)
        if as_json:
            render.say_json(view.to_json(indent=2))
            return 0
    else:
        for option, value in (("--stable", stable), ("--canary", canary)):
            if value:
                message = f"{option} = {value!r}: only a file of recorded tasks has it"
                raise RolewiseError("bad_input", message, hint=f"is {source!r} a file?")
        path, client = ("fleets", source, "graph", "diff"), connect(url)
        if as_json:
            render.say_json(client.read_text(*path, last=last))
            return 0
        view = client.read(GraphDifferenceView, *path, last=last)
    render.say(*difference_lines(view))
    return 0


def difference_lines(view: GraphDifferenceView) -> Iterator[str]:
    """Tell the difference: what the tests say, then edge by edge, changes first."""
    arms = (
        f"{view.baseline} ({view.tasks_baseline} tasks)",
        f"{view.canary} ({view.tasks_canary} tasks)",
    )
    yield f"{view.fleet}: {' | '.join(arms)}"
    if not view.edges:
        yield "  no message of either yet: is a canary on trial?"
        return
    if view.patterns is not None:
        yield from _pattern_lines(view.patterns)
    if view.flagged_baseline is not None:
        yield f"  livelock  {view.flagged_baseline} | {view.flagged_canary} tasks flagged"
    yield "  edges  " + ", ".join(f"{count} {change}" for change, count in view.changes.items())
    rows: list[tuple[str, ...]] = [("", "from", "to", "kind", "a task", "", "failed", "latency")]
    rows += [_edge_cells(edge) for edge in view.edges]
    if not any(edge.baseline.latency_ms or edge.canary.latency_ms for edge in view.edges):
        rows = [row[:-1] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:{wide}}" for cell, wide in zip(row, widths, strict=True)]
        yield ("  " + "  ".join(cells)).rstrip()


def _pattern_lines(patterns: PatternView) -> Iterator[str]:
    words = {"rollback": "worse: rollback", "pause": "different: pause", "nothing": patterns.state}
    yield f"  patterns  {words[patterns.follows]}"
    if not patterns.findings:
        yield f"    {patterns.reason}"
    for finding in patterns.findings:
        yield f"    {finding.direction:8}  {finding.sentence}"
    if patterns.changed:
        yield f"    choices changed at {', '.join(patterns.changed)}"
    if patterns.affected:
        yield f"    felt at {', '.join(patterns.affected)}"
    if patterns.distance is not None and patterns.distance_p is not None:
        p = patterns.distance_p
        yield f"    distance of the graphs {patterns.distance:.2f} of 1 (p {p:.2g})"


def _edge_cells(edge: EdgeDifferenceView) -> tuple[str, ...]:
    ratio = "" if edge.ratio is None else f"x{edge.ratio:.2f}"
    return (
        edge.change,
        edge.source or "(outside)",
        edge.target or "(outside)",
        edge.kind,
        f"{edge.baseline.per_task:.2f} | {edge.canary.per_task:.2f}",
        ratio,
        f"{edge.baseline.failed:.0f} | {edge.canary.failed:.0f}",
        f"{_ms(edge.baseline.latency_ms)} | {_ms(edge.canary.latency_ms)}",
    )


def _ms(latency_ms: float | None) -> str:
    return "-" if latency_ms is None else f"{latency_ms:.3g} ms"


def _of_traces(file: Path, stable: str, canary: str, seed: int) -> GraphDifferenceView:
    from rolewise.coordinator.errors import RolewiseError
    from rolewise.coordinator.trace_difference import compare_versions
    from rolewise.fleet.harness.traces import TraceError, read_traces

    for option, value in (("--stable", stable), ("--canary", canary)):
        if not value:
            message = f"{option} is missing: a file of recorded tasks needs both versions named"
            raise RolewiseError("bad_input", message, hint="rolewise graph diff --help")
    try:
        traces = list(read_traces(file))
    except TraceError as error:
        raise RolewiseError("bad_input", str(error)) from error
    return compare_versions(file.name, traces, stable=stable, canary=canary, seed=seed)
