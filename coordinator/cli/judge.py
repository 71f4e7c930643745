"""`rolewise judge`: the judge on recorded tasks, before one trusts it with live ones."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rolewise.coordinator.cli.options import AsJson, seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rolewise.coordinator.backtest.replay import Replay
    from rolewise.coordinator.backtest.report import Account
    from rolewise.coordinator.backtest.rows import Row
    from rolewise.coordinator.judge.analysis import Analysis

CURVE_POINTS = 120

Files = Annotated[
    list[Path],
    typer.Argument(
        metavar="RECORDS...",
        help="JSON lines, plain or gzipped: task records, or recorded traces with --stable and"
        " --canary.",
    ),
]


def judge(
    files: Files,
    analysis: Annotated[
        Path | None,
        typer.Option(
            "--analysis",
            metavar="FILE",
            help="YAML with analysis_templates (a fleet's file has them), or a single template."
            " Else the built-in one.",
        ),
    ] = None,
    template: Annotated[
        str,
        typer.Option(
            "--template",
            metavar="NAME",
            help="Which template: one of FILE, or task-health, or recorded-traces.",
            show_default=False,
        ),
    ] = "",
    weight: Annotated[
        float | None,
        typer.Option(
            "--weight",
            metavar="PERCENT",
            min=0,
            max=100,
            help="Of tasks that the canary was given, for records that do not say it.",
        ),
    ] = None,
    deadline: Annotated[
        str,
        typer.Option(
            "--deadline",
            metavar="DURATION",
            help="Age at which a task counts as timed out. Else one that never ends holds back all"
            " that started after it.",
            show_default=False,
        ),
    ] = "",
    stable: Annotated[
        str,
        typer.Option(
            "--stable",
            metavar="SELECTOR",
            help="Traces of the baseline: a version, or versions.ROLE=X,task_attributes.KEY=Y.",
            show_default=False,
        ),
    ] = "",
    canary: Annotated[
        str,
        typer.Option(
            "--canary", metavar="SELECTOR", help="Traces of the canary.", show_default=False
        ),
    ] = "",
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="ROLE",
            help="Traces: tool errors, tokens, cost and loops of this role only; else of all.",
            show_default=False,
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Traces: shuffles their order.")] = 0,
    keep_changed: Annotated[
        bool,
        typer.Option(
            "--keep-changed",
            help="Traces: count also tasks that are defined differently (task_rev) on both sides.",
            show_default=False,
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE.svg", help="Draw evidence and difference over tasks."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Judge recorded tasks: what the judge would have said, and at which task.

    A task record is a line such as {"task": "t-1", "arm": "canary", "weight": 5, "started":
    "2026-05-01T09:00:00Z", "ended": "2026-05-01T09:00:07Z", "outcome": "completed", "latency_s":
    7.0, "tool_calls": 3, "tool_errors": 0, "input_tokens": 900, "output_tokens": 120, "cost_usd":
    0.004, "scores": {"helpful": 0.9}}. Needed are task, arm (baseline, canary), weight (percent
    given to the canary at the draw), started (seconds or ISO) and outcome (completed, failed,
    timed_out, running); what is left out or null was not recorded, which is not 0. Several lines of
    one task are its attempts: the first one's arm counts, and the last one's outcome.

    Tasks are counted in the order in which they started, each when all before it have ended. It
    looks after each of the first 1000 tasks, then whenever they have grown by 0.2 %; its error
    bounds hold for any number of looks. The exit code is 1 if the canary is harm, else 0.

    Recorded traces are no trial: every task of both sides counts as drawn at random, in an order
    shuffled by --seed, and recorded-traces (alpha 5 %) judges them where nothing else is said;
    task records are judged by task-health (alpha 1 %).
    """
    from rolewise.coordinator.backtest.report import view_judgement
    from rolewise.coordinator.cli import judgement, render
    from rolewise.coordinator.cli.exits import DONE, FAILED

    is_traces = _is_traces(
        stable,
        canary,
        for_records={"--weight": weight is not None, "--deadline": bool(deadline)},
        for_traces={"--role": bool(role), "--seed": bool(seed), "--keep-changed": keep_changed},
    )
    chosen = _analysis(analysis, template, is_traces=is_traces)
    with _no_garbage():
        if is_traces:
            rows, account = _traces(
                files, stable=stable, canary=canary, seed=seed, role=role, keep_changed=keep_changed
            )
        else:
            rows, account = _records(files, weight=weight, deadline=deadline)
        done = _replay(rows, chosen, plot)
    view = view_judgement(done, account)
    if as_json:
        render.say_json(view.to_json(indent=2))
    else:
        render.say(*judgement.judgement_lines(view, is_traces=is_traces, plot=plot))
    return FAILED if view.verdict == "harm" else DONE


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Look for no garbage: a million rows are none, and looking takes a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _is_traces(
    stable: str, canary: str, *, for_records: dict[str, bool], for_traces: dict[str, bool]
) -> bool:
    """Say whether the files hold traces, and refuse options that do not go together."""
    from rolewise.coordinator.errors import RolewiseError

    is_traces = bool(stable or canary)
    message = ""
    if bool(stable) != bool(canary):
        has, lacks = ("--stable", "--canary") if stable else ("--canary", "--stable")
        message = f"{has} needs {lacks}: two sides are compared"
    for name, is_given in (for_records if is_traces else for_traces).items():
        if is_given and is_traces:
            message = message or f"{name} is for task records, not for traces"
        elif is_given:
            message = f"{name} is for traces: it needs --stable and --canary"
    if message:
        raise RolewiseError("bad_input", message, hint="rolewise judge --help")
    return is_traces


def _analysis(file: Path | None, name: str, *, is_traces: bool) -> Analysis:
    """Return the analysis that was asked for, or the usual one."""
    from rolewise.coordinator.backtest.analyses import RECORDED_TRACES, TRACES
    from rolewise.coordinator.errors import RolewiseError
    from rolewise.coordinator.plan.stages import build_analysis
    from rolewise.fleet.spec import BUILT_IN_TEMPLATES, DEFAULT_TEMPLATE, load_templates

    known = {one: build_analysis(template) for one, template in BUILT_IN_TEMPLATES.items()}
    known[RECORDED_TRACES] = TRACES
    if file is None:
        name = name or (RECORDED_TRACES if is_traces else DEFAULT_TEMPLATE)
    else:
        own = {one: build_analysis(template) for one, template in load_templates(file).items()}
        known |= own
        if not name:
            name = next(iter(own)) if len(own) == 1 else DEFAULT_TEMPLATE
            if name not in own:
                wanted = ", ".join(own) or "none"
                message = f"{file} has {len(own)} templates: name one with --template: {wanted}"
                raise RolewiseError("bad_input", message)
    if name not in known:
        wanted = ", ".join(one for one in known if one)
        message = f"--template = {name!r}: no such analysis template: want one of {wanted}"
        raise RolewiseError("bad_input", message)
    if not known[name].signals:
        message = f"{file}: template {name or 'of the file'} has no signals: want at least one"
        raise RolewiseError("bad_input", message, hint="docs/judge.md")
    return known[name]


def _records(
    files: Sequence[Path], *, weight: float | None, deadline: str
) -> tuple[Sequence[Row], Account]:
    from rolewise.coordinator.backtest.cohort import build_cohort
    from rolewise.coordinator.backtest.reading import read_records
    from rolewise.coordinator.backtest.report import Account

    deadline_s = seconds_of(deadline, "--deadline") if deadline else None
    cohort = build_cohort(read_records(files, weight=weight), deadline_s=deadline_s)
    return cohort.rows, Account(
        tasks=len(cohort.rows),
        tried_again=cohort.tried_again,
        changed_arm=cohort.changed_arm,
        timed_out=cohort.timed_out,
        running=cohort.running,
        undrawn=sum(row.weight in {0.0, 100.0} for row in cohort.rows),
    )


def _traces(
    files: Sequence[Path], *, stable: str, canary: str, seed: int, role: str, keep_changed: bool
) -> tuple[Sequence[Row], Account]:
    from rolewise.coordinator.backtest.reading import read_comparison
    from rolewise.coordinator.backtest.report import Account

    sides = read_comparison(
        files, stable=stable, canary=canary, role=role, keep_changed=keep_changed
    )
    return sides.shuffled(seed), Account(tasks=len(sides.rows), changed=sides.changed)


def _replay(rows: Sequence[Row], analysis: Analysis, plot: Path | None) -> Replay:
    from rolewise.coordinator.backtest.plots import draw_replay
    from rolewise.coordinator.backtest.replay import replay
    from rolewise.coordinator.errors import RolewiseError

    if plot is None:
        return replay(rows, analysis)
    done = replay(rows, analysis, points=CURVE_POINTS)
    try:
        plot.write_text(draw_replay(done), encoding="utf-8")
    except OSError as error:
        message = f"--plot = {str(plot)!r} cannot be written: {error.strerror}"
        raise RolewiseError("bad_input", message) from error
    return done
