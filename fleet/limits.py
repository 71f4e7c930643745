"""Limits that a fleet's file may set. No imports: the file is read without what runs a fleet."""

from __future__ import annotations

from typing import Final

TASKS_IN_FLIGHT: Final = 10_000
"""Tasks of a fleet that may run at a time, unless its file says otherwise."""

RESULTS_KEPT_S: Final = 3600.0
"""How long a task's result waits for its submitter, unless its file says otherwise."""

TASKS_KEPT: Final = 50_000
"""Of how many tasks a fleet keeps accounts, unless its file says otherwise."""


def sums_kept(tasks_kept: int) -> int:
    """Return of how many tasks a collector keeps sums, where a gateway keeps so many accounts.

    A few more, so that no account is without.
    """
    return tasks_kept + tasks_kept // 5
