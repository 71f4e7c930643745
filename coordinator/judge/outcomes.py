"""What a task is worth to a signal, always oriented so that large is bad.

A failed task's latency is the time it took. It is not taken for endless, because a fleet that
fails more than 5 % of its tasks would then have no 95th percentile to compare and could never be
promoted; that a canary fails fast is for completion to find. Where the analysis has no completion
signal, nothing else would find it, so there a failure is endless.

A failed task has the worst score. What was not measured is `Missing`, never 0: such a task is left
out of that signal, and counted as left out.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from math import inf, isfinite, isnan

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.series import Value
from rolewise.fleet.task import Outcome, TaskRecord

WORST_SCORE = 1.0
LATE_FLAG = "after_the_end"
LATE_KNOWN_S = 15.0
"""A task's end is so long ago when it is asked whether it sent messages after that: ten seconds
are forgiven, and telemetry is under way for some."""
_HASH_RANGE = 2.0**64


class Missing(Enum):
    """Why a task has no value; the words are for people."""

    LATER = "not known yet"
    UNMEASURED = "not measured"
    NO_MESSAGE = "no message to the role"
    UNSAMPLED = "not in the sample"
    UNSCORED = "could not be scored"
    PARTIAL = "telemetry lost"


def is_sampled(signal: Signal, task: str) -> bool:
    """Say whether a task is scored: a coin that knows nothing of its arm, the same everywhere."""
    if signal.sample >= 1.0:
        return True
    key = f"{signal.score}/{task}".encode()
    draw = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
    return draw < signal.sample * _HASH_RANGE


def outcome_of(
    signal: Signal,
    record: TaskRecord,
    *,
    role: str,
    failure_is_endless: bool = False,
    now_s: float = inf,
) -> Value | Missing:
    """Return 1 for a bad task and 0 for a good one; seconds; an amount; 1 minus a score.

    Args:
        signal: What is measured.
        record: A task that has ended.
        role: The role on trial.
        failure_is_endless: Treat a failure's latency as that of a task that timed out.
        now_s: The fleet's clock.
    """
    if signal.metric in record.unmeasured:
        return Missing.UNMEASURED
    match signal.metric:
        case "task.completed":
            return 0.0 if record.outcome is Outcome.COMPLETED else 1.0
        case "task.latency":
            if record.outcome is Outcome.TIMED_OUT or record.latency_s is None:
                return inf
            if record.outcome is Outcome.FAILED and failure_is_endless:
                return inf
            return record.latency_s
        case "score":
            return _score(signal, record)
        case "task.late" if LATE_FLAG not in record.flags:
            ended_s = record.started_s + (record.latency_s or 0.0)
            if now_s < ended_s + LATE_KNOWN_S:
                return Missing.LATER
            return Missing.PARTIAL if record.partial else 0.0
        case _:
            return Missing.PARTIAL if record.partial else _telemetry(signal, record, role)


def is_bad_already(signal: Signal, record: TaskRecord) -> bool:
    """Say whether a task that still runs has gone wrong in a way that its end cannot undo.

    Then nothing is left to wait for: a task that loops until its deadline is known to loop long
    before. It is counted in its place in the order of tasks, with the value that it would have
    had, so no arm gains by it.
    """
    match signal.metric:
        case "tool.error":
            return record.tool_errors > 0
        case "task.looping":
            return is_looping(record)
        case "task.orphaned":
            return record.orphans > 0
        case _:
            return False


def is_looping(record: TaskRecord) -> bool:
    """Say whether a loop flag is raised that a task can raise before its end.

    What it sends long after that is another signal's, `task.late`: to wait for it would hold back
    everything else that flags tell by 15 s, and to count it only where somebody happened to look
    late would make a task's value depend on when it was read.
    """
    return any(flag != LATE_FLAG for flag in record.flags)


def _telemetry(signal: Signal, record: TaskRecord, role: str) -> Value | Missing:
    """Return what the recorders noted; a gap in their notes makes it a lower bound only."""
    amount: float | None
    match signal.metric:
        case "tool.error":
            return 1.0 if record.tool_errors else 0.0
        case "task.looping":
            return 1.0 if is_looping(record) else 0.0
        case "task.orphaned":
            return 1.0 if record.orphans else 0.0
        case "task.late":
            return 1.0
        case "message.latency":
            return record.message_latency_s.get(role) or Missing.NO_MESSAGE
        case "gen_ai.tokens":
            noted = (record.input_tokens, record.output_tokens)
            known = [tokens for tokens in noted if tokens is not None]
            amount = float(sum(known)) if known else None
        case "task.cost":
            amount = record.cost_usd
        case "task.cpu":
            amount = record.cpu_s
        case _:
            amount = record.memory_bytes.get(role)
    if amount is not None:
        # What agents note may be anything; one value that is no amount would spoil all evidence.
        return max(0.0, float(amount)) if isfinite(amount) else Missing.UNMEASURED
    # A task that failed before it spent anything has spent nothing; see `means` for what follows.
    return 0.0 if record.outcome is not Outcome.COMPLETED else Missing.UNMEASURED


def _score(signal: Signal, record: TaskRecord) -> Value | Missing:
    if signal.scorer and not is_sampled(signal, record.task):
        return Missing.UNSAMPLED
    if record.outcome is not Outcome.COMPLETED:
        return WORST_SCORE
    value = record.scores.get(signal.score)
    if value is None:
        return Missing.LATER if signal.scorer else Missing.UNMEASURED
    if isnan(value):
        return Missing.UNSCORED
    value = min(1.0, max(0.0, value))
    return 1.0 - value if signal.is_higher_better else value
