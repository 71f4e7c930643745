"""One signal of a trial: its engine, how far it has come, what it left out, a few bad tasks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from math import inf
from typing import Any

from rolewise.coordinator.judge.analysis import Signal
from rolewise.coordinator.judge.engines import build_series
from rolewise.coordinator.judge.outcomes import Missing, is_bad_already, outcome_of
from rolewise.coordinator.judge.series import EarlySeries, Value
from rolewise.fleet.task import Outcome, TaskRecord

EXAMPLES = {True: 3, False: 2}  # bad tasks that are kept of canary and baseline


class Track:
    """One signal with its own place in the order of tasks.

    A task whose value is not known yet (it runs, it is not scored yet) holds back the tasks behind
    it in this signal only.

    Args:
        signal: What is measured.
        role: The role on trial.
        failure_is_endless: See `outcomes`.
        is_grouped: Units are sessions or users; then `take_unit` is called and not `take`.
    """

    __slots__ = ("_endless", "_owed", "_role", "cursor", "examples", "left_out", "series", "signal")

    def __init__(
        self, signal: Signal, *, role: str, failure_is_endless: bool, is_grouped: bool
    ) -> None:
        self.signal = signal
        self.series = build_series(signal, is_grouped=is_grouped)
        self.examples = {arm: deque[str](maxlen=most) for arm, most in EXAMPLES.items()}
        self.left_out: Counter[str] = Counter()
        self.cursor = 0
        """Number of the last task that was taken in or passed over."""
        self._owed: dict[int, tuple[bool, bool]] = {}
        """Tasks that were taken in while they ran: whether canary, whether a bad one."""
        self._role = role
        self._endless = failure_is_endless

    def outcome(self, record: TaskRecord, *, now_s: float = inf) -> Value | Missing:
        """Return what a task is worth, as far as it is known."""
        if record.outcome is not Outcome.RUNNING:
            return outcome_of(
                self.signal,
                record,
                role=self._role,
                failure_is_endless=self._endless,
                now_s=now_s,
            )
        return 1.0 if is_bad_already(self.signal, record) else Missing.LATER

    def take(self, record: TaskRecord, *, canary: bool, weight: float, now_s: float) -> bool:
        """Count a task, or leave it out; return False if its value must be waited for."""
        value = self.outcome(record, now_s=now_s)
        if value is Missing.LATER:
            return self._take_running(record, canary=canary, weight=weight, now_s=now_s)
        if isinstance(value, Missing):
            self.left_out[value.value] += 1
            return True
        failed = record.outcome is not Outcome.COMPLETED
        if self.series.add(canary=canary, weight=weight, value=value, failed=failed):
            self.examples[canary].append(record.task)
        return True

    def learn(self, records: Iterable[TaskRecord]) -> None:
        """Take note of how those have ended that were taken in while they ran."""
        if not self._owed or not isinstance(self.series, EarlySeries):
            return
        for record in records:
            if record.outcome is Outcome.RUNNING or record.number not in self._owed:
                continue
            canary, bad = self._owed.pop(record.number)
            value = self.outcome(record)
            if isinstance(value, float):
                self.series.learn(value, canary=canary, bad=bad)

    def _take_running(
        self, record: TaskRecord, *, canary: bool, weight: float, now_s: float
    ) -> bool:
        """Count a task that runs, if this signal need not know when it ends."""
        series, age = self.series, now_s - record.started_s
        if record.outcome is not Outcome.RUNNING or record.latency_s is not None:
            return False  # it has ended, and waits for a score or for its last telemetry
        if not isinstance(series, EarlySeries):
            return False
        if not age > series.settled_after(weight):
            return False
        bad = series.add_running(canary=canary, weight=weight)
        self._owed[record.number] = canary, bad
        if bad:
            self.examples[canary].append(record.task)
        return True

    def take_unit(
        self, value: Value | None, *, canary: bool, weight: float, failed: bool, name: str
    ) -> None:
        """Count a session or user by the value of its tasks."""
        if value is None:
            self.left_out[Missing.UNMEASURED.value] += 1
        elif self.series.add(canary=canary, weight=weight, value=value, failed=failed):
            self.examples[canary].append(name)

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "signal": identity(self.signal),
            "state": self.series.to_json(),
            "examples": [list(self.examples[arm]) for arm in (False, True)],
            "left_out": dict(sorted(self.left_out.items())),
            "cursor": self.cursor,
            "owed": [[number, *how] for number, how in self._owed.items()],
        }

    def load(self, data: dict[str, Any]) -> None:
        """Take over what `to_json` returned."""
        self.series.load(data["state"])
        for arm, names in enumerate(data["examples"]):
            self.examples[bool(arm)].extend(names)
        self.left_out = Counter(data["left_out"])
        self.cursor = data["cursor"]
        self._owed = {number: (canary, bad) for number, canary, bad in data["owed"]}


def identity(signal: Signal) -> list[Any]:
    """Return all of a signal that its evidence depends on."""
    return [
        *(signal.name, signal.metric, signal.compare, signal.tolerate, signal.harm_margin),
        *(signal.quantile, signal.limit, signal.score, signal.direction, signal.scorer),
        *(signal.sample, signal.cap),
    ]
