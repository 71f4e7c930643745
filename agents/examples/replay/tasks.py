"""The recorded tasks without end: the traffic of a replay fleet."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from rolewise.agents.examples.replay.recording import load_recordings


def recorded_tasks(seed: int, trace: str) -> Iterator[dict[str, Any]]:
    """Yield a trace's tasks for ever, each round in another order; the same for the same seed."""
    chance = random.Random(seed)
    recordings = load_recordings(trace)
    attributes = {r.task_id: {"task_id": r.task_id, **r.attributes} for r in recordings}
    task_ids = list(recordings.task_ids)
    while True:
        chance.shuffle(task_ids)
        for task_id in task_ids:
            yield {
                "kind": "task",
                "body": {"task_id": task_id},
                "attributes": dict(attributes[task_id]),
            }


def retail_tasks(seed: int) -> Iterator[dict[str, Any]]:
    """Yield the 100 tasks of `tau1_retail_strategies`; see `recorded_tasks`."""
    return recorded_tasks(seed, "tau1_retail_strategies")


def airline_tasks(seed: int) -> Iterator[dict[str, Any]]:
    """Yield the 50 tasks of `tau2_airline_models`; see `recorded_tasks`."""
    return recorded_tasks(seed, "tau2_airline_models")


def airline_trial_tasks(seed: int) -> Iterator[dict[str, Any]]:
    """Yield the 50 tasks of `tau1_airline_aa`; see `recorded_tasks`."""
    return recorded_tasks(seed, "tau1_airline_aa")


def telecom_tasks(seed: int) -> Iterator[dict[str, Any]]:
    """Yield the 40 tasks of `tau2_telecom_finetune`; see `recorded_tasks`."""
    return recorded_tasks(seed, "tau2_telecom_finetune")
