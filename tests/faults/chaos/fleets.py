"""The small fleets that chaos is let loose on, and their plans; each is made once a process."""

from __future__ import annotations

from functools import cache

from rolewise.coordinator.fleet_log import FleetRegistered
from rolewise.coordinator.fleets import definitions_of, first_table, plan_release, read_target
from rolewise.coordinator.plan.plan import Plan
from rolewise.coordinator.rehearse import EPOCH
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.spec import FleetSpec, parse_fleet

FLEET = "pair"
_ROLES = """
fleet: pair
entry: [entry]
defaults: {replicas: 2, slots: 8, drain: 1s}
roles:
  entry:
    calls: [worker]
    versions:
      v1: {agent: "tests.support.agents:Entry"}
      v2: {agent: "tests.support.agents:Entry", model: newer}
      v3: {agent: "tests.support.agents:Entry", model: newest}
  worker:
    idempotent: true
    versions:
      v1: {agent: "tests.support.agents:Worker"}
      v2: {agent: "tests.support.agents:Worker", model: newer}
      v3: {agent: "tests.support.agents:Worker", model: newest}
release: v1
"""
_BOTH = """
releases:
  v1: {entry: v1, worker: v1}
  v2: {entry: v2, worker: v2}
  v3: {entry: v3, worker: v3}
"""
_WORKER = """
releases:
  v1: {entry: v1, worker: v1}
  v2: {worker: v2}
  v3: {worker: v3}
"""
_STRATEGIES = {
    "timed": _WORKER
    + """
strategy:
  canary:
    bucket_by: user
    steps: [{set_weight: 20}, {pause: {duration: 1s}}, {set_weight: 60}, {set_weight: 100}]
    keep_stable_for: 500ms
    drain: 1s
""",
    "asking": _BOTH
    + """
strategy:
  canary:
    bucket_by: user
    steps: [{set_weight: 50}, {pause: {}}, {set_weight: 100}]
    keep_stable_for: 0s
    drain: 2s
on_stage_failure: roll_back_all
""",
    "judged": _WORKER
    + """
strategy:
  canary:
    bucket_by: user
    steps: [{set_weight: 50}, {analysis: gate}, {set_weight: 100}]
    keep_stable_for: 0s
    drain: 1s
""",
}
SHAPES = tuple(_STRATEGIES)


@cache
def text_of(shape: str) -> str:
    """Return the fleet's file."""
    return _ROLES + _STRATEGIES[shape]


@cache
def spec_of(shape: str) -> FleetSpec:
    return parse_fleet(text_of(shape))


@cache
def definitions(shape: str) -> dict[tuple[str, str], VersionDefinition]:
    return definitions_of(spec_of(shape))


@cache
def registration(shape: str) -> FleetRegistered:
    """Return the entry by which the fleet starts."""
    spec = spec_of(shape)
    release = dict(spec.releases[spec.release])
    return FleetRegistered(
        at=EPOCH,
        by="chaos",
        fleet=FLEET,
        text=text_of(shape),
        file="chaos.yaml",
        release=release,
        table=first_table(spec, release, number=1),
    )


@cache
def _plan(shape: str, running: tuple[tuple[str, str], ...], wanted: str) -> Plan:
    spec = spec_of(shape)
    target = read_target(wanted, spec, dict(running))
    return plan_release(spec, dict(running), target, to_name=wanted).plan


def plan(shape: str, running: dict[str, str], wanted: str) -> Plan:
    """Return the plan from what runs to a release.

    Raises:
        RolewiseError: `plan_refused`: the fleet runs it already.
    """
    return _plan(shape, tuple(sorted(running.items())), wanted)
