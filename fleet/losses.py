"""Whose doing it was that a task failed with a replica that died: its version's, or nobody's.

A lost node takes many tasks at once, of whichever arm had replicas there. That says nothing about
a version, and taken for evidence it would say a lot. What a replica died of is known only some
seconds after its tasks have failed; until then they are not settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rolewise.fleet.incident import OUTSIDE_DEATHS, OWN_DEATHS, Incident
from rolewise.fleet.task import Outcome, TaskRecord

INQUEST_S = 30.0
"""How long after a task's end the cause of a death is waited for."""
_CLOCKS_S = 2.0
"""By how much the clocks of two machines may differ here."""
_DEATHS = OWN_DEATHS | OUTSIDE_DEATHS


def settle_losses(
    records: Iterable[TaskRecord], incidents: Iterable[Incident], *, now_s: float
) -> tuple[TaskRecord, ...]:
    """Return the records with their outside causes; as running while the cause is not known.

    Args:
        records: Tasks.
        incidents: The fleet's last ones.
        now_s: The fleet's clock.
    """
    deaths = [one for one in incidents if one.kind in _DEATHS]
    return tuple(
        _settled(record, deaths, now_s) if record.lost_at else record for record in records
    )


def _settled(record: TaskRecord, deaths: list[Incident], now_s: float) -> TaskRecord:
    if record.outcome in {Outcome.RUNNING, Outcome.COMPLETED} or record.outside_cause:
        return record
    causes = [_cause(record, replica, deaths) for replica in record.lost_at]
    if all(cause is not None and cause.kind in OUTSIDE_DEATHS for cause in causes):
        return replace(record, outside_cause=next(c.kind.value for c in causes if c is not None))
    ended_s = record.started_s + (record.latency_s or 0.0)
    if any(cause is None for cause in causes) and now_s - ended_s < INQUEST_S:
        return replace(record, outcome=Outcome.RUNNING, result=None, error="")
    return record


def _cause(record: TaskRecord, replica: str, deaths: list[Incident]) -> Incident | None:
    since = record.started_s - _CLOCKS_S
    return next((one for one in deaths if one.what == replica and one.at_s >= since), None)
