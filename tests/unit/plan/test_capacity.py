import pytest

from rolewise.coordinator.plan.capacity import Capacity, find_shortages
from tests.unit.plan.fleets import RUNNING, all_v2

ROLES = list(RUNNING)


@pytest.mark.parametrize(
    ("cpu", "short"),
    [(0.7, []), (0.69, ["pricing"]), (0.4, ["pricing"]), (0.39, ["pricing", "orchestrator"])],
)
def test_a_stage_at_its_peak_has_both_versions_whole(cpu: float, short: list[str]) -> None:
    """Three replicas of 0.1 run; pricing goes to 4 more of them, the orchestrator to one more."""
    spec = all_v2(
        roles={
            "pricing": {"replicas": 1},
            "negotiator": {"replicas": 1},
        },
        stages={"pricing": {"canary": {"canary_replicas": 4}}},
    )
    found = find_shortages(
        spec, ROLES, ["pricing", "orchestrator"], Capacity(resources={"cpu": cpu})
    )
    assert [sentence.split()[1] for sentence in found] == short


def test_memory_and_custom_resources_count_and_absent_ones_are_nought() -> None:
    spec = all_v2(
        roles={
            "pricing": {"resources": {"cpu": 0.0, "memory": "256MiB", "custom": {"arm": 1.0}}},
        }
        | {role: {"resources": {"cpu": 0.0}} for role in ("negotiator", "orchestrator")}
    )
    found = find_shortages(spec, ROLES, ["pricing"], Capacity(resources={"memory_bytes": 2**28}))
    assert list(found) == [
        (
            "stage pricing needs 512 MiB of memory at its peak (256 MiB of memory for what runs, "
            "256 MiB of memory for 1 of the new version); the cluster has 256 MiB of memory"
        ),
        (
            "stage pricing needs 2 arm at its peak (1 arm for what runs, 1 arm for 1 of the new "
            "version); the cluster has 0 arm"
        ),
    ]
