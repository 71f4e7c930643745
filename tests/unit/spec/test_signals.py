"""What a signal may say, what follows from what it leaves out, and how a mistake is told."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolewise.coordinator.judge import metrics as judged
from rolewise.coordinator.judge.analysis import Analysis, Signal
from rolewise.coordinator.plan.stages import build_stage
from rolewise.fleet.spec import SpecError, metrics, parse_fleet
from rolewise.graphs.criticality import RolePlace

FLEET = """\
fleet: small
entry: [only]
roles: {only: {versions: {v1: {agent: "a:b"}, v2: {agent: "a:c"}}}}
releases: {v1: {only: v1}}
release: v1
analysis_templates:
  task-health:
    signals:
      - §
"""
PLACE = RolePlace(
    role="only", place=1, tier=0, criticality=0.5, source="declared", reason="it is alone"
)


def analysis_of(text: str) -> Analysis:
    return build_stage(parse_fleet(text), PLACE, "v1", "v2").analysis


def signal_of(words: str) -> Signal:
    (signal,) = analysis_of(FLEET.replace("§", words)).signals
    return signal


def problem_of(words: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_fleet(FLEET.replace("§", words), "f.yaml")
    (problem,) = caught.value.problems
    assert problem.line == 9, "told at the signal's own line"
    return str(problem).partition("signals[0]")[2]


def test_the_file_and_the_judge_know_the_same_metrics() -> None:
    assert get_args(metrics.Metric) == get_args(judged.Metric)
    assert set(metrics.WRITINGS) == set(judged.MEASURES)
    for name, measure in judged.MEASURES.items():
        assert metrics.WRITINGS[name].kind == measure.kind.name.lower()


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_every_metric_works_without_any_other_key(metric: str) -> None:
    signal = signal_of(f"{{name: s, metric: {metric}}}")
    kind = judged.MEASURES[signal.metric].kind
    usual = {
        judged.Kind.SHARE: 0.05,
        judged.Kind.LATENCY: 0.25,
        judged.Kind.AMOUNT: 0.25,
        judged.Kind.SCORE: 0.04,
    }
    assert (signal.tolerate, signal.compare, signal.limit) == (usual[kind], "baseline", None)
    assert signal.score == ("s" if kind is judged.Kind.SCORE else "")
    assert (signal.quantile, signal.cap, signal.sample) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("metric", "limit", "value"),
    [
        ("task.completed", "95%", 0.95),
        ("tool.error", "0.02", 0.02),
        ("task.looping", "1%", 0.01),
        ("task.latency", "8s", 8.0),
        ("message.latency", "500ms", 0.5),
        ("gen_ai.tokens", "4000", 4000.0),
        ("task.cost", "0.05USD", 0.05),
        ("task.cost", "0.05", 0.05),
        ("task.cpu", "2s", 2.0),
        ("task.memory", "256MiB", 256 * 2**20),
        ("score", "0.8", 0.8),
    ],
)
def test_a_limit_has_the_unit_of_its_metric_and_makes_it_absolute(
    metric: str, limit: str, value: float
) -> None:
    signal = signal_of(f"{{name: s, metric: {metric}, limit: {limit}}}")
    assert (signal.compare, signal.limit) == ("absolute", value)
    assert type(signal.limit) in {int, float}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            "{name: s}",
            ".metric: is missing: want one of " + ", ".join(metrics.METRICS) + "; or a `scorer`",
        ),
        (
            "{name: s, metric: task.latency, limit: 5%}",
            '.limit = "5%": want a duration such as 500ms, 10s, 5m or 1h30m',
        ),
        (
            "{name: s, metric: gen_ai.tokens, limit: 4k}",
            '.limit = "4k": want a number such as 4000',
        ),
        (
            "{name: s, metric: gen_ai.tokens, limit: 0}",
            ".limit = 0: want a number such as 4000, above 0",
        ),
        (
            "{name: s, metric: task.cost, limit: 5EUR}",
            '.limit = "5EUR": want US dollars such as 0.05USD',
        ),
        (
            "{name: s, metric: task.memory, cap: 256}",
            ".cap = 256: want a size such as 256MiB or 2GiB",
        ),
        (
            "{name: s, metric: task.latency, cap: 8s}",
            '.cap = "8s": only amounts have one, task.latency is none: leave it out',
        ),
        (
            "{name: s, metric: score, quantile: 0.9}",
            ".quantile = 0.9: score has no quantiles: leave it out",
        ),
        (
            "{name: s, metric: task.completed, direction: lower_is_better}",
            '.direction = "lower_is_better": of task.completed higher is better: leave it out',
        ),
        (
            '{name: s, metric: task.cost, scorer: "a:b"}',
            (
                '.scorer = "a:b": only scores have one: want `metric: score` or no metric, '
                "not task.cost"
            ),
        ),
        ("{name: s, scorer: a.b}", ".scorer = \"a.b\": want an import path, 'package.module:name'"),
        (
            "{name: s, metric: score, sample: 10%}",
            '.sample = "10%": only a `scorer` is asked about a sample: leave it out, or name one',
        ),
        (
            '{name: s, scorer: "a:b", sample: 0}',
            ".sample = 0: want a share above 0 and up to 100%",
        ),
        ('{name: s, score: ""}', '.score = "": want the name of a score'),
        (
            "{name: s, score: s, tolerate: 100%}",
            '.tolerate = "100%": want a share below 100%',
        ),
        (
            "{name: s, metric: task.token}",
            '.metric = "task.token": want one of ' + ", ".join(metrics.METRICS),
        ),
    ],
)
def test_a_mistake_is_told_with_key_value_and_what_is_allowed(words: str, problem: str) -> None:
    assert problem_of(words) == problem


def test_a_tolerance_of_an_amount_or_latency_may_be_more_than_all_of_it() -> None:
    assert signal_of("{name: s, metric: gen_ai.tokens, tolerate: 150%}").tolerate == 1.5


def test_a_scorer_or_a_score_alone_makes_it_a_score_of_the_signal_s_name() -> None:
    signal = signal_of('{name: faithful, scorer: "a.b:c", sample: 10%, tolerate: 0.02}')
    assert (signal.metric, signal.score, signal.scorer) == ("score", "faithful", "a.b:c")
    assert (signal.sample, signal.is_higher_better) == (0.1, True)
    named = signal_of("{name: s, score: toxicity, direction: lower_is_better}")
    assert (named.metric, named.score, named.is_higher_better) == ("score", "toxicity", False)


def test_one_score_has_one_scorer() -> None:
    told = FLEET.replace(
        "- §", '[{name: a, scorer: "a:b", score: q}, {name: b, scorer: "a:c", score: q}]'
    )
    with pytest.raises(SpecError, match="score q comes from a:b in a signal above: want one"):
        parse_fleet(told)
    with pytest.raises(SpecError, match="score q comes from the agents in a signal above"):
        parse_fleet(
            FLEET.replace("- §", '[{name: q, metric: score}, {name: b, scorer: "a:c", score: q}]')
        )
    twice = '[{name: a, scorer: "a:b", score: q}, {name: b, scorer: "a:b", score: q, limit: 0.8}]'
    assert len(analysis_of(FLEET.replace("- §", twice)).signals) == 2


AS_NOTED = """\
fleet: small
entry: [only]
roles: {only: {versions: {v1: {agent: "a:b"}, v2: {agent: "a:c"}}}}
releases: {v1: {only: v1}}
release: v1
strategy: {canary: {bucket_by: user}}
analysis_templates:
  task-health:
    alpha: 0.01
    beta: 0.05
    max_duration: 2h
    no_data_for: 20m
    on: {harm: rollback, unsure: pause, no_data: pause}
    unit: {tasks: 5, window: 30m}
    signals:
      - {name: p99, metric: task.latency, quantile: 0.99, limit: 8s, min_tasks: 200}
      - {name: completion, metric: task.completed, compare: baseline, direction: higher_is_better, tolerate: 1%}
      - {name: tool-errors, metric: tool.error, compare: baseline, direction: lower_is_better, tolerate: 0.5%}
      - {name: p95, metric: task.latency, quantile: 0.95, compare: baseline, direction: lower_is_better, tolerate: 10%}
      - {name: tokens, metric: gen_ai.tokens, compare: baseline, direction: lower_is_better, tolerate: 15%}
      - {name: faithfulness, scorer: "supply.evals:faithfulness", sample: 10%, compare: baseline, direction: higher_is_better, tolerate: 0.02}
    dry_run: [tokens]
"""  # noqa: E501 (as people write them)


def test_a_whole_template_reaches_the_judge() -> None:
    analysis = analysis_of(AS_NOTED)
    assert (analysis.no_data_for_s, analysis.on_no_data) == (1200.0, "pause")
    assert (analysis.is_grouped, analysis.unit_tasks, analysis.unit_window_s) == (True, 5, 1800.0)
    assert [signal.name for signal in analysis.signals if signal.dry_run] == ["tokens"]
    assert next(signal.min_tasks for signal in analysis.signals) == 200
    usual = analysis_of(FLEET.replace("§", "{name: s, metric: tool.error}"))
    assert (usual.no_data_for_s, usual.on_no_data, usual.is_grouped) == (900.0, "hold", False)
    assert (usual.unit_tasks, usual.unit_window_s) == (10, 3600.0)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "dry_run: [tokens]",
            "dry_run: [token]",
            'dry_run[0] = "token": no such signal: did you mean tokens?',
        ),
        (
            "no_data: pause",
            "no_data: wait",
            'on.no_data = "wait": want one of rollback, pause, hold',
        ),
        ("tasks: 5", "tasks: 0", "unit.tasks = 0: want a whole number from 1"),
        ("window: 30m", "window: 0s", 'unit.window = "0s": want a time above 0'),
        (
            "max_duration: 2h",
            "max_tasks: 100",
            "signals[0].min_tasks = 200: want at most the template's max_tasks, 100",
        ),
    ],
)
def test_a_mistake_in_a_template_is_told(old: str, new: str, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_fleet(AS_NOTED.replace(old, new), "f.yaml")
    told = [str(one).partition("task-health.")[2] for one in caught.value.problems]
    assert problem in told


@given(
    st.dictionaries(
        st.sampled_from(sorted(metrics.WRITINGS)),
        st.fixed_dictionaries(
            {},
            optional={
                "tolerate": st.sampled_from(["3%", 0.2, "120%"]),
                "limit": st.sampled_from(["3%", 0.2, "2s", "64MiB", "1USD", 90]),
                "cap": st.sampled_from(["2s", "64MiB", "1USD", 90]),
                "quantile": st.sampled_from([0.5, 0.99]),
                "score": st.just("q"),
                "scorer": st.just("a:b"),
                "sample": st.sampled_from([0.5, 1]),
                "direction": st.sampled_from(["higher_is_better", "lower_is_better"]),
                "compare": st.sampled_from(["baseline", "absolute"]),
            },
        ),
        min_size=1,
    )
)
def test_what_the_file_s_rules_let_through_the_judge_takes(
    signals: dict[str, dict[str, object]],
) -> None:
    """No plan fails on a signal that the file was accepted with."""

    listed = [{"name": f"s{i}", "metric": m, **keys} for i, (m, keys) in enumerate(signals.items())]
    text = FLEET.replace("- §", json.dumps(listed))
    try:
        spec = parse_fleet(text)
    except SpecError:
        return
    assert len(build_stage(spec, PLACE, "v1", "v2").analysis.signals) == len(listed)
