"""A replica that fills its machine's memory, on a real Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.ray
@pytest.mark.alone
def test_a_replica_that_fills_the_memory_is_ended_replaced_and_told_of() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.out_of_memory_process"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert "low on memory" in told["reason"]
    assert told["outcome"] == "failed"
    # Ray ends some of the processes on the node, the gateway too if it comes to that.
    assert told["outside_cause"] in {"", "gateway_lost"}
    assert told["latency_s"] < 60.0
    assert told["crashes"] >= 1
    assert told["after"] == {"x": 1}
