"""Scorers with one behaviour each, named by import path in tests."""

from __future__ import annotations

import asyncio
import threading

from rolewise.fleet.task import TaskRecord

asked: list[str] = []
"""Ids of the tasks that `noting` was asked about."""


def length(task: TaskRecord) -> float:
    """1 for a result of ten and more."""
    return min(1.0, task.result / 10)


async def patient(task: TaskRecord) -> float:
    """Take a second of the loop's time."""
    await asyncio.sleep(1.0)
    return float(task.body["a"]) / 10


def noting(task: TaskRecord) -> float:
    """Say who was asked about, and in which arm: nobody may know."""
    asked.append(task.task)
    return 1.0 if task.assignments == () else 0.0


def raising(task: TaskRecord) -> float:
    """Fail for every second task."""
    if task.result % 2:
        raise ValueError("I cannot judge odd ones")
    return 0.5


def nonsense(task: TaskRecord) -> str:
    """Answer what is no score."""
    return f"about {task.result}"


def too_good(task: TaskRecord) -> float:
    """Answer above 1."""
    return 1.5


async def hanging(task: TaskRecord) -> float:
    """Never answer."""
    await asyncio.Event().wait()
    return 1.0


def stuck(task: TaskRecord) -> float:
    """Never return, in whatever thread it is."""
    threading.Event().wait()
    return 1.0


def threaded(task: TaskRecord) -> float:
    """1 when it is called in a thread of its own."""
    return float(threading.current_thread().name == "scorer")


class Careful:
    """An object that is a scorer, too."""

    async def __call__(self, task: TaskRecord) -> float:
        return 0.25


careful = Careful()
two_arguments = max
a_number = 3
