from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge.analysis import Analysis
from rolewise.coordinator.judge.planning import Need
from rolewise.coordinator.plan.build import build_plan
from rolewise.coordinator.plan.capacity import Capacity
from rolewise.coordinator.plan.foretell import Forecast
from rolewise.coordinator.plan.order import order_stages, place_roles
from rolewise.coordinator.plan.plan import Analyse, Pause, Plan, PlanRefused, SetWeight
from rolewise.fleet.runtime import VersionDefinition
from rolewise.fleet.spec import FleetSpec
from tests.unit.plan.fleets import RUNNING, a_fleet, all_v2

V2 = dict.fromkeys(RUNNING, "v2")


def plan(spec: FleetSpec, target: Mapping[str, str], **options: Any) -> Plan:
    options = {"places": place_roles(spec), **options}
    return build_plan(spec, options.pop("running", RUNNING), target, **options)


def problems_of(spec: FleetSpec, target: Mapping[str, str], **options: Any) -> list[str]:
    with pytest.raises(PlanRefused) as caught:
        plan(spec, target, **options)
    return list(caught.value.problems)


def test_stages_go_from_the_least_critical_role_to_the_entry_with_reasons() -> None:
    spec = all_v2()
    built = plan(spec, V2, to_name="v2")
    assert [stage.role for stage in built.stages][-1] == "orchestrator"
    reasons = {place.role: place.reason for place in place_roles(spec)}
    assert {stage.role: stage.reason for stage in built.stages} == reasons
    assert all(reasons.values())
    assert (built.to_name, built.from_release, built.to_release) == ("v2", RUNNING, V2)


def test_configured_criticality_decides_the_order() -> None:
    spec = all_v2(
        roles={
            "pricing": {"criticality": 90},
            "negotiator": {"criticality": 5},
            "orchestrator": {"criticality": 50},
        }
    )
    roles = [stage.role for stage in plan(spec, V2).stages]
    assert roles == ["negotiator", "orchestrator", "pricing"]


@given(st.dictionaries(st.sampled_from(sorted(RUNNING)), st.sampled_from(["v1", "v2"])))
def test_only_roles_that_change_have_a_stage_in_the_order_of_places(
    target: dict[str, str],
) -> None:
    spec = all_v2()
    changed = {role for role, version in target.items() if version == "v2"}
    if not changed:
        assert problems_of(spec, target) == [
            "the fleet already runs this release: nothing to change"
        ]
        return
    built = plan(spec, target)
    order = [place.role for place in place_roles(spec)]
    assert [stage.role for stage in built.stages] == [role for role in order if role in changed]
    assert built.to_release == RUNNING | target


def test_before_in_the_file_beats_the_computed_order() -> None:
    plain = [place.role for place in place_roles(all_v2())]
    assert plain == ["pricing", "negotiator", "orchestrator"]
    spec = all_v2(roles={"orchestrator": {"before": ["pricing"]}})
    places = place_roles(spec)
    assert [place.role for place in places] == ["orchestrator", "pricing", "negotiator"]
    assert places[0].reason.startswith("before pricing as configured; ")


def test_a_stage_has_the_file_s_steps_replicas_and_analysis() -> None:
    spec = all_v2(
        roles={"pricing": {"replicas": 3, "drain": "7s"}},
        on_stage_failure="roll_back_all",
        strategy={
            "canary": {
                "canary_replicas": 2,
                "keep_stable_for": "4s",
                "steps": [
                    {"set_weight": 20},
                    {"analysis": "gate"},
                    {"pause": {}},
                    {"pause": {"duration": "2s"}},
                    {"set_weight": 100},
                ],
            }
        },
        analysis_templates={
            "task-health": {
                "alpha": "2%",
                "max_duration": "3m",
                "on": {"harm": "pause"},
                "restarts": 5,
                "signals": [
                    {
                        "name": "ceiling",
                        "metric": "task.latency",
                        "quantile": 0.9,
                        "compare": "absolute",
                        "limit": "1m",
                        "dry_run": True,
                    }
                ],
            }
        },
    )
    built = plan(spec, {"pricing": "v2"})
    (stage,) = built.stages
    assert (stage.from_version, stage.to_version) == ("v1", "v2")
    assert (stage.replicas, stage.canary_replicas) == (3, 2)
    assert (stage.drain_limit_s, stage.keep_stable_s) == (7, 4)
    assert stage.steps == (
        SetWeight(weight=20),
        Analyse(evidence="gate"),
        Pause(),
        Pause(duration_s=2),
        SetWeight(weight=100),
    )
    analysis = stage.analysis
    assert (analysis.alpha, analysis.max_duration_s, analysis.restart_limit) == (0.02, 180, 5)
    assert (analysis.on_harm, analysis.on_unsure) == ("pause", "pause")
    (signal,) = analysis.signals
    assert (signal.limit, signal.quantile, signal.dry_run) == (60, 0.9, True)
    assert built.on_stage_failure == "roll_back_all"


def test_every_problem_is_told_at_once() -> None:
    spec = a_fleet({"pricing": {"v2": {"accepts": ["quote@2"]}}, "orchestrator": {"v2": {}}})
    target = {"pricing": "v2", "negotiator": "v9", "orchestrator": "v2", "robot": "v1"}
    problems = problems_of(
        spec,
        target,
        running=RUNNING,
        capacity=Capacity(resources={"cpu": 0.3}),
        loads=lambda version: "no module shop" if version.role == "orchestrator" else None,
    )
    assert problems == [
        "role negotiator has no version 'v9': want one of v1",
        "no role 'robot': want one of pricing, negotiator, orchestrator",
        "orchestrator@v2 does not load: no module shop",
        (
            "stage pricing needs 0.4 cpu at its peak (0.3 cpu for what runs, 0.1 cpu for 1 of "
            "the new version); the cluster has 0.3 cpu"
        ),
        (
            "stage orchestrator needs 0.4 cpu at its peak (0.3 cpu for what runs, 0.1 cpu for 1 "
            "of the new version); the cluster has 0.3 cpu"
        ),
        (
            "pricing@v2 does not accept quote@1, which negotiator@v1 speaks: "
            "let pricing@v2 accept it as well until they have moved on"
        ),
    ]


def test_what_runs_must_still_be_in_the_file() -> None:
    running = {"pricing": "v0", "negotiator": "v1", "courier": "v1"}
    assert problems_of(all_v2(), V2, running=running) == [
        "role orchestrator does not run: start the fleet with it before upgrading it",
        "pricing@v0 runs, but the file lacks it: keep it until it is replaced",
        "courier@v1 runs, but the file lacks it: keep it until it is replaced",
    ]


def test_only_new_versions_of_roles_that_change_are_tried() -> None:
    tried: list[tuple[str, str]] = []

    def loads(version: VersionDefinition) -> None:
        tried.append((version.role, version.version))

    plan(all_v2(), {"pricing": "v2", "negotiator": "v1"}, loads=loads)
    assert tried == [("pricing", "v2")]


def test_scorers_of_the_roles_that_change_are_tried() -> None:
    scored = {"signals": [{"name": "faithful", "scorer": "shop.evals:faithful"}]}
    spec = all_v2(
        analysis_templates={"scored": scored},
        stages={"pricing": {"canary": {"analysis": "scored"}}},
    )

    def loads(path: str) -> str | None:
        return f"scorer {path!r} does not import"

    assert problems_of(spec, V2, scorer_loads=loads) == [
        "stage pricing, signal faithful: scorer 'shop.evals:faithful' does not import"
    ]
    assert plan(spec, {"negotiator": "v2"}, scorer_loads=loads).stages


def test_a_version_that_differs_only_by_name_is_pointed_out() -> None:
    spec = a_fleet({"pricing": {"v2": {"config": {}}}})
    assert plan(spec, {"pricing": "v2"}).warnings == (
        "pricing@v2 is the same as v1 in all but its name",
    )


def test_the_plan_says_how_many_tasks_each_analysis_needs() -> None:
    def expected(analysis: Analysis, weight: float, evidence: str) -> Need:
        assert analysis.alpha == 0.01
        assert evidence in {"gate", "full"}
        return Need(signal="completion", tasks={5.0: 100, 25.0: None, 50.0: 90_000}[weight])

    built = plan(all_v2(), {"pricing": "v2"}, forecast=Forecast(expected_tasks=expected))
    analyses = [step for step in built.stages[0].steps if isinstance(step, Analyse)]
    assert [step.expected_tasks for step in analyses] == [100, None, 90_000]
    assert built.warnings == (
        (
            "stage pricing, gate analysis at 25 %: no number of tasks shows a good canary to be "
            "safe in completion"
        ),
        (
            "stage pricing, full analysis at 50 %: a good canary needs about 90 000 tasks for "
            "completion, 45 000 of them on the canary, more than max_tasks (20000): it will "
            "probably end unsure; tolerate 7.5 points would fit"
        ),
    )


def test_the_plan_says_when_the_traffic_is_too_thin() -> None:
    def expected(analysis: Analysis, weight: float, evidence: str) -> Need:
        return Need(signal="completion", tasks=7200 * 4 if evidence == "full" else 10)

    forecast = Forecast(expected_tasks=expected, tasks_per_s=1.0)
    (warning,) = plan(all_v2(), {"pricing": "v2"}, forecast=forecast).warnings
    assert warning == (
        "stage pricing, full analysis at 50 %: a good canary needs about 29 000 tasks for "
        "completion, 8 h at 1 tasks a second, more than max_duration (2 h): it will probably end "
        "unsure; tolerate 10 points would fit"
    )


def test_a_role_without_a_place_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no place in the order for pricing"):
        order_stages({"pricing"}, [])
