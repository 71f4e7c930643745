import subprocess
import sys

from rolewise.fleet.spec import parse_fleet, role_settings, stage_settings
from tests.unit.spec.fleets import FLEET, broken

SMALLEST = """\
fleet: small
entry: [only]
roles: {only: {versions: {v1: {agent: "a:b"}}}}
releases: {v1: {only: v1}}
release: v1
"""


def test_a_role_s_own_settings_come_first_then_the_fleet_s_key_by_key() -> None:
    spec = parse_fleet(FLEET)
    supplier = role_settings(spec, "supplier")
    assert (supplier.replicas, supplier.slots, supplier.queue_limit) == (2, 2, 1000)
    assert supplier.resources == {"cpu": 0.05, "memory_bytes": 64 * 2**20, "dock": 1}
    assert (supplier.drain_s, supplier.timeout_s) == (10, 30)
    assert role_settings(spec, "negotiator").replicas == 1


def test_nought_is_a_setting_and_not_a_gap() -> None:
    text = broken("slots: 2", "queue_limit: 0").replace("{dock: 1}}", "{dock: 0}, cpu: 0}")
    supplier = role_settings(parse_fleet(text), "supplier")
    assert supplier.queue_limit == 0
    assert supplier.resources == {"memory_bytes": 64 * 2**20}


def test_a_stage_takes_what_it_does_not_say_from_the_strategy() -> None:
    spec = parse_fleet(FLEET)
    negotiator, supplier = stage_settings(spec, "negotiator"), stage_settings(spec, "supplier")
    assert (negotiator.canary_replicas, negotiator.drain_s, negotiator.keep_stable_s) == (2, 3, 2)
    assert (supplier.canary_replicas, supplier.drain_s, supplier.keep_stable_s) == (1, 10, 2)
    assert negotiator.steps == supplier.steps
    assert negotiator.template is spec.analysis_templates["health"]


def test_a_stage_may_be_drawn_by_something_else_than_the_strategy_says() -> None:
    text = broken("    analysis: health\n", "    analysis: health\n    bucket_by: user\n").replace(
        "canary_replicas: 2, drain", "canary_replicas: 2, bucket_by: conversation, drain"
    )
    spec = parse_fleet(text)
    ways = {role: stage_settings(spec, role).bucket_by for role in ("negotiator", "supplier")}
    assert ways == {"negotiator": "conversation", "supplier": "user"}
    assert stage_settings(parse_fleet(FLEET), "supplier").bucket_by == "task"


def test_the_smallest_file_has_a_whole_strategy() -> None:
    spec = parse_fleet(SMALLEST)
    stage = stage_settings(spec, "only")
    weights = [step.set_weight for step in stage.steps if step.set_weight is not None]
    assert weights == [1, 5, 25, 50, 100]
    assert [step.analysis for step in stage.steps if step.analysis] == ["gate", "gate", "full"]
    assert [signal.metric for signal in stage.template.signals] == [
        "task.completed",
        "tool.error",
        "task.latency",
    ]
    assert role_settings(spec, "only").resources == {"cpu": 0.1}


def test_a_limit_is_seconds_for_latency_and_a_share_for_the_rest() -> None:
    assert parse_fleet(FLEET).analysis_templates["health"].signals[1].limit_value == 8
    text = broken(
        "metric: task.latency, quantile: 0.99, compare: absolute, limit: 8s",
        "metric: tool.error, compare: absolute, limit: 2%",
    )
    assert parse_fleet(text).analysis_templates["health"].signals[1].limit_value == 0.02


def test_the_spec_is_read_without_loading_what_runs_a_fleet() -> None:
    code = (
        "import sys, rolewise.fleet.spec; print(*{'ray', 'networkx', 'numpy'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert loaded.stdout.strip() == b""
