"""A fleet file that is right in every line, and a way to break one place of it."""

FLEET = """\
fleet: supply-chain
entry: [orchestrator]
defaults: {replicas: 1, drain: 10s, timeout: 30s, resources: {cpu: 0.05, memory: 64MiB}}
roles:
  supplier:
    criticality: low
    replicas: 2
    slots: 2
    resources: {custom: {dock: 1}}
    versions:
      v1: {agent: "tests.unit.spec.fleets:supplier", accepts: [rfq@1], speaks: [offer@1]}
      v2: {agent: "tests.unit.spec.fleets:supplier", accepts: [rfq@1], speaks: [offer@1]}
  negotiator:
    calls: [supplier]
    versions:
      v1: {agent: "tests.unit.spec.fleets:negotiator", accepts: [offer@1], speaks: [rfq@1]}
      v2:
        agent: "tests.unit.spec.fleets:negotiator"
        config: {rounds: 3}
        model: small-5
        prompts: {system: Bargain.}
        accepts: [offer@1]
        speaks: [rfq@1]
  orchestrator:
    calls: [negotiator]
    versions:
      v1: {agent: "tests.unit.spec.fleets:orchestrator"}
releases:
  v1: {supplier: v1, negotiator: v1, orchestrator: v1}
  v2: {supplier: v2, negotiator: v2}
release: v1
workload: {source: "tests.unit.spec.fleets:orders", rate: 80}
strategy:
  canary:
    steps:
      - set_weight: 5
      - analysis: gate
      - set_weight: 50
      - pause: {duration: 2s}
      - set_weight: 100
    analysis: health
    keep_stable_for: 2s
stages:
  negotiator: {canary: {canary_replicas: 2, drain: 3s}}
analysis_templates:
  health:
    on: {harm: rollback, unsure: pause}
    signals:
      - {name: completion, metric: task.completed, tolerate: 5%}
      - {name: ceiling, metric: task.latency, quantile: 0.99, compare: absolute, limit: 8s}
"""


def broken(old: str, new: str) -> str:
    """Return the fleet with the one place `old` replaced."""
    assert FLEET.count(old) == 1, f"{old!r} stands {FLEET.count(old)} times in the fleet"
    return FLEET.replace(old, new)
