"""From an engine's reading to the evidence that people see: ruling, orientation, sentence."""

from __future__ import annotations

from math import ceil, exp, log

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.metrics import Kind
from rolewise.coordinator.judge.sentences import describe
from rolewise.coordinator.judge.series import Reading
from rolewise.coordinator.judge.track import Track
from rolewise.coordinator.judge.verdict import Ruling, SignalEvidence

MOST_EVIDENCE = 1e12  # shown at most; more says nothing more
FORESEEABLE_TASKS = 100_000  # a forecast beyond is noise


def evidence_of(track: Track, *, harm_at: float, safe_at: float, spent: bool) -> SignalEvidence:
    """Return one signal's evidence.

    Args:
        track: The signal with its engine.
        harm_at: Evidence at which it is harm.
        safe_at: Evidence at which it is safe.
        spent: The budget is, so that what is open stays unsure.
    """
    signal, reading = track.signal, track.series.read()
    baseline, canary, difference, interval = _as_read(signal, reading)
    limit = limit_of(signal)
    ruling = _ruling(
        signal,
        reading,
        compares=track.series.compares,
        harm_at=harm_at,
        safe_at=safe_at,
        spent=spent,
    )
    if ruling is Ruling.SAFE and _is_drifting(signal, canary, baseline, difference):
        ruling = Ruling.UNSURE if spent else Ruling.CONTINUE
    more = track.series.tasks_to_safe(log(safe_at))
    return SignalEvidence(
        name=signal.name,
        metric=signal.metric,
        ruling=ruling,
        baseline=baseline,
        canary=canary,
        difference=difference,
        interval=interval,
        limit=limit,
        e_harm=_shown(reading.log_harm),
        e_safe=_shown(reading.log_safe),
        harm_at=harm_at,
        safe_at=safe_at,
        tasks_baseline=reading.tasks_baseline,
        tasks_canary=reading.tasks_canary,
        tasks_needed=None if more is None or more > FORESEEABLE_TASKS else ceil(more),
        left_out=tuple(sorted(track.left_out.items())),
        examples_baseline=tuple(track.examples[False]),
        examples_canary=tuple(track.examples[True]),
        required=signal.required and not signal.dry_run,
        sentence=describe(
            signal,
            ruling,
            canary=canary,
            baseline=baseline,
            difference=difference,
            interval=interval,
            limit=limit,
            tasks_canary=reading.tasks_canary,
            tasks_baseline=reading.tasks_baseline,
            note=reading.note,
            beyond=reading.beyond,
        ),
    )


def limit_of(signal: Signal) -> float:
    """Return the limit in the signal's own orientation and unit."""
    if signal.compare == "absolute":
        return signal.limit or 0.0
    return -signal.tolerate if signal.is_higher_better else signal.tolerate


def is_over(signal: Signal, evidence: SignalEvidence) -> bool:
    """Say whether a signal stands beyond its limit, proven or not."""
    value = evidence.difference if signal.compare == "baseline" else evidence.canary
    if value is None:
        return False
    return value < evidence.limit if signal.is_higher_better else value > evidence.limit


def _as_read(
    signal: Signal, reading: Reading
) -> tuple[float | None, float | None, float | None, tuple[float, float] | None]:
    """Return baseline, canary, difference and interval: engines count what is bad, people good."""
    if not signal.is_higher_better:
        return reading.baseline, reading.canary, reading.difference, reading.interval
    baseline, canary = (
        None if one is None else 1.0 - one for one in (reading.baseline, reading.canary)
    )
    difference = None if reading.difference is None else -reading.difference
    interval = reading.interval and (-reading.interval[1], -reading.interval[0])
    return baseline, canary, difference, interval


def _is_drifting(
    signal: Signal, canary: float | None, baseline: float | None, difference: float | None
) -> bool:
    """Say whether the arms' own quantiles contradict evidence that a frozen mark gave.

    A mark that was set before the baseline became slower says little about it now: while the
    canary's newest quantile is over the limit, or endless, nobody should read "safe" beside it.
    """
    if signal.kind is not Kind.LATENCY or signal.compare != "baseline":
        return False
    if difference is None:
        return canary is None and baseline is not None
    return difference > signal.tolerate


def _is_contradicted(signal: Signal, reading: Reading) -> bool:
    """Say whether a share or score that is not worse at all has evidence of harm.

    Tasks drawn with another weight than they say give that: the bet then wins from the labels
    alone. The check of the draw finds it in time; until then nobody should read "harm" beside two
    equal shares. A latency or amount may be worse elsewhere than in the figure that is shown.
    """
    return (
        signal.is_in_unit
        and signal.compare == "baseline"
        and reading.difference is not None
        and reading.difference <= 0.0
    )


def _ruling(
    signal: Signal,
    reading: Reading,
    *,
    compares: bool,
    harm_at: float,
    safe_at: float,
    spent: bool,
) -> Ruling:
    # An arm that never gets a task is evidence that the draw is broken, and of nothing else.
    is_empty = not reading.tasks_canary or (compares and not reading.tasks_baseline)
    harms = not is_empty and not _is_contradicted(signal, reading)
    if reading.log_harm >= log(harm_at) and harms:
        return Ruling.HARM
    enough = not is_empty and reading.tasks_canary >= signal.min_tasks
    if reading.log_safe >= log(safe_at) and enough:
        return Ruling.SAFE
    if spent:
        return Ruling.UNSURE
    return Ruling.NO_DATA if is_empty else Ruling.CONTINUE


def _shown(log_e: float) -> float:
    return MOST_EVIDENCE if log_e >= log(MOST_EVIDENCE) else exp(log_e)
