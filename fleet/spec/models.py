"""The fleet's file as models: what runs, in which versions, and how it is moved."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rolewise.fleet.limits import RESULTS_KEPT_S, TASKS_IN_FLIGHT, TASKS_KEPT
from rolewise.fleet.spec.analysis import AnalysisTemplateSpec
from rolewise.fleet.spec.base import (
    AgentPath,
    Amount,
    Config,
    Count,
    Flag,
    Kind,
    Listed,
    Model,
    Name,
    Named,
    Rate,
    Text,
    Whole,
)
from rolewise.fleet.spec.edges import EdgeText
from rolewise.fleet.spec.guards import GuardsSpec
from rolewise.fleet.spec.strategy import StrategySpec
from rolewise.fleet.spec.values import Criticality, Duration, Memory


class ResourcesSpec(Model):
    """Resources of one replica. A role's come before those of `defaults`, one by one."""

    cpu: Amount | None = Field(default=None, description="CPUs, also parts of one. Else 0.1.")
    gpu: Amount | None = Field(default=None, description="GPUs, also parts of one. Else none.")
    memory: Memory | None = Field(default=None, description="Memory. Else not reserved.")
    custom: Named[Amount] = Field(
        default_factory=dict, description="Custom Ray resources by name, such as `robot_arm: 1`."
    )


class SettingsSpec(Model):
    """How replicas of a role run. A role's own settings come before `defaults`, key by key."""

    replicas: Count | None = Field(
        default=None, description="Replicas of the stable version. Else 1."
    )
    slots: Count | None = Field(
        default=None, description="Messages that one replica handles at a time. Else 4."
    )
    queue_limit: Whole | None = Field(
        default=None, description="Messages that may wait for a slot; more are refused. Else 1000."
    )
    drain: Duration | None = Field(
        default=None, description="What running work of a leaving version gets. Else 10s."
    )
    timeout: Duration | None = Field(
        default=None,
        description="Deadline of a task whose submitter names none (entry roles). Else 60s.",
    )
    resources: ResourcesSpec = Field(
        default_factory=ResourcesSpec, description="What one replica needs from its node."
    )


class VersionSpec(Model):
    """One immutable definition of a role: what changes gets a new version name."""

    agent: AgentPath = Field(
        description="Import path of a class, an object or an async function: `package.module:name`."
    )
    config: Config = Field(
        default_factory=dict, description="Given to the agent's constructor and as `ctx.config`."
    )
    model: Text | None = Field(
        default=None,
        description="Name of the language model; the agent gets it in its config, as `model`.",
    )
    allow_moving_model: Flag = Field(
        default=False,
        description="Allow a model name that moves by itself, such as `…-latest`.",
    )
    prompts: Named[Text] = Field(
        default_factory=dict,
        description="Prompts by name; the agent gets them as config key `prompts`.",
    )
    accepts: Listed[Kind] = Field(
        default=(),
        description="Message kinds that it understands, with schema version, as `rfq@1`.",
    )
    speaks: Listed[Kind] = Field(
        default=(), description="Message kinds that it sends, with schema version, as `offer@1`."
    )
    new_edges: Listed[EdgeText] = Field(
        default=(),
        description=(
            "Messages that it sends and the version before did not: `robot -> planner: report`. "
            "In its trial they are expected."
        ),
    )
    runtime_env: Config = Field(
        default_factory=dict,
        description="Ray runtime environment: `pip`, `env_vars`, `working_dir`…",
    )
    labels: Named[Text] = Field(
        default_factory=dict, description="Labels that a node must have to run it."
    )


class RoleSpec(SettingsSpec):
    """A kind of agent in the fleet."""

    criticality: Criticality | None = Field(
        default=None,
        description=(
            "How much depends on the role: 0 (goes first) to 100, or low (25), normal (50), "
            "high (75), highest (100). Else computed from the interaction graph."
        ),
    )
    calls: Listed[Name] = Field(
        default=(), description="Roles that it asks: used for the order while there is no traffic."
    )
    before: Listed[Name] = Field(
        default=(),
        description="Roles that it is upgraded before, whatever their criticality.",
    )
    idempotent: Flag = Field(
        default=False,
        description="A request that was cancelled may be sent again to another replica.",
    )
    versions: Named[VersionSpec] = Field(description="Version name -> definition.")


class WorkloadSpec(Model):
    """Traffic for the harness and the demo; a fleet in earnest gets its tasks from outside."""

    source: AgentPath = Field(
        description="Import path of a function of a seed that yields tasks: body, kind, attributes."
    )
    rate: Rate = Field(default=10.0, description="Tasks a second.")
    in_flight: Count = Field(default=64, description="Most tasks at a time; the rest wait.")
    timeout: Duration | None = Field(
        default=None, description="Deadline of each task. Else the entry role's `timeout`."
    )


class FleetSpec(Model):
    """A fleet: its roles with their versions, its releases, and how it moves between them."""

    fleet: Name = Field(description="The fleet's name.")
    entry: Listed[Name] = Field(
        min_length=1, description="Roles that tasks are given to; the first is the default."
    )
    defaults: SettingsSpec = Field(
        default_factory=SettingsSpec, description="Settings of roles that do not say otherwise."
    )
    roles: Named[RoleSpec] = Field(description="Role name -> role.", min_length=1)
    releases: Named[Named[Name]] = Field(
        description="Release name -> role -> version. Roles not named keep the version that runs."
    )
    release: Name = Field(
        description="The release that `rolewise up` starts. It must name every role."
    )
    forbidden_edges: Listed[EdgeText] = Field(
        default=(),
        description=(
            "Messages that no version may send: `robot -> payment: *`. One by a canary task is "
            "harm at once."
        ),
    )
    tasks_in_flight: Count = Field(
        default=TASKS_IN_FLIGHT,
        description="Tasks that may run at a time; more are refused (HTTP 429).",
    )
    guards: GuardsSpec = Field(
        default_factory=GuardsSpec, description="When one task is ended because it never ends."
    )
    results_kept: Duration = Field(
        default=RESULTS_KEPT_S,
        description="How long a task's result waits, from its end, for whoever submitted it.",
    )
    tasks_kept: int = Field(
        default=TASKS_KEPT,
        ge=1000,
        description=(
            "Of how many tasks there is an account, about 3 kB each; older ones that have ended "
            "stay in the counts only. The judge reads accounts every second: keep more than "
            "end in a minute."
        ),
    )
    workload: WorkloadSpec | None = Field(
        default=None, description="Traffic for the harness and the demo."
    )
    strategy: StrategySpec = Field(
        default_factory=StrategySpec, description="How every stage moves, unless `stages` differs."
    )
    on_stage_failure: Literal["roll_back_stage", "roll_back_all"] = Field(
        default="roll_back_stage",
        description="Roll back the failed stage only, or all stages of the rollout.",
    )
    stages: Named[StrategySpec] = Field(
        default_factory=dict, description="Role -> what differs from `strategy` in its stage."
    )
    analysis_templates: Named[AnalysisTemplateSpec] = Field(
        default_factory=dict, description="Template name -> how a stage is judged."
    )
