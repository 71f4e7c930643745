"""Run by `test_out_of_memory.py`: a fleet on a Ray of its own that ends who fills the memory.

Prints one JSON object: how the task ended, and what is told of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from ray._private import utils

ROOM = 3 << 30
"""Bytes that may be used beyond those that are in use at the start; other tests run meanwhile."""
THRESHOLD = (utils.get_used_memory() + ROOM) / utils.get_system_memory()
os.environ.update(
    RAY_LOG_TO_DRIVER="0",
    RAY_memory_monitor_refresh_ms="100",
    RAY_memory_usage_threshold=f"{THRESHOLD:.4f}",
)

from rolewise.fleet.incident import IncidentKind  # noqa: E402 (Ray reads the threshold at its start)
from rolewise.fleet.ray.cluster import leave_ray, start_local_ray  # noqa: E402
from tests.faults import real  # noqa: E402

HERE = {"cpu": 0.01}
MEGABYTES = 2 * ROOM >> 20


async def main() -> dict[str, object]:
    fleet = await real.launch({"entry": HERE, "worker": HERE})
    record = await real.end_of(fleet, "hog", real.ask_worker(hog=MEGABYTES), 60.0)
    told = await real.incident(fleet, IncidentKind.OUT_OF_MEMORY)

    async def is_served_again() -> bool:
        statuses = await real.statuses(fleet)
        return all(one.state == "ready" and not one.reason for one in statuses)

    await real.until(is_served_again, "all replicas are back")
    after = await real.end_of(fleet, "after", real.ask_worker(x=1))
    crashes = sum(one.crashes for one in await real.statuses(fleet))
    await fleet.shutdown()
    return {
        "outcome": record.outcome,
        "outside_cause": record.outside_cause,
        "latency_s": record.latency_s,
        "reason": told.reason,
        "crashes": crashes,
        "after": after.result,
    }


if __name__ == "__main__":
    start_local_ray(num_cpus=2)
    try:
        sys.stdout.write(json.dumps(asyncio.run(main())))
    finally:
        leave_ray()
