"""What the terminal shows of a backtest, as plain lines; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rolewise.coordinator.backtest.report import JudgedSignalView, JudgementView
from rolewise.coordinator.cli.screen import SYMBOL_OF_RULING
from rolewise.coordinator.judge.verdict import Ruling
from rolewise.coordinator.wording import duration


def judgement_lines(
    view: JudgementView, *, is_traces: bool, plot: Path | None = None
) -> Iterator[str]:
    """Tell a backtest: verdict first, then each signal, what was counted, what to try next."""
    yield _headline(view, is_traces=is_traces)
    unknown = [one.name for one in view.signals if not one.required and not _is_measured(one)]
    for one in view.signals:
        if one.name not in unknown:
            free = "" if one.required else " (not required)"
            yield f"  {SYMBOL_OF_RULING[one.verdict]} {one.sentence}{free}{_since(one, view)}"
    if unknown:
        symbol = SYMBOL_OF_RULING[Ruling.NO_DATA]
        yield f"  {symbol} not recorded in both arms: {', '.join(unknown)}"
    if view.examples:
        yield f"  example tasks: {', '.join(view.examples)}"
    yield from (f"  {line}" for line in _later(view))
    yield _counted(view)
    yield from (f"  {line}" for line in _account(view))
    if plot is not None:
        yield f"drawn in {plot}"
    yield f"next: {_next(view, is_traces=is_traces)}"


def _headline(view: JudgementView, *, is_traces: bool) -> str:
    symbol = SYMBOL_OF_RULING[view.verdict]
    word = view.verdict.value.upper().replace("_", " ")
    arms = f"{view.tasks.canary} canary | {view.tasks.baseline} baseline"
    if view.decided_at is None:
        reason = view.reason.partition("; ")[0].removeprefix("no data: ")
        return f"{symbol} {word} after {_number(_tasks(view))} tasks ({arms}): {reason}"
    after = view.decided_after_s or 0.0
    when = "" if is_traces or after < 1.0 else f", {duration(after)} after the first"
    if view.verdict is Ruling.UNSURE:
        why = view.reason.partition("; ")[0].removeprefix("unsure: ")
    elif view.verdict is Ruling.HARM:
        why = ", ".join(one.name for one in view.signals if one.verdict is Ruling.HARM)
    else:
        why = "every required signal is within what is tolerated"
    return f"{symbol} {word} at task {_number(view.decided_at)} ({arms}{when}): {why}"


def _since(one: JudgedSignalView, view: JudgementView) -> str:
    """Say at which task a signal came to its word, where the verdict came later."""
    moment = {Ruling.HARM: one.first.harm, Ruling.SAFE: one.first.safe}.get(one.verdict)
    if moment is None or (view.decided_at is not None and moment.tasks >= view.decided_at):
        return ""
    return f" since task {_number(moment.tasks)}"


def _later(view: JudgementView) -> Iterator[str]:
    """Tell signals that would have come to a word behind the verdict."""
    if view.decided_at is None:
        return
    late = [
        f"{one.name} {word} at task {_number(moment.tasks)}"
        for one in view.signals
        for word, moment in (("harm", one.first.harm), ("safe", one.first.safe))
        if moment is not None and moment.tasks > view.decided_at
    ]
    if late:
        yield f"had it gone on: {', '.join(late)}"


def _counted(view: JudgementView) -> str:
    account = view.recording
    of = "" if account.counted == account.tasks else f" of {_number(account.tasks)}"
    return (
        f"counted {_number(account.counted)}{of} tasks in start order,"
        f" looked {_number(view.looks)} times, alpha {100 * view.alpha:g} %"
    )


def _account(view: JudgementView) -> Iterator[str]:
    account = view.recording
    if account.held_back:
        yield (
            f"{_number(account.held_back)} tasks were never counted: one of them does not end"
            " and holds back all that started after it"
        )
    if account.undrawn:
        yield (
            f"{_number(account.undrawn)} tasks have a weight of 0 or 100: their arm was not drawn,"
            " so they compare nothing"
        )
    if account.timed_out:
        yield f"{_number(account.timed_out)} tasks were ended by the deadline: failures"
    if account.tried_again:
        moved = f", {_number(account.changed_arm)} in the other arm" if account.changed_arm else ""
        yield (
            f"{_number(account.tried_again)} tasks were tried again{moved}:"
            " the first attempt's arm counts"
        )
    if account.changed:
        yield (
            f"{len(account.changed)} tasks differ in definition (task_rev) between the sides:"
            f" {', '.join(account.changed[:20])}{', …' if len(account.changed) > 20 else ''}"  # noqa: PLR2004
        )
    for one in view.signals:
        for why, count in one.left_out.items():
            yield f"{one.name}: {_number(count)} tasks left out, {why}"


def _next(view: JudgementView, *, is_traces: bool) -> str:
    if view.verdict is Ruling.HARM:
        if is_traces:
            return "look at the example tasks; --seed 1, 2, … tell how much of it is the order"
        return "look at the example tasks; --plot FILE.svg shows how the evidence grew"
    if view.recording.held_back:
        return "--deadline DURATION ends the tasks that hang"
    missing = [one.name for one in view.signals if one.required and not _is_measured(one)]
    if missing and view.verdict is not Ruling.SAFE:
        return f"record {', '.join(missing)}, or judge without: --analysis FILE"
    if view.verdict is Ruling.SAFE:
        return "put the same analysis into the fleet's file: docs/reference/configuration.md"
    return "more tasks, or a wider `tolerate`: --analysis FILE; docs/judge.md tells what it takes"


def _is_measured(one: JudgedSignalView) -> bool:
    """Say whether the recording answers it at all: what it would take is then known."""
    return one.harm_at is not None


def _tasks(view: JudgementView) -> int:
    return view.tasks.baseline + view.tasks.canary


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")
